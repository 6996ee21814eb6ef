"""The outbox's rows: claimed, sent, tried again, given up.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, exists, func, insert, select, update

from receiver.message import Message
from receiver.outbox import UNFINISHED, Claimed, Next, Receipt
from receiver.store.tables import deliveries, outbox
from toolkit.storage import Database

_message = msgspec.json.Decoder(Message)


class OutboxStore:
    """What the deliverer needs of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
