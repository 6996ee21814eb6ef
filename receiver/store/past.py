"""What the records say around an incident: the same trouble before, and what else fires nearby.

Every method raises StorageUnavailable when the database can't serve.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent
from receiver.incidents import Incident
from receiver.store.tables import actions, alerts, incidents
from toolkit.storage import Database

SEARCHED = 20_000
"""How many of the newest incidents are searched for the same trouble."""
MOST_NEARBY = 200

_event = msgspec.json.Decoder(AlertEvent)


@dataclass(frozen=True)
class Earlier:
    """An incident of the same trouble; it goes on while `resolved_at` is None. `had_by` acknowledged it; `ended_by`
    ended it, or left the last `note`. Times are seconds since the epoch."""

    incident: int
    opened_at: float
    resolved_at: float | None
    had_by: str = ""
    ended_by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Nearby:
    """An alert that fires in a live incident."""

    incident: int
    alert: AlertEvent


class PastStore:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def earlier(self, incident: Incident, since: float) -> tuple[int, Earlier | None]:
        """How many other incidents of the same trouble opened since a time, and the last of them."""
        query = select(func.coalesce(incidents.c.merged_into, incidents.c.id)).where(_same(incident))
        own = incident.id or 0
        others = select(incidents).where(incidents.c.id.in_(query), incidents.c.id != own)
        others = others.where(incidents.c.opened_at >= since).order_by(incidents.c.opened_at.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(others)).mappings().all()
            return len(rows), await _earlier(connection, rows[0]) if rows else None

    async def nearby(self, services: Collection[str], besides: int | None) -> list[Nearby]:
        """Alerts of `services` that fire in other live incidents, the oldest first."""
        query = (
            select(alerts.c.incident_id, alerts.c.event_json)
            .join(incidents, incidents.c.id == alerts.c.incident_id)
            .where(alerts.c.status == "firing", alerts.c.service.in_(services), incidents.c.resolved_at.is_(None))
            .where(incidents.c.id != (besides or 0))
            .order_by(alerts.c.starts_at)
            .limit(MOST_NEARBY)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Nearby(number, _event.decode(text)) for number, text in rows]


def _same(incident: Incident) -> ColumnElement[bool]:
    """The incidents of one key, and those that the same alert of the same service opened, wherever it ran."""
    newest = select(func.max(incidents.c.id)).scalar_subquery()
    lead = incident.leading
    named = [["alertname", lead.name], ["service", lead.service]]
    parts = [incidents.c.key.contains(json.dumps(part, ensure_ascii=False), autoescape=True) for part in named]
    alike = or_(incidents.c.key == incident.key, and_(*parts)) if lead.service else incidents.c.key == incident.key
    return and_(incidents.c.id > newest - SEARCHED, alike)


async def _earlier(connection: AsyncConnection, row: Any) -> Earlier:
    noted = (await connection.execute(_last_note(row["id"]))).first()
    return Earlier(
        incident=row["id"],
        opened_at=row["opened_at"],
        resolved_at=row["resolved_at"],
        had_by=row["acknowledged_by"] or "",
        ended_by=noted.by if noted else "",
        note=noted.note if noted else "",
    )


def _last_note(incident: int) -> Select[Any]:
    """What somebody did that ended it, or wrote of it. Why it was silenced or handed on is another matter."""
    ended = actions.c.what == "resolved"
    noted = actions.c.what.in_(("noted", "acknowledged")) & (actions.c.note != "")
    query = select(actions.c.by, actions.c.note).where(actions.c.incident_id == incident, ended | noted)
    return query.order_by((actions.c.note != "").desc(), actions.c.id.desc()).limit(1)
