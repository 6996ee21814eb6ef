"""Messages as people look at them, and those that were given up, planned anew.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.delivery.outbox import State
from receiver.store.tables import deliveries, outbox
from toolkit.storage import Database

REPLAYED = "replayed"
"""The `result` of a row of `deliveries` that is no attempt: from then on a message is tried for another day."""


class DeadLetters:
    """What `receiver.delivery.web` needs of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, state: State | None, target: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest messages in `state` for `target` (None: any), each with its last attempt, as plain values."""
        query = select(outbox).order_by(outbox.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(outbox.c.state == state)
        if target is not None:
            query = query.where(outbox.c.target == target)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
            return [{**row, "last_attempt": await last_attempt(connection, row["id"])} for row in rows]

    async def dead(self) -> list[tuple[int, str]]:
        """(id, target) of every message that was given up, the oldest first."""
        query = select(outbox.c.id, outbox.c.target).where(outbox.c.state == "dead").order_by(outbox.c.id)
        async with self._database.read() as connection:
            return [(id_, target) for id_, target in await connection.execute(query)]

    async def replay(self, ids: Iterable[int], now: float) -> list[int]:
        """Plans dead messages anew, as if for the first time, with another day of tries; returns those that were."""
        anew = {"state": "planned", "attempts": 0, "next_attempt_at": now, "finished_at": None}
        done: list[int] = []
        async with self._database.write() as connection:
            for id_ in ids:
                is_dead = (outbox.c.id == id_) & (outbox.c.state == "dead")
                if (await connection.execute(update(outbox).where(is_dead).values(anew))).rowcount == 1:
                    attempt = {"outbox_id": id_, "attempt": 0, "started_at": now, "ended_at": now}
                    why = {"result": REPLAYED, "detail": "given up before, asked for again by a person"}
                    await connection.execute(insert(deliveries), {**attempt, **why})
                    done.append(id_)
        return done


async def last_attempt(connection: AsyncConnection, row: int) -> dict[str, Any] | None:
    """The newest row of `deliveries` of a message, as plain values."""
    query = select(deliveries).where(deliveries.c.outbox_id == row).order_by(deliveries.c.id.desc()).limit(1)
    found = (await connection.execute(query)).mappings().first()
    return dict(found) if found is not None else None
