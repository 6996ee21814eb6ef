"""The incident's state machine: (incident, what is known of each occurrence, events, now) -> what follows. Pure.

An alert's occurrence (fingerprint, startsAt) only ever goes from firing to resolved, a later occurrence of the same
alert replaces an earlier one, and a resolve ends what began before its end. So any order and any repetition of the same
events ends in the same alerts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from receiver.alerts import AlertEvent, Occurrence, Origin, Status
from receiver.services import ServiceGraph

State = Literal[
    "open",
    "acknowledged",  # somebody has it
    "reopened",  # it had ended and fires again, and nobody has acknowledged it since
    "resolved",
    "vanished",  # ended without its resolve: no Alertmanager holds it any more
    "source_lost",  # its resolve came while Prometheus was silent: nobody knows whether it has ended
    "merged",  # another incident has its alerts
]
LIVE: frozenset[State] = frozenset({"open", "acknowledged", "reopened"})
Reason = Literal[
    "opened",  # the first alert of an incident fires
    "joined",  # another alert fires in an open incident
    "severity_rose",  # ... and it is worse than those before
    "cause_found",  # ... and it is of a service that those of the others need
    "storm_grew",  # ... and with it the storm has twice the alerts it had
    "fired_again",  # an alert of it fires anew, long after it last did: its resolve was lost
    "reopened",  # an incident that ended a short time ago fires again
    "repeat",  # we knew
    "stale",  # a firing that arrives after its own resolve, or after a later occurrence
    "partly_resolved",  # an alert ended, others of the incident still fire
    "resolved",  # the last alert of the incident ended
    "vanished",  # ... without its resolve: no Alertmanager holds it any more
    "source_lost",  # ... as Alertmanager says, which has heard nothing of Prometheus lately
    "still_fires",  # it was put off to be told, and its time has come
    "never_fired_here",  # a resolve of something we never heard firing
]
TOLD: Mapping[Reason, Status] = {
    "opened": "firing",
    "severity_rose": "firing",
    "cause_found": "firing",
    "storm_grew": "firing",
    "fired_again": "firing",
    "reopened": "firing",
    "still_fires": "firing",
    "resolved": "resolved",
    "vanished": "resolved",
    "source_lost": "resolved",
}
"""The reasons that people are told, and as what."""

_ENDED: Mapping[Origin, Literal["resolved", "vanished", "source_lost"]] = {
    "webhook": "resolved",
    "filled_in": "resolved",
    "reconciled": "vanished",
    "source_lost": "source_lost",
    "by_hand": "resolved",
}

STORM_KEY = "storm"
"""The key of the incident that takes in what a storm brings; no key of labels looks like it."""

SAME_OUTBREAK_SECONDS = 300.0
"""Two Prometheus servers see one alert begin some seconds apart, and a restart shifts it by a minute or so. One that
begins later than this after the one we hold is a new one: the resolve in between never reached us."""

SEVERITIES = ("info", "warning", "critical")
DEFAULT_SEVERITY = "warning"


def severity_of(labels: Mapping[str, str]) -> str:
    """The severity label's value; `warning` for one that is missing or unheard of."""
    given = labels.get("severity", "").lower()
    return given if given in SEVERITIES else DEFAULT_SEVERITY


