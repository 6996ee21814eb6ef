"""The one door to a database, whichever it is, and its migrations."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from sqlalchemy import URL, Connection, Table, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from toolkit.storage.sqlite import Sqlite
from toolkit.storage.unavailable import StorageUnavailable

Result = TypeVar("Result")
Insert = sqlite.Insert | postgresql.Insert


class Backend(Protocol):
    """What each kind of database does in its own way."""

    shared: ClassVar[bool]
    """See Database."""

    def insert(self, table: Table) -> Insert:
        """See Database."""
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """See Database."""
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """See Database."""
        ...

    async def transact(self, work: Callable[[Connection], Result], /) -> Result:
        """See Database."""
        ...

    def migrating(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that has the schema for itself, and the time to change it."""
        ...

    async def lead(self, name: str, /) -> bool:
        """See Database."""
        ...

    async def close(self) -> None:
        """See Database."""
        ...


class Database:
    """A migrated database. Every method raises StorageUnavailable when the database can't serve."""

    def __init__(self, url: URL) -> None:
        self._backend = _backend(url)

    @property
    def shared(self) -> bool:
        """Whether other processes may use it at the same time."""
        return self._backend.shared

    def insert(self, table: Table) -> Insert:
        """An INSERT that can say `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return self._backend.insert(table)

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that is on disk once the block has ended, and undone when it raises.

        On SQLite it is the only one that writes. On PostgreSQL others write at the same time (READ COMMITTED).
        """
        return self._backend.write()

    async def transact(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, as `write` would let it: for what is stored many times a second.

        On SQLite `work` runs in a thread, so that a transaction costs one change of threads and not one for each
        statement. It must not wait for anything but the database.
        """
        return await self._backend.transact(work)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A snapshot that never waits for a writer."""
        return self._backend.read()

    async def lead(self, name: str) -> bool:
        """Whether this process is, now, the one of all on this database that does the work called `name`.

        It is from the first True on, until it closes the database, dies or loses the connection; so ask before each
        piece of work. On SQLite always True: `lock_database` lets in one process.
        """
        return await self._backend.lead(name)

    async def close(self) -> None:
        """Closes every connection, and gives up every lead."""
        await self._backend.close()


def _backend(url: URL) -> Backend:
    if url.get_backend_name() == "sqlite":
        return Sqlite(url)
    from toolkit.storage.postgres import Postgres  # noqa: PLC0415 - its driver is installed only where it is wanted

    return Postgres(url)


def migrate(url: URL, scripts: Path) -> None:
    """Brings the database at `url` to the newest schema in the folder `scripts`. Blocks.

    Processes that start together migrate once: the others wait, and find it done. Raises StorageUnavailable, or
    ValueError for a database that a newer version wrote.
    """
    with ThreadPoolExecutor(1) as thread:  # the drivers want an event loop, and the caller may be in one
        thread.submit(asyncio.run, _migrated(url, scripts)).result()


async def _migrated(url: URL, scripts: Path) -> None:
    def upgrade(connection: Connection) -> None:
        if _revision(connection) != newest(scripts):
            _upgrade(connection, url, scripts)

    backend = _backend(url)
    try:
        async with backend.migrating() as connection:
            await connection.run_sync(upgrade)
    except DBAPIError as error:
        raise StorageUnavailable("io", str(error.orig)) from error
    finally:
        await backend.close()


def newest(scripts: Path) -> str:
    """The revision that the migrations in `scripts` end in. Each file's name begins with its own, in their order."""
    return max(path.name for path in (scripts / "versions").glob("[0-9]*.py")).partition("_")[0]


def _revision(connection: Connection) -> str | None:
    """Which revision the database has; None for one that is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection, url: URL, scripts: Path) -> None:
    # imported where it is needed: it takes a seventh of a receiver's start, which most often finds all done
    import alembic.command  # noqa: PLC0415
    import alembic.config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = alembic.config.Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        alembic.command.upgrade(config, "head")
    except CommandError:
        raise ValueError(
            f"{url.database} was written by a newer version of Tocsin; use that, or another database"
        ) from None
