"""Incidents, alerts and messages as rows, and the statements that write an incident."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent, StoredEvent
from receiver.delivery.outbox import Planned
from receiver.incidents import Incident, Step
from receiver.store import correlation
from receiver.store.tables import alerts, events, incidents

_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(AlertEvent)


class Changed(Exception):
    """Somebody else changed the incident since it was read; read it again."""


@dataclass(frozen=True)
class Decision:
    """Why something was done, or was not: what, the named reason, and the particulars for a person."""

    what: str
    reason: str
    detail: str = ""


async def read_incident(connection: AsyncConnection, id_: int) -> Incident | None:
    """The incident with its alerts as they are; None when there is none."""
    row = (await connection.execute(select(incidents).where(incidents.c.id == id_))).mappings().first()
    if row is None:
        return None
    query = select(alerts.c.event_json).where(alerts.c.incident_id == id_).order_by(alerts.c.starts_at)
    latest: dict[str, AlertEvent] = {}
    for text in (await connection.execute(query)).scalars():
        event = _event.decode(text)
        latest[event.fingerprint] = event
    known = {name: value for name, value in row.items() if name != "root"}
    return Incident(**known, alerts=tuple(latest.values()))


async def save_incident(
    connection: AsyncConnection, incident: Incident | None, before: Incident | None
) -> Incident | None:
    """Stores a new incident, or its next revision; returns it with its id. Raises Changed when it is no longer as
    `before`."""
    if incident is None or (before is not None and incident.revision == before.revision):
        return incident
    values = {column.name: getattr(incident, column.name) for column in incidents.c if column.name != "id"}
    if incident.id is None:
        result = await connection.execute(insert(incidents).values(values).returning(incidents.c.id))
        return replace(incident, id=result.scalar_one())
    changed = await connection.execute(
        update(incidents)
        .where(incidents.c.id == incident.id, incidents.c.revision == incident.revision - 1)
        .values(values)
    )
    if changed.rowcount != 1:
        raise Changed
    return incident


async def save_reasons(
    connection: AsyncConnection, step: Step, incident: Incident | None, handled: Sequence[StoredEvent], now: float
) -> None:
    """Notes of each event what it did. Raises Changed when somebody else has processed one."""
    by_reason: dict[str, list[int]] = {}
    for stored, reason in zip(handled, step.reasons, strict=True):
        by_reason.setdefault(reason, []).append(stored.id)
    for said, ids in by_reason.items():
        owner = incident.id if incident is not None and said != "never_fired_here" else None
        for start in range(0, len(ids), correlation.MOST_NAMED):
            some = ids[start : start + correlation.MOST_NAMED]
            done = await connection.execute(
                update(events)
                .where(events.c.id.in_(some), events.c.processed_at.is_(None))
                .values(processed_at=now, reason=said, incident_id=owner)
            )
            if done.rowcount != len(some):
                raise Changed


def alert_row(event: AlertEvent, incident: int | None) -> dict[str, Any]:
    """How an alert stands, and in which incident."""
    return {
        "fingerprint": event.fingerprint,
        "starts_at": event.starts_at,
        "status": event.status,
        "incident_id": incident,
        "event_json": _encode(event).decode(),
        "service": event.service.replace("\0", ""),  # PostgreSQL takes none
    }


def decision_row(incident: Incident, decision: Decision, now: float) -> dict[str, Any]:
    """Why something was decided at `now`, in seconds since the epoch."""
    return {
        "at": now,
        "incident_id": incident.id,
        "revision": incident.revision,
        "what": decision.what,
        "reason": decision.reason,
        "detail": decision.detail,
    }


def event_key(event: AlertEvent) -> tuple[str, float, str, float]:
    """EVENT_KEY of an event."""
    return event.fingerprint, event.starts_at, event.status, event.ends_at or 0.0


def event_row(event: AlertEvent, now: float) -> dict[str, Any]:
    """What came in at `now`, in seconds since the epoch."""
    fingerprint, starts_at, status, ends_at = event_key(event)
    return {
        "received_at": now,
        "fingerprint": fingerprint,
        "starts_at": starts_at,
        "status": status,
        "ends_at": ends_at,
        "event_json": _encode(event).decode(),
    }


def outbox_row(incident: Incident, planned: Planned, received_at: float, now: float) -> dict[str, Any]:
    """A message to send, due at once or when its hold is over."""
    return {
        "incident_id": incident.id,
        "revision": incident.revision,
        "target": planned.target,
        "message_json": _encode(planned.message).decode(),
        "status": planned.message.status,
        "reason": planned.message.reason,
        "route": planned.route,
        "state": "shadow" if planned.shadow else "planned",
        "attempts": 0,
        "may_repeat": False,
        "received_at": received_at,
        "planned_at": now,
        "next_attempt_at": now if planned.hold is None else planned.hold.until,
        "finished_at": now if planned.shadow else None,
        "digest": None if planned.hold is None else planned.hold.digest,
        "held_until": None if planned.hold is None else planned.hold.until,
    }
