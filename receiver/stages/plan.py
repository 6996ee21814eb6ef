"""What is said, and to whom: incident and enrichment -> one outbox row per target. Pure."""

from collections.abc import Iterable

from receiver.incidents import TOLD, Incident, Reason
from receiver.message import Message
from receiver.outbox import Planned
from receiver.stages.enrich import Enrichment
from receiver.stages.route import Choice


def plan(
    incident: Incident, notice: Reason, enrichment: Enrichment, choices: Iterable[Choice], external_url: str
) -> tuple[Planned, ...]:
    """The rows for one notice of a stored incident (its id is known)."""
    message = compose(incident, notice, enrichment, external_url)
    return tuple(Planned(choice.target, choice.reason, message) for choice in choices)


def began(incident: Incident) -> float:
    """When the trouble began: the leading alert's annotation `began` (seconds since the epoch), else when it fired.

    A rule that waits for certainty fires minutes after the fact, and people ask since when it has been broken.
    """
    try:
        told = float(incident.leading.annotations.get("began", ""))
    except ValueError:
        return incident.opened_at
    return told if 0 < told <= incident.opened_at else incident.opened_at


def compose(incident: Incident, notice: Reason, enrichment: Enrichment, external_url: str) -> Message:
    """The message: the leading alert's words, with what was found out."""
    alert = incident.leading
    runbook, measured = enrichment.runbook, enrichment.measured
    return Message(
        incident=incident.id or 0,
        revision=incident.revision,
        status=TOLD.get(notice, "firing"),
        reason=notice,
        severity=incident.severity,
        alert=alert.name,
        summary=alert.annotations.get("summary") or alert.name,
        description=alert.annotations.get("description", ""),
        service=alert.labels.get("service", ""),
        environment=alert.labels.get("environment", ""),
        owner=alert.labels.get("owner", ""),
        since=began(incident),
        until=incident.resolved_at,
        firing_count=len(incident.firing),
        measured=measured.value if measured else "",
        normal=measured.normal if measured else "",
        impact=alert.annotations.get("impact", ""),
        pays=alert.annotations.get("pays", ""),
        first_steps=runbook.steps if runbook else (),
        fallback=runbook.fallback if runbook else "",
        runbook_url=runbook.url if runbook else alert.annotations.get("runbook_url", ""),
        query_url=alert.generator_url,
        incident_url=f"{external_url}/v1/incidents/{incident.id}",
        absent=enrichment.absent,
    )
