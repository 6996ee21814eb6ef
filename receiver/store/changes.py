"""What was changed, as others told of it.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, func, select

from receiver.changes.change import ToldChange
from receiver.store.tables import changes
from toolkit.storage import Database

_FIELDS = tuple(column for column in changes.c if column.name not in ("id", "received_at"))


class ChangeStore:
    """Told twice by the same source under the same key, a change is stored once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, told: Sequence[ToldChange], now: float) -> int:
        """Stores what is new, and says how many that were. On disk when this returns."""
        rows = {(change.source, change.key): {**asdict(change), "received_at": now} for change in told}
        if not rows:
            return 0
        statement = self._database.insert(changes).on_conflict_do_nothing().returning(changes.c.id)
        async with self._database.write() as connection:
            # in one order everywhere: two that store the same changes must not wait for each other crosswise
            inserted = await connection.execute(statement, [rows[key] for key in sorted(rows)])
            return len(inserted.all())

    async def between(
        self, since: float, until: float, limit: int, services: Collection[str] | None = None
    ) -> list[ToldChange]:
        """The newest changes made in that time (seconds since the epoch), the latest first; of `services`, if given."""
        query = _made(since, until).order_by(changes.c.at.desc(), changes.c.id.desc()).limit(limit)
        if services is not None:
            query = query.where(changes.c.service.in_(services))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_change(row) for row in rows]

    async def latest(self, since: float, until: float) -> dict[tuple[str, str], float]:
        """When each service last had a change of each kind in that time, by (service, kind)."""
        made = _made(since, until).subquery()
        query = select(made.c.service, made.c.kind, func.max(made.c.at)).group_by(made.c.service, made.c.kind)
        async with self._database.read() as connection:
            return {(service, kind): at for service, kind, at in await connection.execute(query)}


def _made(since: float, until: float) -> Select[Any]:
    return select(*_FIELDS).where(changes.c.at >= since, changes.c.at <= until)


def _change(row: Mapping[Any, Any]) -> ToldChange:
    return ToldChange(**row)
