"""What an operator's rules call things -> what Tocsin calls them, and the class of each alert. Pure.

A team's rules have names of their own: `app` for the service, `squad` for its owner, `page` for critical. They work as
they are: what Tocsin goes by is added to each alert at the door, beside what it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from receiver.alerts import AlertEvent
from toolkit.matchers import Matcher, all_match, parse_matcher

CLASS = "class"
"""The label by which an alert tells its class itself."""
OTHER = "other"
"""The class of what none describes."""


def _named(pattern: str) -> tuple[Matcher, ...]:
    return (parse_matcher(f'alertname=~"{pattern}"'),)


CLASSES: Mapping[str, tuple[tuple[Matcher, ...], ...]] = {
    "vendor_billing": (
        _named("ThirdParty(Payment|AccountSuspended|Quota|PlanRestricted|Credit|Renewal|Card|SharedCard).*"),
    ),
    "vendor_outage": (_named("ThirdParty(NoSuccess|RateLimited|EgressSuspected).*"),),
    "security": (_named("ThirdParty(CredentialsInvalid|CertificateExpiring).*"),),
    "self": (_named("Tocsin.*|Watchdog|CriticalAlertBypass|Prometheus.*|Alertmanager.*"),),
    "usage": (_named("Usage.*|Signal.*"),),
    "slo": (_named("SLO.*|.*(ErrorBudget|BurnRate).*"), (parse_matcher('slo!=""'),)),
    "host": (_named("Host.*|Node.*|Kube.*"),),
}
"""The classes of the rules that come with Tocsin, and of some that many have."""


@dataclass(frozen=True)
class Vocabulary:
    """`labels` and `annotations`: for each name that Tocsin goes by the names that may stand for it, the first that an
    alert has is taken. `severities`: what another word for a severity means. `classes`: for each class the lists of
    matchers of which one must be met; the first class that fits is taken, and those that come with Tocsin come last.
    """

    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    annotations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    severities: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, Sequence[Sequence[Matcher]]] = field(default_factory=dict)

    def translated(self, alert: AlertEvent) -> AlertEvent:
        """`alert` with what its own words mean, and its class. Its identity stays; done twice it is done once."""
        labels = _with(alert.labels, self.labels)
        severity = self.severities.get(labels.get("severity", ""))
        labels = {**labels, "severity": severity} if severity is not None else labels
        return replace(
            alert,
            labels=labels,
            given=alert.labels if alert.given is None and labels != alert.labels else alert.given,
            annotations=_with(alert.annotations, self.annotations),
            kind=self.class_of(labels),
        )

    def class_of(self, labels: Mapping[str, str]) -> str:
        """The class of an alert with these labels: what its label `class` says, else the first that fits."""
        if labels.get(CLASS):
            return labels[CLASS]
        for classes in (self.classes, CLASSES):
            for name, ways in classes.items():
                if any(all_match(matchers, labels) for matchers in ways):
                    return name
        return OTHER


def _with(given: Mapping[str, str], names: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    """`given` and, for what it lacks, the first of the names that it has instead."""
    added = {
        ours: next(given[name] for name in theirs if given.get(name))
        for ours, theirs in names.items()
        if not given.get(ours) and any(given.get(name) for name in theirs)
    }
    return {**given, **added} if added else given
