"""The outbox's rows: claimed, sent, tried again, given up.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.delivery.leases import LEASE_SECONDS, Lease
from receiver.delivery.outbox import FURTHEST_SECONDS, Claimed, Next, Receipt
from receiver.message import Message
from receiver.stages.postpone import Recent
from receiver.store.dead_letters import DeadLetters
from receiver.store.stand_ins import StandIns
from receiver.store.tables import deliveries, incidents, outbox
from receiver.store.turns import UNLEASED, candidates, has_more_urgent, take, waiting
from toolkit.storage import Database

_message = msgspec.json.Decoder(Message)
_encode = msgspec.json.Encoder().encode
MOST_IN_A_DIGEST = 20
"""What a narrow chat can show in one message (Discord: 2,000 characters). The next one, at once, tells the rest."""


class OutboxStore:
    """What the deliverer needs of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.stand_ins, self.dead_letters = StandIns(database), DeadLetters(database)

    # --- whose sender is dead

    async def recover(self, now: float) -> int:
        """Takes every row that is being sent from its sender; returns how many rows that were.

        For the start of the only process there is, since all of them are the remains of a dead one.
        """
        async with self._database.write() as connection:
            return await _take_back(connection, outbox.c.state == "sending", now)

    async def leases(self) -> list[Lease]:
        """Every row that is being sent, by whomever."""
        query = select(outbox.c.id, outbox.c.leased_by, outbox.c.lease_until)
        query = query.where(outbox.c.finished_at.is_(None), outbox.c.state == "sending")
        async with self._database.read() as connection:
            return [Lease(*row) for row in await connection.execute(query)]

    async def expire(self, lease: Lease, now: float) -> bool:
        """Takes a row from its dead sender; returns False when the lease was renewed or ended after all."""
        async with self._database.write() as connection:
            as_seen = outbox.c.lease_until.is_not_distinct_from(lease.until)
            return await _take_back(connection, _held_by(lease.row, lease.owner) & as_seen, now) == 1

    async def hasten(self, now: float) -> int:
        """Makes due what was put off by a clock that has been set back since; returns how many rows that were."""
        furthest = now + FURTHEST_SECONDS
        is_held = (outbox.c.held_until >= outbox.c.next_attempt_at) & (outbox.c.planned_at <= furthest)
        is_free = outbox.c.held_until.is_(None) | ~is_held
        too_late = _waits() & (outbox.c.next_attempt_at > furthest) & is_free
        async with self._database.read() as connection:
            if (await connection.execute(select(outbox.c.id).where(too_late).limit(1))).first() is None:
                return 0
        async with self._database.write() as connection:
            return (await connection.execute(update(outbox).where(too_late).values(next_attempt_at=now))).rowcount

    # --- sending

    async def claim(self, target: str, owner: str, now: float) -> Claimed | None:
        """Takes the row whose turn it is for `target`, marked on disk as being sent by `owner` before it is sent.

        Rows that a newer one makes needless are finished on the way. No two rows of one incident and target are ever
        being sent at the same time, so that a resolve never overtakes its firing.
        """
        while True:
            async with self._database.write() as connection:
                found = await candidates(connection, waiting(target) & outbox.c.digest.is_(None), now, 1)
                if not found:
                    return None
                turn, claimed = await take(connection, found[0], target, owner, now)
                if claimed is not None or turn.reason == "in_flight":  # claimed between our two questions
                    return claimed

    async def claim_digest(self, target: str, owner: str, now: float) -> list[Claimed]:
        """Takes the rows for `target` that its digest tells now, as `claim` does each: those of the digest that has
        waited longest, MOST_IN_A_DIGEST at most."""
        name = select(outbox.c.digest).where(waiting(target), outbox.c.digest.is_not(None), ~has_more_urgent())
        name = name.where(outbox.c.next_attempt_at <= now).order_by(outbox.c.next_attempt_at, outbox.c.id).limit(1)
        async with self._database.read() as connection:  # mostly there is none, and a write would hold up the others
            digest = (await connection.execute(name)).scalar()
        if digest is None:
            return []
        async with self._database.write() as connection:
            which = waiting(target) & (outbox.c.digest == digest) & ~has_more_urgent()
            found = await candidates(connection, which, now, MOST_IN_A_DIGEST)
            taken = [await take(connection, one, target, owner, now) for one in found]
        return [claimed for _, claimed in taken if claimed is not None]

    async def renew(self, row: Claimed, now: float) -> bool:
        """Says that `row` is still being sent; returns False when its sender was taken for dead."""
        still_ours = update(outbox).where(_held_by(row.id, row.owner))
        async with self._database.write() as connection:
            return (await connection.execute(still_ours.values(lease_until=now + LEASE_SECONDS))).rowcount == 1

    async def finish(self, row: Claimed, receipt: Receipt, following: Next, started: float, ended: float) -> bool:
        """Records an attempt and where the row goes next; returns whether it was still ours to say.

        A sender that was taken for dead says no more than that the message did arrive, and only while the row waits
        to be sent again: whoever sends it by then tells what comes of that.
        """
        return await self.finish_all([row], receipt, following, started, ended)

    async def finish_all(
        self, rows: Sequence[Claimed], receipt: Receipt, following: Next, started: float, ended: float
    ) -> bool:
        """The same for rows that were sent as one message, all or none; returns whether all were still ours."""
        values: dict[str, Any] = {**UNLEASED, "state": following.state}
        if following.at is None:
            values["finished_at"] = ended
        else:
            values["next_attempt_at"] = following.at
        if receipt.result == "unknown":
            values["may_repeat"] = True
        if receipt.place and len(rows) == 1:  # where a digest stands is no place for an incident's next message
            values["place"] = receipt.place
        ours = 0
        async with self._database.write() as connection:
            for row in rows:
                await connection.execute(insert(deliveries), _attempt_row(row, receipt, started, ended))
                changed = await connection.execute(update(outbox).where(_held_by(row.id, row.owner)).values(values))
                ours += changed.rowcount
                if changed.rowcount == 0 and receipt.result == "sent":
                    late = {"state": "sent", "finished_at": ended}
                    late |= {"place": values["place"]} if "place" in values else {}
                    await connection.execute(update(outbox).where(_waits(), outbox.c.id == row.id).values(late))
        return ours == len(rows)

    async def next_due(self, target: str) -> float | None:
        """When the next row for `target` is due, or None when none waits. One that waits for a digest while its
        incident has something more urgent to say goes with that."""
        takes = outbox.c.digest.is_(None) | ~has_more_urgent()
        query = select(func.min(outbox.c.next_attempt_at)).where(waiting(target), takes)
        async with self._database.read() as connection:
            due: float | None = (await connection.execute(query)).scalar()
        return due

    # --- who was told

    async def told(self, ids: Sequence[int], shadows: bool) -> list[str]:
        """The targets whose last message of one of these incidents says that it fires, in the order they were planned,
        those of incidents that were merged into one of them included: the last word is the last of them all. `shadows`:
        whether what was not sent counts."""
        if not ids:
            return []
        merged = select(incidents.c.id).where(incidents.c.merged_into.in_(ids))
        mine = outbox.c.incident_id.in_(ids) | outbox.c.incident_id.in_(merged)
        whole = func.coalesce(incidents.c.merged_into, incidents.c.id).label("whole")
        query = (
            select(outbox.c.target, whole, outbox.c.incident_id, outbox.c.revision, outbox.c.status)
            .join(incidents, incidents.c.id == outbox.c.incident_id)
            .where(mine, _says(shadows))
            .order_by(outbox.c.id)
        )
        last: dict[tuple[str, int], Any] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                before = last.get((row.target, row.whole))
                # of one incident the revision tells what is newer: a stand-in is planned later than what it says
                if before is None or before.incident_id != row.incident_id or before.revision < row.revision:
                    last[row.target, row.whole] = row
        return list(dict.fromkeys(row.target for row in last.values() if row.status == "firing"))

    async def recent(self, root: str, but: int | None, since: float, shadows: bool) -> list[Recent]:
        """Who was told since then, in seconds since the epoch, that another incident of this root fires; the last time
        first. `but` is the incident that asks. `shadows`: whether what was not sent counts."""
        if not root:
            return []
        query = (
            select(outbox.c.target, outbox.c.incident_id, incidents.c.severity, outbox.c.planned_at)
            .join(incidents, incidents.c.id == outbox.c.incident_id)
            .where(incidents.c.root == root, outbox.c.status == "firing", outbox.c.planned_at >= since)
            .where(outbox.c.state.not_in(["dead", "superseded", *([] if shadows else ["shadow"])]))
            .order_by(outbox.c.planned_at.desc(), outbox.c.id.desc())
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Recent(*row) for row in rows if row.incident_id != but]

    async def newest(self, incident: int) -> dict[str, Message]:
        """What each target was last to be told of an incident, the target that was told last at the end."""
        query = select(outbox.c.target, outbox.c.message_json).where(outbox.c.incident_id == incident)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(outbox.c.revision, outbox.c.id))).all()
        newest: dict[str, str] = {}
        for target, text in rows:
            newest.pop(target, None)
            newest[target] = text
        return {target: _message.decode(text) for target, text in newest.items()}

    async def abandon(self, served: Iterable[str], now: float) -> dict[str, int]:
        """Ends what waits for a target that nobody serves any more; returns how many rows that were, by target."""
        gone = outbox.c.finished_at.is_(None) & outbox.c.target.not_in(list(served))
        async with self._database.write() as connection:
            rows = (await connection.execute(select(outbox.c.id, outbox.c.target, outbox.c.attempts).where(gone))).all()
            for id_, _, attempts in rows:
                end = {**UNLEASED, "state": "dead", "finished_at": now}
                await connection.execute(update(outbox).where(outbox.c.id == id_).values(end))
                detail = "the target left the configuration"
                attempt = {"outbox_id": id_, "attempt": attempts, "started_at": now, "ended_at": now}
                await connection.execute(insert(deliveries), {**attempt, "result": "failed", "detail": detail})
        return dict(Counter(target for _, target, _ in rows))


