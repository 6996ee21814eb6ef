"""What waits in the store, as the audit wants it. Raises StorageUnavailable when the database can't serve."""

from collections.abc import Iterable

from sqlalchemy import case, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.incidents import LIVE
from receiver.store.tables import alerts, decisions, events, incidents, outbox
from receiver.upkeep.audit import Mark, Queue, of_queues
from toolkit.storage import Database

MOST_LOOKED_AT = 1000
"""Of one kind, the oldest first: whether something is stuck shows by these."""


class AuditStore:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marks(self, served: Iterable[str], now: float) -> list[Mark]:
        """Everything that waits; `served` are the targets of the configuration, `now` is in seconds since the epoch."""
        async with self._database.read() as connection:
            return [
                *await _events(connection),
                *await _incidents(connection),
                *await _notices(connection),
                *await _leases(connection),
                *of_queues(await _queues(connection, now), served),
            ]


async def _events(connection: AsyncConnection) -> list[Mark]:
    query = select(events.c.id).where(events.c.processed_at.is_(None)).order_by(events.c.id).limit(MOST_LOOKED_AT)
    return [Mark("events_unprocessed", str(id_)) for id_ in (await connection.execute(query)).scalars()]


async def _incidents(connection: AsyncConnection) -> list[Mark]:
    fires = exists().where(alerts.c.incident_id == incidents.c.id, alerts.c.status == "firing")
    query = select(incidents.c.id).where(incidents.c.state.in_(LIVE), ~fires).order_by(incidents.c.id)
    ids = (await connection.execute(query.limit(MOST_LOOKED_AT))).scalars()
    return [Mark("incident_without_alert", str(id_)) for id_ in ids]


async def _notices(connection: AsyncConnection) -> list[Mark]:
    """Decisions to tell somebody, of live incidents, without a message."""
    same = (outbox.c.incident_id == decisions.c.incident_id) & (outbox.c.revision == decisions.c.revision)
    query = (
        select(decisions.c.id)
        .join(incidents, incidents.c.id == decisions.c.incident_id)
        .where(incidents.c.state.in_(LIVE), decisions.c.what == "told", ~exists().where(same))
        .order_by(decisions.c.id)
    )
    ids = (await connection.execute(query.limit(MOST_LOOKED_AT))).scalars()
    return [Mark("notice_without_rows", str(id_)) for id_ in ids]


async def _leases(connection: AsyncConnection) -> list[Mark]:
    query = select(outbox.c.id, outbox.c.lease_until, outbox.c.leased_by).where(
        outbox.c.state == "sending", outbox.c.lease_until.is_not(None)
    )
    rows = await connection.execute(query.order_by(outbox.c.id).limit(MOST_LOOKED_AT))
    return [Mark("lease_expired", str(row.id), (row.lease_until, row.leased_by)) for row in rows]


async def _queues(connection: AsyncConnection, now: float) -> list[Queue]:
    is_due = (outbox.c.next_attempt_at <= now) & (outbox.c.state != "sending")
    is_put_off = (outbox.c.next_attempt_at > now) & (outbox.c.attempts > 0)
    query = (
        select(
            outbox.c.target,
            func.count(),
            func.sum(case((is_due, 1), else_=0)),
            func.sum(case((is_put_off, 1), else_=0)),
            func.sum(outbox.c.attempts),
        )
        .where(outbox.c.finished_at.is_(None))
        .group_by(outbox.c.target)
    )
    return [Queue(*row) for row in await connection.execute(query)]
