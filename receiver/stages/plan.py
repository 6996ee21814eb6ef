"""What is said, and to whom: incident and enrichment -> one outbox row per target. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from receiver.alerts import Status
from receiver.delivery.outbox import Planned
from receiver.incidents import STORM_KEY, TOLD, Incident
from receiver.message import Message
from receiver.rank import rank
from receiver.services import ServiceGraph
from receiver.stages.enrich import Enrichment
from receiver.stages.route import Choice

STORM_WORDS = (
    "More incidents began at once than are told one by one. This one takes in all others, and is told again each time "
    "it has doubled. Look for what they have in common."
)
MOST_SERVICES = 6
"""How many services a message names: the rest is counted."""


@dataclass(frozen=True)
class Handling:
    """Who is called, in words; what happens next, and when; and the address at which people act."""

    on_call: str = ""
    next_step: str = ""
    act_url: str = ""


def plan(
    incident: Incident,
    notice: str,
    enrichment: Enrichment,
    choices: Iterable[Choice],
    external_url: str,
    graph: ServiceGraph,
    handling: Handling = Handling(),
) -> tuple[Planned, ...]:
    """The rows for one notice of a stored incident (its id is known). `notice` is the reason that it is told."""
    message = compose(incident, notice, enrichment, external_url, graph, handling)
    return tuple(Planned(choice.target, choice.reason, message) for choice in choices)


def began(incident: Incident) -> float:
    """When the trouble began: the leading alert's annotation `began` (seconds since the epoch), else when it fired.

    A rule that waits for certainty fires minutes after the fact, and people ask since when it has been broken.
    """
    try:
        told = float(incident.leading.annotations.get("began", ""))
    except ValueError:
        told = 0.0
    fired = incident.opened_at
    if incident.reopened and incident.firing:
        # it had ended: people ask since when it is broken this time
        fired = min(alert.starts_at for alert in incident.firing)
    return told if 0 < told <= fired else fired


def spread(incident: Incident) -> str:
    """`"312 alerts of 40 services: api 40, web 38, ..."`, the largest first; nothing for one alert."""
    alerts = incident.firing or incident.alerts
    services = Counter(alert.service for alert in alerts if alert.service)
    if len(alerts) < 2 or len(services) < 2:
        return ""
    most = ", ".join(f"{service} {count}" for service, count in services.most_common(MOST_SERVICES))
    more = ", ..." if len(services) > MOST_SERVICES else ""
    return f"{len(alerts)} alerts of {len(services)} services: {most}{more}"


def cause(incident: Incident) -> str:
    """Which alert probably causes the others, in words; nothing when none is known."""
    if incident.cause is None or not incident.firing:
        return ""
    lead = incident.leading
    others = sorted({alert.service for alert in incident.firing if alert.service} - {lead.service})
    return f"{lead.name} of {lead.service}, which {', '.join(others)} need{'s' if len(others) == 1 else ''}"


def compose(
    incident: Incident,
    notice: str,
    enrichment: Enrichment,
    external_url: str,
    graph: ServiceGraph,
    handling: Handling = Handling(),
) -> Message:
    """The message: the leading alert's words, with what was found out."""
    alert = incident.leading
    ranked = rank(incident, graph)
    storm = incident.key == STORM_KEY
    said = alert.annotations.get("summary") or alert.name
    known = Message(
        incident=incident.id or 0,
        revision=incident.revision,
        status=status_of(notice),
        reason=notice,
        severity=incident.severity,
        alert=alert.name,
        summary=f"Storm: {len(incident.alerts)} alert{'s' * (len(incident.alerts) > 1)} so far, such as {said}"
        if storm
        else said,
        description=STORM_WORDS if storm else alert.annotations.get("description", ""),
        service=alert.labels.get("service", ""),
        environment=alert.labels.get("environment", ""),
        owner=alert.labels.get("owner", ""),
        since=began(incident),
        until=incident.resolved_at,
        firing_count=len(incident.firing),
        priority=ranked.priority,
        rank=ranked.words,
        cause=cause(incident),
        spread=spread(incident),
        reopened=incident.reopened,
        impact=alert.annotations.get("impact", ""),
        pays=alert.annotations.get("pays", ""),
        kind=alert.kind,
        runbook_url=alert.annotations.get("runbook_url", ""),
        query_url=alert.generator_url,
        incident_url=f"{external_url}/v1/incidents/{incident.id}",
        absent=enrichment.absent,
    )
    found = msgspec.structs.replace(known, **enrichment.found)
    return in_hands(found, incident, handling)


def in_hands(message: Message, incident: Incident, handling: Handling) -> Message:
    """`message` with whose the incident is now: who has it, who is called, what a person said against the alerts."""
    acts = incident.live and handling.act_url
    return msgspec.structs.replace(
        message,
        owner=incident.owner or message.owner,
        kind=incident.kind or message.kind,
        on_call=handling.on_call,
        next_step=handling.next_step,
        acknowledged_by=incident.acknowledged_by or "",
        acknowledged_at=incident.acknowledged_at,
        acknowledge_url=handling.act_url if acts else "",
        silence_url=f"{handling.act_url}?do=silence" if acts else "",
    )


def status_of(notice: str) -> Status:
    """As what a notice is told: the end of an incident as an end, and whatever else is news as of what fires."""
    return next((status for reason, status in TOLD.items() if reason == notice), "firing")