def _held_by(row: int, owner: str | None) -> ColumnElement[bool]:
    own = outbox.c.leased_by.is_not_distinct_from(owner)
    return (outbox.c.id == row) & (outbox.c.state == "sending") & own


def _waits() -> ColumnElement[bool]:
    return outbox.c.finished_at.is_(None) & (outbox.c.state != "sending")


async def _take_back(connection: AsyncConnection, which: ColumnElement[bool], now: float) -> int:
    values = {**UNLEASED, "state": "unknown", "may_repeat": True, "next_attempt_at": now}
    return (await connection.execute(update(outbox).where(which).values(values))).rowcount


def _says(shadows: bool) -> ColumnElement[bool]:
    """The rows by which a target knows how things are. An end that could not be told ends nothing; who was not called
    any more, since somebody had the incident, heard nothing."""
    untold_end = (outbox.c.state == "dead") & (outbox.c.status == "resolved")
    dropped = (outbox.c.reason == "escalated") & (outbox.c.state == "superseded")
    dropped &= ~outbox.c.may_repeat & outbox.c.superseded_by.is_(None)
    says = ~untold_end & ~dropped
    return says if shadows else says & (outbox.c.state != "shadow")


def _attempt_row(row: Claimed, receipt: Receipt, started: float, ended: float) -> dict[str, Any]:
    return {
        "outbox_id": row.id,
        "attempt": row.attempts,
        "started_at": started,
        "ended_at": ended,
        "result": receipt.result,
        "http_status": receipt.http_status,
        "retry_after": receipt.retry_after,
        "detail": receipt.detail,
    }
