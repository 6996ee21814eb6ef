"""What the store knows of a drill: the order, as a sign that replicas share, and the traces that it left.

Every method raises StorageUnavailable when the database can't serve.
"""

from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent
from receiver.drills.drill import Drill, Heard, Record, Told, is_drill
from receiver.message import Message
from receiver.store.signs import SignStore
from receiver.store.tables import alerts, deliveries, events, incidents, outbox
from toolkit.storage import Database

SIGN = "drill"
_drill = msgspec.json.Decoder(Drill)
_event = msgspec.json.Decoder(AlertEvent)
_message = msgspec.json.Decoder(Message)


class DrillStore:
    """The last drill."""

    def __init__(self, database: Database, signs: SignStore) -> None:
        self._database, self._signs = database, signs

    async def last(self) -> Drill | None:
        """The last drill, over or not; None before the first."""
        sign = await self._signs.get(SIGN)
        return _drill.decode(sign.detail) if sign is not None else None

    async def put(self, drill: Drill) -> None:
        """Puts a drill in the place of the one before."""
        await self._signs.put(SIGN, drill.started_at, msgspec.json.encode(drill).decode())

    async def order(self, target: str, now: float) -> Drill:
        """Begins a drill: whatever is stored from here on may be its own."""
        async with self._database.read() as connection:
            newest_event = (await connection.execute(select(func.max(events.c.id)))).scalar() or 0
            newest_row = (await connection.execute(select(func.max(outbox.c.id)))).scalar() or 0
        drill = Drill(round(now, 3), target, None, newest_event, newest_row)
        await self.put(drill)
        return drill

    async def record(self, drill: Drill) -> Record:
        """What came of a drill so far."""
        async with self._database.read() as connection:
            rows = [row for row in await connection.execute(_heard(drill)) if _is_own(row)]
            found = [row.incident_id for row in rows if row.incident_id is not None]
            told = await _told(connection, drill, found)
        is_open = any(row.incident_id is not None and row.resolved_at is None for row in rows)
        return Record(tuple(Heard(row.status, row.received_at, row.incident_id) for row in rows), told, is_open)


def _heard(drill: Drill) -> Select[Any]:
    """The events that may be a drill's. The text is looked at for the label, so that a storm is not decoded."""
    incident = func.coalesce(events.c.incident_id, alerts.c.incident_id)
    same = (alerts.c.fingerprint == events.c.fingerprint) & (alerts.c.starts_at == events.c.starts_at)
    marked = events.c.event_json.contains('"drill":"true"', autoescape=True)
    columns = (events.c.status, events.c.received_at, events.c.event_json, incidents.c.resolved_at)
    return (
        select(*columns, incident.label("incident_id"))
        .select_from(events.outerjoin(alerts, same).outerjoin(incidents, incidents.c.id == incident))
        .where(events.c.id > drill.after_event, marked)
        .order_by(events.c.id)
    )


def _is_own(row: Row[Any]) -> bool:
    event = _event.decode(row.event_json)
    return event.origin == "webhook" and is_drill(event.labels)


async def _told(connection: AsyncConnection, drill: Drill, found: list[int]) -> tuple[Told, ...]:
    """The messages of these incidents since the drill began, each with its last attempt, the oldest first."""
    query = (
        select(
            outbox.c.id,
            outbox.c.target,
            outbox.c.state,
            outbox.c.message_json,
            deliveries.c.result,
            deliveries.c.detail,
        )
        .outerjoin(deliveries, deliveries.c.outbox_id == outbox.c.id)
        .where(outbox.c.incident_id.in_(found), outbox.c.id > drill.after_row)
        .order_by(outbox.c.id, deliveries.c.id)
    )
    rows = (await connection.execute(query)).all()
    latest = {
        row.id: Told(
            row.target, _message.decode(row.message_json).status, row.state, row.result or "", row.detail or ""
        )
        for row in rows
    }
    return tuple(latest.values())
