"""Whose turn it is: an incident's rows for one target, chosen, leased or put off within one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.delivery.leases import LEASE_SECONDS
from receiver.delivery.outbox import Claimed
from receiver.delivery.turn import Row, Turn, choose
from receiver.message import Message
from receiver.store.dead_letters import REPLAYED
from receiver.store.tables import decisions, deliveries, incidents, outbox


class _Said(msgspec.Struct):
    """What of a message decides about its turn."""

    severity: str = ""


_message = msgspec.json.Decoder(Message)
_said = msgspec.json.Decoder(_Said)
_NOT_SENT = {
    "told_already": "was last told that it had ended, and what came since was over within a minute",
    "part_of_ended": "is told of the end of the incident that this one is part of",
    "acknowledged": "is not called any more, since somebody has the incident",
    "never_called": "was not called before somebody had the incident, so need not hear of its end",
}
"""Why a message is not sent, where no newer one of its incident is sent in its place."""
_encode = msgspec.json.Encoder().encode
UNLEASED: dict[str, Any] = {"lease_until": None, "leased_by": None}
"""What a row has that nobody sends."""


@dataclass(frozen=True)
class Candidate:
    """An incident that may have something to tell a target: whether it is part of another one that has ended, and
    whether somebody has acknowledged it, or what it is part of."""

    incident: int
    is_over: bool
    is_taken: bool


def waiting(target: str) -> ColumnElement[bool]:
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


def has_more_urgent() -> ColumnElement[bool]:
    """Whether the incident has a message for the same target that waits for no digest."""
    other = outbox.alias()
    return exists().where(
        other.c.incident_id == outbox.c.incident_id,
        other.c.target == outbox.c.target,
        other.c.finished_at.is_(None),
        other.c.digest.is_(None),
    )


async def candidates(connection: AsyncConnection, which: ColumnElement[bool], now: float, most: int) -> list[Candidate]:
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
    return list(dict.fromkeys(Candidate(incident, bool(over), bool(taken)) for incident, over, taken in found))


async def take(
    connection: AsyncConnection, found: Candidate, target: str, owner: str, now: float
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
