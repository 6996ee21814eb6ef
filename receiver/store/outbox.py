"""The outbox's rows: claimed, sent, tried again, given up.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.delivery.leases import LEASE_SECONDS, Lease
from receiver.delivery.outbox import FURTHEST_SECONDS, Claimed, Next, Receipt
from receiver.delivery.turn import Row, Turn, choose
from receiver.message import Message
from receiver.stages.postpone import Recent
from receiver.store.dead_letters import REPLAYED, DeadLetters
from receiver.store.stand_ins import StandIns
from receiver.store.tables import decisions, deliveries, incidents, outbox
from toolkit.storage import Database


class _Said(msgspec.Struct):
    """What of a message decides about its turn."""

    severity: str = ""


_message = msgspec.json.Decoder(Message)
_said = msgspec.json.Decoder(_Said)
_encode = msgspec.json.Encoder().encode
_NOT_SENT = {
    "told_already": "was last told that it had ended, and what came since was over within a minute",
    "part_of_ended": "is told of the end of the incident that this one is part of",
    "acknowledged": "is not called any more, since somebody has the incident",
    "never_called": "was not called before somebody had the incident, so need not hear of its end",
}
"""Why a message is not sent, where no newer one of its incident is sent in its place."""
MOST_IN_A_DIGEST = 20
"""What a narrow chat can show in one message (Discord: 2,000 characters). The next one, at once, tells the rest."""
_UNLEASED: dict[str, Any] = {"lease_until": None, "leased_by": None}


@dataclass(frozen=True)
class _Candidate:
    """An incident that may have something to tell a target: whether it is part of another one that has ended, and
    whether somebody has acknowledged it, or what it is part of."""

    incident: int
    is_over: bool
    is_taken: bool


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
                found = await _candidates(connection, _waiting(target) & outbox.c.digest.is_(None), now, 1)
                if not found:
                    return None
                turn, claimed = await _take(connection, found[0], target, owner, now)
                if claimed is not None or turn.reason == "in_flight":  # claimed between our two questions
                    return claimed

    async def claim_digest(self, target: str, owner: str, now: float) -> list[Claimed]:
        """Takes the rows for `target` that its digest tells now, as `claim` does each: those of the digest that has
        waited longest, MOST_IN_A_DIGEST at most."""
        name = select(outbox.c.digest).where(_waiting(target), outbox.c.digest.is_not(None), ~_has_more_urgent())
        name = name.where(outbox.c.next_attempt_at <= now).order_by(outbox.c.next_attempt_at, outbox.c.id).limit(1)
        async with self._database.read() as connection:  # mostly there is none, and a write would hold up the others
            digest = (await connection.execute(name)).scalar()
        if digest is None:
            return []
        async with self._database.write() as connection:
            which = _waiting(target) & (outbox.c.digest == digest) & ~_has_more_urgent()
            found = await _candidates(connection, which, now, MOST_IN_A_DIGEST)
            taken = [await _take(connection, one, target, owner, now) for one in found]
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
        values: dict[str, Any] = {**_UNLEASED, "state": following.state}
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
        takes = outbox.c.digest.is_(None) | ~_has_more_urgent()
        query = select(func.min(outbox.c.next_attempt_at)).where(_waiting(target), takes)
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
                end = {**_UNLEASED, "state": "dead", "finished_at": now}
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
    values = {**_UNLEASED, "state": "unknown", "may_repeat": True, "next_attempt_at": now}
    return (await connection.execute(update(outbox).where(which).values(values))).rowcount


def _waiting(target: str) -> ColumnElement[bool]:
    """The rows of a target that wait for nothing but their time: no other of the incident is being sent to it, nor one
    of an incident that was merged into it."""
    other, of_part, part = outbox.alias(), outbox.alias(), incidents.alias()
    in_flight = exists().where(
        other.c.incident_id == outbox.c.incident_id, other.c.target == outbox.c.target, other.c.state == "sending"
    )
    part_in_flight = exists().where(
        of_part.c.lease_until.is_not(None),
        of_part.c.state == "sending",
        of_part.c.target == outbox.c.target,
        part.c.id == of_part.c.incident_id,
        part.c.merged_into == outbox.c.incident_id,
    )
    return (outbox.c.target == target) & outbox.c.finished_at.is_(None) & ~in_flight & ~part_in_flight


def _says(shadows: bool) -> ColumnElement[bool]:
    """The rows by which a target knows how things are. An end that could not be told ends nothing; who was not called
    any more, since somebody had the incident, heard nothing."""
    untold_end = (outbox.c.state == "dead") & (outbox.c.status == "resolved")
    dropped = (outbox.c.reason == "escalated") & (outbox.c.state == "superseded")
    dropped &= ~outbox.c.may_repeat & outbox.c.superseded_by.is_(None)
    says = ~untold_end & ~dropped
    return says if shadows else says & (outbox.c.state != "shadow")


def _has_more_urgent() -> ColumnElement[bool]:
    """Whether the incident has a message for the same target that waits for no digest."""
    other = outbox.alias()
    return exists().where(
        other.c.incident_id == outbox.c.incident_id,
        other.c.target == outbox.c.target,
        other.c.finished_at.is_(None),
        other.c.digest.is_(None),
    )


async def _candidates(
    connection: AsyncConnection, which: ColumnElement[bool], now: float, most: int
) -> list[_Candidate]:
    """Incidents with a row due of `which`, locked against every other claim until the transaction ends.

    The lock is on the incident, since another row may be added while this one is chosen. It lets rows be added.
    """
    whole = incidents.alias()
    ended = select(whole.c.resolved_at).where(whole.c.id == incidents.c.merged_into).scalar_subquery()
    state = select(whole.c.state).where(whole.c.id == incidents.c.merged_into).scalar_subquery()
    query = (
        select(outbox.c.incident_id, ended.is_not(None), func.coalesce(state, incidents.c.state) == "acknowledged")
        .join(incidents, incidents.c.id == outbox.c.incident_id)
        .where(which, outbox.c.next_attempt_at <= now)
        .order_by(outbox.c.next_attempt_at, outbox.c.id)
        .limit(most)
        .with_for_update(of=incidents, skip_locked=True, key_share=True)  # on PostgreSQL; SQLite has one writer
    )
    found = (await connection.execute(query)).all()
    return list(dict.fromkeys(_Candidate(incident, bool(over), bool(taken)) for incident, over, taken in found))


async def _take(
    connection: AsyncConnection, found: _Candidate, target: str, owner: str, now: float
) -> tuple[Turn, Claimed | None]:
    """Whose turn it is of a locked incident's rows: leased when it is due, else put off."""
    rows = await _rows(connection, found.incident, target)
    turn = choose((_row(row) for row in rows), now, found.is_over, found.is_taken)
    await _replace(connection, turn, rows, now)
    if turn.row is None or turn.reason == "in_flight":
        return turn, None
    if turn.reason != "due":
        later = update(outbox).where(outbox.c.id == turn.row.id).values(next_attempt_at=turn.at)
        await connection.execute(later)
        return turn, None
    (row,) = [row for row in rows if row["id"] == turn.row.id]
    known = await _trying_since(connection, row), await _place(connection, found.incident, target)
    return turn, await _lease(connection, row, turn, owner, known, now)


