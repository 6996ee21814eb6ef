"""Which silence covers an incident's alerts, and as few others as can be. Pure."""

import re
from collections.abc import Iterable

from receiver.incidents import Incident
from toolkit.alertmanager import Matcher

MOST_VALUES = 100
"""A label with more values than this is left out of the matchers: the expression would be longer than it helps."""
NAME = "alertname"


def matchers(incident: Incident, identifying: Iterable[str]) -> tuple[Matcher, ...]:
    """Equality for each label that all firing alerts have with one value; for the alert's name and those `identifying`
    labels that all have with several values, one of these. Empty when they have too many names to say which: what they
    have in common besides, such as their severity, others have as well."""
    alerts = incident.firing or incident.alerts
    known = [alert.own_labels for alert in alerts]
    shared = set.intersection(*map(set, known)) if known else set[str]()
    values = {label: sorted({labels[label] for labels in known}) for label in sorted(shared)}
    either = {NAME, *identifying}
    found = []
    for label, of_label in values.items():
        if len(of_label) == 1:
            found.append(Matcher(label, of_label[0]))
        elif label in either and len(of_label) <= MOST_VALUES:
            found.append(Matcher(label, "|".join(map(_quoted, of_label)), is_regex=True))
    found = [matcher for matcher in found if matcher.value]
    return tuple(found) if any(matcher.name == NAME for matcher in found) else ()


def _quoted(value: str) -> str:
    """`value` as an RE2 expression that matches it alone."""
    return re.sub(r"([^0-9A-Za-z_ \u0080-\U0010ffff])", r"\\\1", value)
