"""How far each incident's escalation is. Written together with a new revision of the incident, or when it ends.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.escalation.policy import Progress, Reach, Standing
from receiver.store.correlation import MOST_NAMED
from receiver.store.dead_letters import last_attempt
from receiver.store.tables import escalations, incidents, outbox
from toolkit.storage import Database

_names = msgspec.json.Decoder(tuple[str, ...])


@dataclass(frozen=True)
class Waiting:
    """An escalation of a live incident for which something is to be done at some time."""

    incident: int
    progress: Progress
    standing: Standing


class EscalationStore:
    """What `receiver.stages.escalate` and the pipeline need of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, incident: int) -> Progress | None:
        """How far the escalation of an incident is; None when it has none."""
        async with self._database.read() as connection:
            row = (await connection.execute(_of(incident))).mappings().first()
        return _progress(row) if row is not None else None

    async def waiting(self) -> list[Waiting]:
        """The escalations that have not come to their end, the one that is due first first."""
        query = (
            select(escalations, incidents.c.state, incidents.c.snoozed_until)
            .join(incidents, incidents.c.id == escalations.c.incident_id)
            .where(escalations.c.due_at.is_not(None), incidents.c.resolved_at.is_(None))
            .order_by(escalations.c.due_at, escalations.c.incident_id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            Waiting(row["incident_id"], _progress(row), Standing(row["state"], row["snoozed_until"])) for row in rows
        ]

    async def troubled(self, ids: Sequence[int]) -> set[int]:
        """Which of these incidents have messages that failed, and are tried again or were given up."""
        query = select(outbox.c.incident_id).where(outbox.c.state.in_(("failed", "unknown", "dead"))).distinct()
        found: set[int] = set()
        async with self._database.read() as connection:
            for start in range(0, len(ids), MOST_NAMED):
                some = ids[start : start + MOST_NAMED]
                found.update((await connection.execute(query.where(outbox.c.incident_id.in_(some)))).scalars())
        return found

    async def reach(self, incident: int, progress: Progress) -> list[Reach]:
        """What became of the newest message for each target that the last step called."""
        found = []
        async with self._database.read() as connection:
            for target in progress.called:
                reach = await _reach(connection, incident, target, progress.called_at)
                found += [reach] if reach is not None else []
        return found


async def save(connection: AsyncConnection, database: Database, incident: int, progress: Progress) -> None:
    """Puts an incident's progress in the place of the one before."""
    statement = database.insert(escalations)
    values = _values(progress)
    update_to = {name: statement.excluded[name] for name in values}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["incident_id"], set_=update_to),
        {"incident_id": incident, **values},
    )


async def end(connection: AsyncConnection, ids: Sequence[int], by: str) -> None:
    """Ends the escalations of incidents that are over."""
    if not ids:
        return
    over = escalations.c.incident_id.in_(ids)
    await connection.execute(update(escalations).where(over).values(due_at=None, ended_by=by))


def _of(incident: int) -> Any:
    return select(escalations).where(escalations.c.incident_id == incident)


def _progress(row: RowMapping) -> Progress:
    return Progress(
        policy=row["policy"],
        started_at=row["started_at"],
        due_at=row["due_at"],
        round=row["round"],
        step=row["step"],
        ended_by=row["ended_by"],
        called=_names.decode(row["called_json"]),
        called_at=row["called_at"],
    )


def _values(progress: Progress) -> Mapping[str, Any]:
    return {
        "policy": progress.policy,
        "started_at": progress.started_at,
        "due_at": progress.due_at,
        "round": progress.round,
        "step": progress.step,
        "ended_by": progress.ended_by,
        "called_json": msgspec.json.encode(progress.called).decode(),
        "called_at": progress.called_at,
    }


async def _reach(connection: AsyncConnection, incident: int, target: str, since: int) -> Reach | None:
    """The newest, for a newer message takes the place of those before; None when there is none any more."""
    stand_in = outbox.alias()
    told = select(stand_in.c.id).where(stand_in.c.fallback_of == outbox.c.id, stand_in.c.state == "sent")
    query = (
        select(outbox.c.id, outbox.c.state, outbox.c.attempts, told.exists().label("stood_in"))
        .where(outbox.c.incident_id == incident, outbox.c.target == target, outbox.c.revision >= since)
        .order_by(outbox.c.revision.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    attempt = await last_attempt(connection, row.id) or {}
    return Reach(row.state, row.attempts, attempt.get("http_status"), bool(row.stood_in))