async def _rows(connection: AsyncConnection, incident: int, target: str) -> Sequence[RowMapping]:
    query = select(outbox).where(outbox.c.incident_id == incident, outbox.c.target == target)
    return (await connection.execute(query)).mappings().all()


def _row(row: RowMapping) -> Row:
    return Row(
        id=row["id"],
        revision=row["revision"],
        status=row["status"],
        state=row["state"],
        may_repeat=row["may_repeat"],
        planned_at=row["planned_at"],
        next_attempt_at=row["next_attempt_at"],
        finished_at=row["finished_at"],
        why=row["reason"],
        held_until=row["held_until"],
        severity=_said.decode(row["message_json"]).severity,
    )


async def _replace(connection: AsyncConnection, turn: Turn, rows: Iterable[RowMapping], now: float) -> None:
    """Finishes what will not be sent. Why is on record where the row named in its place is no newer one."""
    for row in rows:
        if row["id"] not in turn.replaced:
            continue
        values = {"state": "superseded", "superseded_by": turn.by, "finished_at": now}
        await connection.execute(update(outbox).where(outbox.c.id == row["id"]).values(values))
        if turn.reason in _NOT_SENT:
            decision = {"at": now, "incident_id": row["incident_id"], "revision": row["revision"]}
            detail = f"{row['target']} {_NOT_SENT[turn.reason]}"
            why = {"what": "not sent", "reason": turn.reason, "detail": detail}
            await connection.execute(insert(decisions), {**decision, **why})


async def _trying_since(connection: AsyncConnection, row: RowMapping) -> float:
    """Since when a message is tried: since it was first to be sent, or asked for again after it was given up."""
    query = select(func.max(deliveries.c.started_at))
    query = query.where(deliveries.c.outbox_id == row["id"], deliveries.c.result == REPLAYED)
    replayed: float | None = (await connection.execute(query)).scalar()
    first: float = row["planned_at"] if row["held_until"] is None else row["held_until"]
    return replayed if replayed is not None else first


async def _place(connection: AsyncConnection, incident: int, target: str) -> str:
    """Where the newest message of an incident stands in the target's sink; "" when no sink has said."""
    said = select(outbox.c.place).where(
        outbox.c.incident_id == incident, outbox.c.target == target, outbox.c.place.is_not(None)
    )
    place: str | None = (await connection.execute(said.order_by(outbox.c.revision.desc()).limit(1))).scalar()
    return place or ""


async def _lease(
    connection: AsyncConnection, row: RowMapping, turn: Turn, owner: str, known: tuple[float, str], now: float
) -> Claimed:
    """Marks the row as being sent. `known`: since when it is tried, and where the incident's message stands."""
    since, place = known
    message = msgspec.structs.replace(_message.decode(row["message_json"]), untold=turn.untold)
    attempts = row["attempts"] + 1
    values = {
        "state": "sending",
        "attempts": attempts,
        "may_repeat": turn.may_repeat,
        "message_json": _encode(message).decode(),
        "lease_until": now + LEASE_SECONDS,
        "leased_by": owner,
    }
    await connection.execute(update(outbox).where(outbox.c.id == row["id"]).values(values))
    return Claimed(
        id=row["id"],
        owner=owner,
        incident=row["incident_id"],
        revision=row["revision"],
        target=row["target"],
        message=message,
        attempts=attempts,
        may_repeat=turn.may_repeat,
        received_at=max(row["received_at"], row["held_until"] or 0.0),
        trying_since=since,
        place=place,
    )


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