def weight(severity: str) -> int:
    """How bad a severity is, more for worse; what is none is less than any."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1


@dataclass(frozen=True)
class Incident:
    """Alerts that belong together, from the first firing to the last resolve, and again when it comes back at once.

    `id` is None until stored. `alerts` holds the latest event of each fingerprint. `revision` counts stored changes.
    `cause` is the fingerprint of the alert that probably causes the others; it is found out anew at each step.
    `tell_at`: when those are told who were not told yet, if it still lives then.
    `assigned_to` was handed it and has not acknowledged it yet. `owner` and `kind` (its class) are what a person said,
    against what the alerts say; None where nobody did.
    Times are seconds since the epoch.
    """

    id: int | None
    key: str
    state: State
    severity: str
    opened_at: float
    resolved_at: float | None
    revision: int
    alerts: tuple[AlertEvent, ...]
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None
    reopened: int = 0
    merged_into: int | None = None
    cause: str | None = None
    tell_at: float | None = None
    assigned_to: str | None = None
    snoozed_until: float | None = None
    owner: str | None = None
    kind: str | None = None

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE

    @property
    def firing(self) -> tuple[AlertEvent, ...]:
        """The alerts that still fire, the most severe and then the oldest first."""
        return tuple(sorted((alert for alert in self.alerts if alert.status == "firing"), key=_order))

    @property
    def leading(self) -> AlertEvent:
        """The alert that speaks for the incident: its cause, else the first that fires, else the first there was."""
        found = self.firing or tuple(sorted(self.alerts, key=_order))
        return next((alert for alert in found if alert.fingerprint == self.cause), found[0])

    @property
    def root(self) -> str:
        """What it is about, for telling of one trouble once: the source, the class, and the provider or service."""
        if not self.alerts:
            return ""
        lead = self.leading
        about = lead.labels.get("provider") or lead.service
        return f"{lead.source}|{lead.kind}|{about}".replace("\0", "") if about else ""


@dataclass(frozen=True)
class Step:
    """What events did to an incident: the incident now (None if there is none), why for each, what to tell, and the
    incidents that were merged into it."""

    incident: Incident | None
    reasons: tuple[Reason, ...]
    notice: Reason | None = None
    merged: tuple[Incident, ...] = ()


def advance(
    incident: Incident | None,
    past: Mapping[Occurrence, Status],
    key: str,
    events: Iterable[AlertEvent],
    now: float,
    absorbed: Sequence[Incident] = (),
    graph: ServiceGraph | None = None,
) -> Step:
    """Applies `events` to `incident` (None opens one of `key`), which takes in those `absorbed` first.

    `past` tells how all occurrences of these alerts stand, those of closed incidents included.
    """
    work = _Work(incident, key, past, now)
    for other in absorbed:
        work.take_in(other)
    reasons = [work.apply(event) for event in events]
    after = work.result()
    notice = next((reason for reason in reversed(reasons) if reason in TOLD), None)
    if after is not None and after.live and graph is not None and graph.depends_on:
        after = replace(after, cause=cause_of(after, graph))
        # an end may leave one service as the lowest: that is no news worth a page
        fires = any(reason in ("joined", "severity_rose") for reason in reasons)
        found = fires and after.cause is not None and incident is not None and after.cause != cause_of(incident, graph)
        notice = "cause_found" if found and notice is None else notice
    if after is not None and incident is not None and after.key == STORM_KEY and notice is None:
        notice = "storm_grew" if len(after.alerts).bit_length() > len(incident.alerts).bit_length() else None
    return Step(after, tuple(reasons), notice, tuple(_merged(other, after, now) for other in absorbed))


def cause_of(incident: Incident, graph: ServiceGraph) -> str | None:
    """The fingerprint of the first firing alert of the service that the others' services need, if there is one."""
    lowest = graph.lowest({alert.service for alert in incident.firing if alert.service})
    return next((alert.fingerprint for alert in incident.firing if lowest and alert.service == lowest), None)


def acknowledge(incident: Incident, by: str, now: float) -> Incident:
    """`incident` in the hands of `by`; unchanged when it has ended or is acknowledged already."""
    if not incident.live or incident.state == "acknowledged":
        return incident
    return replace(
        incident,
        state="acknowledged",
        acknowledged_at=now,
        acknowledged_by=by,
        assigned_to=None,
        revision=incident.revision + 1,
    )


def _merged(other: Incident, into: Incident | None, now: float) -> Incident:
    return replace(
        other,
        state="merged",
        revision=other.revision + 1,
        resolved_at=now,
        merged_into=into.id if into is not None else None,
        alerts=(),
    )


