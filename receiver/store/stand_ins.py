"""What a target could not be told, and the rows of the fallback that is told in its place.

Every method raises StorageUnavailable when the database can't serve.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, ScalarSelect, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.delivery.fallback import Unheard
from receiver.message import Message
from receiver.store.dead_letters import last_attempt
from receiver.store.tables import outbox
from toolkit.storage import Database

_encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(Message)


class StandIns:
    """What `receiver.stages.stand_in` needs of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unheard(self, target: str, fallback: str, before: float, untried: bool) -> list[Unheard]:
        """What fires, should have been heard by `target` since `before`, and is unknown to `fallback`.

        Attempts have failed; with `untried` also what was not tried yet.
        """
        since = _unheard_since()
        query = select(outbox.c.id, since).where(
            outbox.c.target == target,
            outbox.c.finished_at.is_(None),
            outbox.c.status == "firing",
            since <= before,
            true() if untried else outbox.c.attempts > 0,
            ~_has_newer(target),
            ~_has_newer(fallback, or_same=True),
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
            return [await _with_last_attempt(connection, id_, since) for id_, since in found]

    async def unheard_ends(self, target: str, fallback: str) -> list[int]:
        """The ends that `target` has not heard yet of what `fallback` was told in its place."""
        query = select(outbox.c.id).where(
            outbox.c.target == target,
            outbox.c.finished_at.is_(None),
            outbox.c.status == "resolved",
            _was_stood_in_for(fallback),
            ~_has_newer(fallback, or_same=True),
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def plan(self, row: int, fallback: str, route: str, now: float) -> bool:
        """Plans a row's message for `fallback`, for the reason `route`; returns False where that is needless.

        It is when `fallback` knows this or something newer. A firing message is passed on only while it is the newest
        and not sent, an end only when `fallback` was told of the beginning in the target's place.
        """
        begins = (outbox.c.status == "firing") & outbox.c.finished_at.is_(None) & ~_has_newer(outbox.c.target)
        ends = (outbox.c.status == "resolved") & _was_stood_in_for(fallback)
        needed = (outbox.c.id == row) & (begins | ends) & ~_has_newer(fallback, or_same=True)
        async with self._database.write() as connection:
            found = (await connection.execute(select(outbox).where(needed))).mappings().first()
            if found is None:
                return False
            statement = self._database.insert(outbox).on_conflict_do_nothing()
            return (await connection.execute(statement, _stand_in_row(found, fallback, route, now))).rowcount == 1


def _has_newer(target: str | ColumnElement[str], or_same: bool = False) -> ColumnElement[bool]:
    """Whether `target` has a message of the same incident that is newer than the row; or as new."""
    other = outbox.alias()
    newer = other.c.revision >= outbox.c.revision if or_same else other.c.revision > outbox.c.revision
    return exists().where(other.c.incident_id == outbox.c.incident_id, other.c.target == target, newer)


def _was_stood_in_for(fallback: str) -> ColumnElement[bool]:
    """Whether `fallback` was told in another's place that the row's incident began."""
    told = outbox.alias()
    return exists().where(
        told.c.incident_id == outbox.c.incident_id,
        told.c.target == fallback,
        told.c.status == "firing",
        told.c.fallback_of.is_not(None),
    )


def _unheard_since() -> ScalarSelect[float]:
    """Since when the first message that fires was to be told, of those after the last that the target has heard."""
    heard, waiting = outbox.alias(), outbox.alias()
    last = select(func.coalesce(func.max(heard.c.revision), 0)).where(
        heard.c.incident_id == outbox.c.incident_id, heard.c.target == outbox.c.target, heard.c.state == "sent"
    )
    return (
        select(func.min(func.coalesce(waiting.c.held_until, waiting.c.planned_at)))
        .where(
            waiting.c.incident_id == outbox.c.incident_id,
            waiting.c.target == outbox.c.target,
            waiting.c.status == "firing",
            waiting.c.revision > last.correlate(outbox).scalar_subquery(),
        )
        .correlate(outbox)
        .scalar_subquery()
    )


async def _with_last_attempt(connection: AsyncConnection, row: int, since: float) -> Unheard:
    last = await last_attempt(connection, row) or {}
    return Unheard(row, since, last.get("http_status"), last.get("detail", ""))


def _stand_in_row(row: RowMapping, fallback: str, route: str, now: float) -> dict[str, Any]:
    kept = ("incident_id", "revision", "status", "reason", "received_at")
    message = msgspec.structs.replace(_message.decode(row["message_json"]), stands_in=route)
    return {
        **{name: row[name] for name in kept},
        "message_json": _encode(message).decode(),
        "target": fallback,
        "route": route,
        "state": "planned",
        "attempts": 0,
        "may_repeat": False,
        "planned_at": now,
        "next_attempt_at": now,
        "fallback_of": row["id"],
    }
