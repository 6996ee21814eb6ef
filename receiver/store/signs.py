"""What was last seen or done, by name: the Watchdog, a drill. Replicas share it.

Every method raises StorageUnavailable when the database can't serve.
"""

from dataclasses import dataclass

from sqlalchemy import select

from receiver.store.tables import signs
from toolkit.storage import Database


@dataclass(frozen=True)
class Sign:
    """When something was last seen, in seconds since the epoch, and what there is to say of it."""

    at: float
    detail: str = ""


class SignStore:
    """One row for each name; the last writer is right."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> Sign | None:
        """The sign of that name, or None before the first."""
        query = select(signs.c.at, signs.c.detail).where(signs.c.name == name)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return Sign(row.at, row.detail) if row is not None else None

    async def put(self, name: str, at: float, detail: str = "") -> None:
        """Puts a sign in the place of the one before."""
        statement = self._database.insert(signs)
        values = {"at": statement.excluded.at, "detail": statement.excluded.detail}
        async with self._database.write() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["name"], set_=values),
                {"name": name, "at": at, "detail": detail},
            )

    async def first(self, name: str, at: float, detail: str) -> Sign:
        """The sign of that name; the first writer is right, so that replicas agree on what is made once. Afterwards it
        is only read: some of those who ask are nobody that we know."""
        return await self.get(name) or await self._first(name, at, detail)

    async def _first(self, name: str, at: float, detail: str) -> Sign:
        statement = self._database.insert(signs).on_conflict_do_nothing()
        async with self._database.write() as connection:
            await connection.execute(statement, {"name": name, "at": at, "detail": detail})
        found = await self.get(name)
        assert found is not None  # noqa: S101 - nobody deletes signs
        return found
