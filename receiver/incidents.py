"""The incident's state machine: (incident, what is known of each occurrence, events, now) -> what follows. Pure.

An alert's occurrence (fingerprint, startsAt) only ever goes from firing to resolved, a later occurrence of the same
alert replaces an earlier one, and a resolve ends what began before its end. So any order and any repetition of the same
events ends in the same alerts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from receiver.alerts import AlertEvent, Occurrence, Status

State = Literal["open", "resolved"]
Reason = Literal[
    "opened",  # the first alert of an incident fires
    "joined",  # another alert fires in an open incident
    "severity_rose",  # ... and it is worse than those before
    "fired_again",  # an alert of it fires anew, long after it last did: its resolve was lost
    "repeat",  # we knew
    "stale",  # a firing that arrives after its own resolve, or after a later occurrence
    "partly_resolved",  # an alert ended, others of the incident still fire
    "resolved",  # the last alert of the incident ended
    "vanished",  # ... without its resolve: no Alertmanager holds it any more
    "never_fired_here",  # a resolve of something we never heard firing
]
TOLD: Mapping[Reason, Status] = {
    "opened": "firing",
    "severity_rose": "firing",
    "fired_again": "firing",
    "resolved": "resolved",
    "vanished": "resolved",
}
"""The reasons that people are told, and as what."""

SAME_OUTBREAK_SECONDS = 300.0
"""Two Prometheus servers see one alert begin some seconds apart, and a restart shifts it by a minute or so. One that
begins later than this after the one we hold is a new one: the resolve in between never reached us."""

SEVERITIES = ("info", "warning", "critical")
DEFAULT_SEVERITY = "warning"


def severity_of(labels: Mapping[str, str]) -> str:
    """The severity label's value; `warning` for one that is missing or unheard of."""
    given = labels.get("severity", "").lower()
    return given if given in SEVERITIES else DEFAULT_SEVERITY


@dataclass(frozen=True)
class Incident:
    """Alerts that share the correlated labels, from the first firing to the last resolve.

    `id` is None until stored. `alerts` holds the latest event of each fingerprint. `revision` counts stored changes.
    """

    id: int | None
    key: str
    state: State
    severity: str
    opened_at: float
    resolved_at: float | None
    revision: int
    alerts: tuple[AlertEvent, ...]

    @property
    def firing(self) -> tuple[AlertEvent, ...]:
        """The alerts that still fire, the most severe and then the oldest first."""
        return tuple(sorted((alert for alert in self.alerts if alert.status == "firing"), key=_order))

    @property
    def leading(self) -> AlertEvent:
        """The alert that speaks for the incident: the first that fires, else the first there was."""
        return (self.firing or tuple(sorted(self.alerts, key=_order)))[0]


@dataclass(frozen=True)
class Step:
    """What events did to an incident: the incident now (None if there is none), why for each, and what to tell."""

    incident: Incident | None
    reasons: tuple[Reason, ...]

    @property
    def notice(self) -> Reason | None:
        """The last reason that people are told of, or None."""
        return next((reason for reason in reversed(self.reasons) if reason in TOLD), None)


def advance(
    incident: Incident | None, past: Mapping[Occurrence, Status], key: str, events: Iterable[AlertEvent], now: float
) -> Step:
    """Applies `events`, all of the correlation `key`, to the open `incident` (None if there is none).

    `past` tells how all occurrences of these alerts stand, those of closed incidents included.
    """
    before, reasons, known = incident, [], dict(past)
    for event in events:
        incident, reason = _apply(incident, known, key, event, now)
        known[event.occurrence] = "resolved" if known.get(event.occurrence) == "resolved" else event.status
        reasons.append(reason)
    if incident is not None and incident != before:
        incident = replace(incident, revision=(before.revision if before else 0) + 1)
    return Step(incident, tuple(reasons))


def _apply(
    incident: Incident | None, past: Mapping[Occurrence, Status], key: str, event: AlertEvent, now: float
) -> tuple[Incident | None, Reason]:
    known = past.get(event.occurrence)
    if known == event.status:
        return incident, "repeat"
    if known == "resolved" or (event.status == "firing" and _has_later(past, event)):
        return incident, "stale"
    if incident is None or incident.state == "resolved":
        return _without_open(incident, key, event)
    return _with_open(incident, event, now)


def _has_later(past: Mapping[Occurrence, Status], event: AlertEvent) -> bool:
    return any(fingerprint == event.fingerprint and at > event.starts_at for fingerprint, at in past)


def _without_open(incident: Incident | None, key: str, event: AlertEvent) -> tuple[Incident | None, Reason]:
    if event.status == "resolved":
        return incident, "never_fired_here"
    return Incident(None, key, "open", severity_of(event.labels), event.starts_at, None, 0, (event,)), "opened"


def _with_open(incident: Incident, event: AlertEvent, now: float) -> tuple[Incident, Reason]:
    if event.status == "firing":
        return _fires(incident, event)
    held = _held(incident, event)
    if held is None:
        return incident, "never_fired_here"
    ended = event.ends_at if event.ends_at is not None else now
    if ended <= held.starts_at:
        return incident, "stale"
    # whatever its start: of two Prometheus servers the later may be heard first; Alertmanager then moves the start back
    return _ends(incident, replace(event, starts_at=held.starts_at, ends_at=ended))


def _fires(incident: Incident, event: AlertEvent) -> tuple[Incident, Reason]:
    severity = max(incident.severity, severity_of(event.labels), key=SEVERITIES.index)
    changed = replace(
        incident,
        alerts=_with(incident.alerts, event),
        severity=severity,
        opened_at=min(incident.opened_at, event.starts_at),
    )
    if severity != incident.severity:
        return changed, "severity_rose"
    held = _held(incident, event)
    anew = held is not None and held.status == "firing" and event.starts_at - held.starts_at > SAME_OUTBREAK_SECONDS
    return changed, "fired_again" if anew else "joined"


def _ends(incident: Incident, event: AlertEvent) -> tuple[Incident, Reason]:
    changed = replace(incident, alerts=_with(incident.alerts, event))
    if changed.firing:
        return changed, "partly_resolved"
    reason: Reason = "vanished" if event.origin == "reconciled" else "resolved"
    return replace(changed, state="resolved", resolved_at=event.ends_at), reason


def _held(incident: Incident, event: AlertEvent) -> AlertEvent | None:
    return next((alert for alert in incident.alerts if alert.fingerprint == event.fingerprint), None)


def _with(alerts: tuple[AlertEvent, ...], event: AlertEvent) -> tuple[AlertEvent, ...]:
    """`alerts` with `event` in the place of the one with its fingerprint, or at the end."""
    others = tuple(alert for alert in alerts if alert.fingerprint != event.fingerprint)
    return (*others, event)


def _order(alert: AlertEvent) -> tuple[int, float, str]:
    return -SEVERITIES.index(severity_of(alert.labels)), alert.starts_at, alert.fingerprint
