"""Reads and writes the store. Every method raises StorageUnavailable when the database can't serve."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent, Occurrence, Status
from receiver.incidents import Incident, Step
from receiver.outbox import Planned
from receiver.reconcile import Held
from receiver.store.outbox import OutboxStore
from receiver.store.tables import alerts, deliveries, events, incidents, outbox, refused
from toolkit.storage import Database

MIGRATIONS = Path(__file__).parent / "migrations"
REFUSED_KEPT = 100
REFUSED_BYTES = 1024 * 1024
REFUSED_DETAIL = 500
"""How many refused bodies are kept, and how much of each: enough to see what is wrong, bounded whatever is sent."""

_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(AlertEvent)


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
        self.outbox = OutboxStore(database)

    # --- intake

    async def add_events(self, found: Sequence[AlertEvent], now: float) -> list[bool]:
        """Stores what is new and says of each whether it was. On disk when this returns."""
        if not found:
            return []
        statement = self._database.insert(events).on_conflict_do_nothing()
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
        is_open = incidents.c.resolved_at.is_(None)
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
            .where(incidents.c.resolved_at.is_(None), alerts.c.status == "firing")
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
                await self._save_alert(connection, stored.event, owner)
                await connection.execute(
                    update(events).where(events.c.id == stored.id).values(processed_at=now, reason=reason)
                )
            if incident is not None:
                # an alert may have been ended by the resolve of another start of it
                for alert in set_apart(incident, before):
                    await self._save_alert(connection, alert, incident.id)
            if incident is not None:
                received_at = min(stored.received_at for stored in handled)
                for planned in plan(incident):
                    await connection.execute(insert(outbox), _outbox_row(incident, planned, received_at, now))
        return incident

    async def _save_alert(self, connection: AsyncConnection, event: AlertEvent, incident: int | None) -> None:
        """Stores how an occurrence stands; one that is resolved stays so."""
        statement = self._database.insert(alerts)
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
    known = {
        column: row[column] for column in ("id", "key", "state", "severity", "opened_at", "resolved_at", "revision")
    }
    return Incident(**known, alerts=tuple(latest.values()))


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