class _Work:
    """An incident while events are applied to it; its alerts by fingerprint."""

    def __init__(self, incident: Incident | None, key: str, past: Mapping[Occurrence, Status], now: float) -> None:
        self._before, self._now = incident, now
        self._past = dict(past)
        self._latest: dict[str, float] = {}
        for fingerprint, at in past:
            self._latest[fingerprint] = max(at, self._latest.get(fingerprint, at))
        self._alerts = {alert.fingerprint: alert for alert in incident.alerts} if incident is not None else {}
        self._firing = {alert.fingerprint for alert in self._alerts.values() if alert.status == "firing"}
        self._now_is = incident or Incident(None, key, "resolved", SEVERITIES[0], now, None, 0, ())
        self._exists = incident is not None

    def take_in(self, other: Incident) -> None:
        """The alerts of another incident, which is merged into this one."""
        for alert in other.alerts:
            held = self._alerts.get(alert.fingerprint)
            if held is None or held.starts_at < alert.starts_at:
                self._set(alert)
        self._grow(other.severity, other.opened_at)

    def apply(self, event: AlertEvent) -> Reason:
        """Applies one event and says what it did."""
        known = self._past.get(event.occurrence)
        reason = self._reason(event, known)
        self._past[event.occurrence] = "resolved" if known == "resolved" else event.status
        latest = self._latest.get(event.fingerprint, event.starts_at)
        self._latest[event.fingerprint] = max(latest, event.starts_at)
        return reason

    def _reason(self, event: AlertEvent, known: Status | None) -> Reason:
        if known == event.status:
            return "repeat"
        later = self._latest.get(event.fingerprint, event.starts_at) > event.starts_at
        if known == "resolved" or (event.status == "firing" and later):
            return "stale"
        if event.status == "firing":
            return self._fires(event)
        return self._ends(event) if self._now_is.live else "never_fired_here"

    def _fires(self, event: AlertEvent) -> Reason:
        held = self._alerts.get(event.fingerprint)
        severity = self._now_is.severity
        was_live, existed = self._now_is.live, self._exists
        self._set(event)
        self._exists = True
        if not was_live:
            self._begin(event, again=existed)
            return "reopened" if existed else "opened"
        self._grow(severity_of(event.labels), event.starts_at)
        if held is not None and held.status == "firing" and event.starts_at - held.starts_at > SAME_OUTBREAK_SECONDS:
            # who had it, or put it off, did not know of this outbreak
            self._now_is = replace(
                self._now_is,
                state="reopened",
                acknowledged_at=None,
                acknowledged_by=None,
                assigned_to=None,
                snoozed_until=None,
            )
            return "fired_again"
        if self._now_is.severity == severity:
            return "joined"
        # whoever put it off did not know how bad it would be
        self._now_is = replace(self._now_is, snoozed_until=None)
        return "severity_rose"

    def _begin(self, event: AlertEvent, again: bool) -> None:
        severity = severity_of(event.labels)
        if again:
            self._now_is = replace(
                self._now_is,
                state="reopened",
                resolved_at=None,
                reopened=self._now_is.reopened + 1,
                acknowledged_at=None,
                acknowledged_by=None,
                assigned_to=None,
                snoozed_until=None,
            )
            self._grow(severity, event.starts_at)
        else:
            self._now_is = replace(self._now_is, state="open", severity=severity, opened_at=event.starts_at)

    def _ends(self, event: AlertEvent) -> Reason:
        held = self._alerts.get(event.fingerprint)
        if held is None:
            return "never_fired_here"
        ended = event.ends_at if event.ends_at is not None else self._now
        if ended <= held.starts_at:
            return "stale"
        # whatever its start: of two Prometheus servers the later may be heard first; Alertmanager moves the start back
        self._set(replace(event, starts_at=held.starts_at, ends_at=ended))
        if self._firing:
            return "partly_resolved"
        state = _ENDED[event.origin]
        last = max(alert.ends_at or ended for alert in self._alerts.values())
        self._now_is = replace(self._now_is, state=state, resolved_at=last)
        return state

    def _grow(self, severity: str, began: float) -> None:
        now_is = self._now_is
        worst = max(now_is.severity, severity, key=SEVERITIES.index)
        self._now_is = replace(now_is, severity=worst, opened_at=min(now_is.opened_at, began))

    def _set(self, event: AlertEvent) -> None:
        self._alerts.pop(event.fingerprint, None)
        self._alerts[event.fingerprint] = event
        (self._firing.add if event.status == "firing" else self._firing.discard)(event.fingerprint)

    def result(self) -> Incident | None:
        """The incident now; a revision further if anything changed."""
        if not self._exists:
            return None
        after = replace(self._now_is, alerts=tuple(self._alerts.values()))
        if after == self._before:
            return after
        return replace(after, revision=after.revision + 1)


def _order(alert: AlertEvent) -> tuple[int, float, str]:
    return -SEVERITIES.index(severity_of(alert.labels)), alert.starts_at, alert.fingerprint
