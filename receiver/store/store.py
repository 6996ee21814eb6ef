"""Reads and writes the store. Every method raises StorageUnavailable when the database can't serve."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, delete, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent, Occurrence, Status
from receiver.incidents import Incident, Step
from receiver.message import Message
from receiver.outbox import UNFINISHED, Claimed, Next, Planned, Receipt
from receiver.reconcile import Held
from receiver.store.tables import alerts, deliveries, events, incidents, outbox, refused
from toolkit.storage import Database

MIGRATIONS = Path(__file__).parent / "migrations"
REFUSED_KEPT = 100
REFUSED_BYTES = 1024 * 1024
REFUSED_DETAIL = 500
"""How many refused bodies are kept, and how much of each: enough to see what is wrong, bounded whatever is sent."""

_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(AlertEvent)
_message = msgspec.json.Decoder(Message)


class Changed(Exception):
    """Somebody else changed the incident since it was read; read it again."""


@dataclass(frozen=True)
class StoredEvent:
    """An event that is not processed yet."""

    id: int
    received_at: float
    event: AlertEvent


class Store:
    """The receiver's one door to its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- intake

    async def add_events(self, found: Sequence[AlertEvent], now: float) -> list[bool]:
        """Stores what is new and says of each whether it was. On disk when this returns."""
        if not found:
            return []
        statement = insert(events).on_conflict_do_nothing()
        new: list[bool] = []
        async with self._database.write() as connection:
            for event in found:
                row = {
                    "received_at": now,
                    "fingerprint": event.fingerprint,
                    "starts_at": event.starts_at,
                    "status": event.status,
                    "ends_at": event.ends_at or 0.0,
                    "event_json": _encode(event).decode(),
                }
                new.append((await connection.execute(statement, row)).rowcount == 1)
        return new

    async def keep_refused(self, body: bytes, reason: str, detail: str, now: float) -> None:
        """Keeps the beginning of a refused body for a person to look at; the oldest beyond REFUSED_KEPT go."""
        body, detail = body[:REFUSED_BYTES], detail[:REFUSED_DETAIL]
        async with self._database.write() as connection:
            await connection.execute(
                insert(refused), {"received_at": now, "reason": reason, "detail": detail, "body": body}
            )
            newest = select(refused.c.id).order_by(refused.c.id.desc()).limit(REFUSED_KEPT)
            await connection.execute(delete(refused).where(refused.c.id.not_in(newest)))

    async def unprocessed(self, limit: int) -> list[StoredEvent]:
        """The oldest events that are not processed yet."""
        query = select(events.c.id, events.c.received_at, events.c.event_json)
        query = query.where(events.c.processed_at.is_(None)).order_by(events.c.id).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [StoredEvent(id_, received_at, _event.decode(text)) for id_, received_at, text in rows]

    # --- incidents

    async def open_incident(self, key: str, fingerprints: Iterable[str] = ()) -> Incident | None:
        """The open incident that holds one of these alerts, else the one with this correlation key.

        The alerts come first: the labels that make a key may have been changed by a reload since it was opened.
        """
        is_open = incidents.c.state == "open"
        holds = select(alerts.c.incident_id).where(alerts.c.fingerprint.in_(list(fingerprints)[:500]))
        async with self._database.read() as connection:
            held = await _incident(connection, is_open & incidents.c.id.in_(holds))
            return held or await _incident(connection, is_open & (incidents.c.key == key))

    async def past(self, occurrences: Iterable[Occurrence]) -> dict[Occurrence, Status]:
        """How these occurrences stand, as far as we know them."""
        found: dict[Occurrence, Status] = {}
        query = select(alerts.c.starts_at, alerts.c.status)
        async with self._database.read() as connection:
            for fingerprint in {fingerprint for fingerprint, _ in occurrences}:
                rows = await connection.execute(query.where(alerts.c.fingerprint == fingerprint))
                found.update({(fingerprint, starts_at): status for starts_at, status in rows})
        return found

    async def held(self) -> list[Held]:
        """The alerts that fire in open incidents, with when they were last heard of anew."""
        heard = select(func.max(events.c.received_at)).where(events.c.fingerprint == alerts.c.fingerprint)
        query = (
            select(alerts.c.event_json, heard.scalar_subquery())
            .join(incidents, incidents.c.id == alerts.c.incident_id)
            .where(incidents.c.state == "open", alerts.c.status == "firing")
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Held(_event.decode(text), heard_at or 0.0) for text, heard_at in rows]

    async def commit(
        self,
        step: Step,
        before: Incident | None,
        handled: Sequence[StoredEvent],
        plan: Callable[[Incident], Sequence[Planned]],
        now: float,
    ) -> Incident | None:
        """Stores the incident, its alerts, the reasons and the outbox rows that `plan` makes for it: all or nothing.

        Returns the incident with its id. Raises Changed when it is no longer as `before`.
        """
        async with self._database.write() as connection:
            incident = await _save_incident(connection, step.incident, before)
            for stored, reason in zip(handled, step.reasons, strict=True):
                owner = incident.id if incident is not None and reason != "never_fired_here" else None
                await _save_alert(connection, stored.event, owner)
                await connection.execute(
                    update(events).where(events.c.id == stored.id).values(processed_at=now, reason=reason)
                )
            if incident is not None:
                # an alert may have been ended by the resolve of another start of it
                for alert in set_apart(incident, before):
                    await _save_alert(connection, alert, incident.id)
            if incident is not None:
                received_at = min(stored.received_at for stored in handled)
                for planned in plan(incident):
                    await connection.execute(insert(outbox), _outbox_row(incident, planned, received_at, now))
        return incident

    # --- outbox

    async def recover(self, now: float) -> int:
        """Marks what a dead process was sending as `unknown`, due now; returns how many rows that were."""
        statement = update(outbox).where(outbox.c.state == "sending")
        values = {"state": "unknown", "may_repeat": True, "next_attempt_at": now}
        async with self._database.write() as connection:
            return (await connection.execute(statement.values(values))).rowcount

    async def claim(self, target: str, now: float) -> Claimed | None:
        """Takes the oldest row due for `target`, marked `sending` on disk before it is sent.

        A row waits for earlier revisions of its incident, so that a resolve never overtakes its firing.
        """
        query = select(outbox).where(_waiting(target), outbox.c.next_attempt_at <= now)
        async with self._database.write() as connection:
            row = (await connection.execute(query.order_by(outbox.c.id).limit(1))).mappings().first()
            if row is None:
                return None
            attempts = row["attempts"] + 1
            await connection.execute(
                update(outbox).where(outbox.c.id == row["id"]).values(state="sending", attempts=attempts)
            )
        return Claimed(
            id=row["id"],
            incident=row["incident_id"],
            revision=row["revision"],
            target=target,
            message=_message.decode(row["message_json"]),
            attempts=attempts,
            may_repeat=row["may_repeat"],
            received_at=row["received_at"],
            planned_at=row["planned_at"],
        )

    async def finish(self, row: Claimed, receipt: Receipt, following: Next, started: float, ended: float) -> None:
        """Records an attempt and where the row goes next."""
        done = following.at is None
        values: dict[str, Any] = {"state": following.state, "finished_at": ended if done else None}
        if following.at is not None:
            values["next_attempt_at"] = following.at
        if receipt.result == "unknown":
            values["may_repeat"] = True
        async with self._database.write() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == row.id).values(values))
            await connection.execute(
                insert(deliveries),
                {
                    "outbox_id": row.id,
                    "attempt": row.attempts,
                    "started_at": started,
                    "ended_at": ended,
                    "result": receipt.result,
                    "http_status": receipt.http_status,
                    "retry_after": receipt.retry_after,
                    "detail": receipt.detail,
                },
            )

    async def next_due(self, target: str) -> float | None:
        """When the next row for `target` is due, or None when none waits."""
        query = select(func.min(outbox.c.next_attempt_at)).where(_waiting(target))
        async with self._database.read() as connection:
            due: float | None = (await connection.execute(query)).scalar()
        return due

    async def told(self, incident: int) -> list[str]:
        """The targets of an incident's messages so far, in the order they were first planned."""
        query = select(outbox.c.target).where(outbox.c.incident_id == incident).order_by(outbox.c.id)
        async with self._database.read() as connection:
            return list(dict.fromkeys((await connection.execute(query)).scalars()))

    async def abandon(self, served: Iterable[str], now: float) -> dict[str, int]:
        """Ends what waits for a target that nobody serves any more; returns how many rows that were, by target."""
        gone = outbox.c.finished_at.is_(None) & outbox.c.target.not_in(list(served))
        async with self._database.write() as connection:
            rows = (await connection.execute(select(outbox.c.id, outbox.c.target, outbox.c.attempts).where(gone))).all()
            for id_, _, attempts in rows:
                await connection.execute(update(outbox).where(outbox.c.id == id_).values(state="dead", finished_at=now))
                detail = "the target left the configuration"
                attempt = {"outbox_id": id_, "attempt": attempts, "started_at": now, "ended_at": now}
                await connection.execute(insert(deliveries), {**attempt, "result": "failed", "detail": detail})
        return dict(Counter(target for _, target, _ in rows))

    # --- what people and Prometheus read

    async def figures(self) -> "Figures":
        """Counts for the self-metrics."""

        def by_state(table: Any) -> Select[Any]:
            return select(table.c.state, func.count()).group_by(table.c.state)

        waiting = select(func.count()).where(events.c.processed_at.is_(None)).select_from(events)
        oldest = select(func.min(outbox.c.planned_at)).where(outbox.c.finished_at.is_(None))
        async with self._database.read() as connection:
            return Figures(
                incidents={row[0]: row[1] for row in await connection.execute(by_state(incidents))},
                outbox={row[0]: row[1] for row in await connection.execute(by_state(outbox))},
                oldest_planned_at=(await connection.execute(oldest)).scalar() or 0.0,
                unprocessed=(await connection.execute(waiting)).scalar() or 0,
            )

    async def incidents(self, limit: int) -> list[Incident]:
        """The newest incidents first."""
        query = select(incidents.c.id).order_by(incidents.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            ids = (await connection.execute(query)).scalars().all()
            found = [await _incident(connection, incidents.c.id == id_) for id_ in ids]
        return [incident for incident in found if incident is not None]

    async def incident(self, id_: int) -> Incident | None:
        """One incident."""
        async with self._database.read() as connection:
            return await _incident(connection, incidents.c.id == id_)

    async def notices(self, incident: int) -> list[Mapping[str, Any]]:
        """An incident's outbox rows with their attempts, oldest first, as plain values for the API."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(outbox).where(outbox.c.incident_id == incident).order_by(outbox.c.id)
            )
            found: list[Mapping[str, Any]] = []
            for row in rows.mappings().all():
                attempts = await connection.execute(
                    select(deliveries).where(deliveries.c.outbox_id == row["id"]).order_by(deliveries.c.id)
                )
                found.append({**row, "deliveries": [dict(attempt) for attempt in attempts.mappings()]})
        return found


@dataclass(frozen=True)
class Figures:
    """Counts by state, when the oldest unfinished outbox row was planned (0 for none), and events to process."""

    incidents: Mapping[str, int]
    outbox: Mapping[str, int]
    oldest_planned_at: float
    unprocessed: int


def _waiting(target: str) -> ColumnElement[bool]:
    """The rows of a target that wait, and for nothing but their time: no earlier revision is unfinished."""
    earlier = outbox.alias()
    unfinished_before = exists().where(
        earlier.c.incident_id == outbox.c.incident_id,
        earlier.c.target == outbox.c.target,
        earlier.c.revision < outbox.c.revision,
        earlier.c.state.in_(UNFINISHED),
    )
    own = (outbox.c.target == target) & outbox.c.finished_at.is_(None) & (outbox.c.state != "sending")
    return own & ~unfinished_before


def set_apart(incident: Incident, before: Incident | None) -> Iterable[AlertEvent]:
    """The alerts of `incident` that are no longer as they were `before`."""
    known = {alert.occurrence: alert.status for alert in before.alerts} if before is not None else {}
    return (alert for alert in incident.alerts if known.get(alert.occurrence) != alert.status)


async def _incident(connection: AsyncConnection, condition: Any) -> Incident | None:
    row = (await connection.execute(select(incidents).where(condition))).mappings().first()
    if row is None:
        return None
    query = select(alerts.c.event_json).where(alerts.c.incident_id == row["id"]).order_by(alerts.c.starts_at)
    latest: dict[str, AlertEvent] = {}
    for text in (await connection.execute(query)).scalars():
        event = _event.decode(text)
        latest[event.fingerprint] = event
    return Incident(**row, alerts=tuple(latest.values()))


async def _save_incident(
    connection: AsyncConnection, incident: Incident | None, before: Incident | None
) -> Incident | None:
    if incident is None or incident == before:
        return incident
    values = {
        "key": incident.key,
        "state": incident.state,
        "severity": incident.severity,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "revision": incident.revision,
    }
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


async def _save_alert(connection: AsyncConnection, event: AlertEvent, incident: int | None) -> None:
    """Stores how an occurrence stands; one that is resolved stays so."""
    statement = insert(alerts)
    values = {
        "fingerprint": event.fingerprint,
        "starts_at": event.starts_at,
        "status": event.status,
        "incident_id": incident,
        "event_json": _encode(event).decode(),
    }
    update_to = {"status": statement.excluded.status, "event_json": statement.excluded.event_json}
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["fingerprint", "starts_at"], set_=update_to, where=alerts.c.status == "firing"
        ),
        values,
    )


def _outbox_row(incident: Incident, planned: Planned, received_at: float, now: float) -> dict[str, Any]:
    return {
        "incident_id": incident.id,
        "revision": incident.revision,
        "target": planned.target,
        "message_json": _encode(planned.message).decode(),
        "route": planned.route,
        "state": "planned",
        "attempts": 0,
        "may_repeat": False,
        "received_at": received_at,
        "planned_at": now,
        "next_attempt_at": now,
    }
