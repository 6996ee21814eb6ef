"""What an alert says of itself, alike for signals and objectives: its labels and annotations. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from exporter.rulegen.rules import plain
from exporter.rulegen.settings import SEVERITIES, Owned, Severity


@dataclass(frozen=True)
class Message:
    """An alert's own annotations, by their names; what is empty is left out. A `_query` is PromQL, which the receiver
    asks again when it tells."""

    summary: str
    description: str
    value_query: str = ""
    value_unit: str = ""
    normal_query: str = ""
    normal: str = ""
    band: str = ""
    factor: str = ""
    began: str = ""
    budget_left: str = ""


def annotations(message: Message, one: Owned, runbook_url: str) -> dict[str, str]:
    """Every annotation of an alert on `one`."""
    found = {**asdict(message), "runbook_url": plain(runbook_url), "impact": plain(one.impact)}
    return {name: text for name, text in found.items() if text}


def labels(own: Mapping[str, str], one: Owned, owner: str, severity: Severity) -> dict[str, str]:
    """The labels of an alert on `one`, after what tells it from others."""
    found = {"owner": plain(owner), "service": plain(one.service), "severity": SEVERITIES[severity]}
    return {**own, **{name: text for name, text in found.items() if text}}
