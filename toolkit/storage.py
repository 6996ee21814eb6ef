"""A durable SQLite database: WAL, synchronous=FULL, one writer at a time, and one error for "can't store now"."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import alembic.command
import alembic.config
from alembic.util import CommandError
from sqlalchemy import URL, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

BUSY_TIMEOUT_SECONDS = 2.0
"""How long a write waits for a lock held by another process before it is refused."""


class StorageUnavailable(Exception):
    """The database can't be read or written now: locked, full or broken. Nothing was stored; try again later.

    `reason` is one of `locked`, `full`, `io`.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"storage is unavailable: {reason}")


def sqlite_url(url: str | None, folder: Path, name: str) -> URL:
    """The database's URL: `url` where given (`sqlite:///path`), else the file `name` in `folder`, which is made.

    Raises ValueError when `url` is none that is supported.
    """
    if url is None:
        folder.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(folder / name))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("--storage.url is not a database URL; write it like sqlite:////var/lib/tocsin/x.db") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise ValueError(f"--storage.url: only sqlite:///path is supported, not {parsed.get_backend_name()}://")
    return parsed


def lock_database(url: URL) -> IO[bytes]:
    """Makes sure that one process at a time uses the database at `url`, until the file returned is closed.

    A second one would take what the first is sending for the remains of a dead process, and send it again. Raises
    ValueError when another holds it.
    """
    lock = Path(f"{url.database}.lock").open("wb")  # noqa: SIM115 - it stays open for as long as the lock is held
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ValueError(f"{url.database} is in use by another process; give each one its own --storage.path") from None
    return lock


def migrate(url: URL, scripts: Path) -> None:
    """Brings the database at `url` to the newest schema in the folder `scripts`. Blocks.

    Raises StorageUnavailable, or ValueError for a database that a newer version wrote.
    """
    config = alembic.config.Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    engine = create_engine(url)
    _prepare(engine)
    try:
        with engine.begin() as connection, _Translated():
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
    except DBAPIError as error:
        raise _unavailable(error) from error
    except CommandError:
        raise ValueError(
            f"{url.database} was written by a newer version of Tocsin; use that, or another file"
        ) from None
    finally:
        engine.dispose()


class Database:
    """A migrated SQLite database. Every method raises StorageUnavailable when the database can't serve."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), pool_size=4)
        self._writing = asyncio.Lock()
        _prepare(self._engine.sync_engine)

    def insert(self, table: Table) -> Insert:
        """An INSERT that can say `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return Insert(table)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is on disk once the block has ended, and undone when it raises."""
        async with self._writing:
            with _Translated():
                async with self._engine.begin() as connection:
                    yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot that never waits for the writer."""
        with _Translated():
            async with self._engine.connect() as connection:
                readonly = await connection.execution_options(tocsin_readonly=True)
                yield readonly

    async def close(self) -> None:
        """Closes every connection."""
        await self._engine.dispose()


class _Translated:
    """Turns a database driver's error into StorageUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, DBAPIError) and error.orig is not None and _reason(error) is not None:
            raise _unavailable(error) from error


def _unavailable(error: DBAPIError) -> StorageUnavailable:
    return StorageUnavailable(_reason(error) or "io")


def _reason(error: DBAPIError) -> str | None:
    """Which of the reasons for StorageUnavailable `error` is, or None for a mistake of ours (a constraint, say)."""
    text = str(error.orig)
    if "locked" in text or "busy" in text:
        return "locked"
    if "full" in text:
        return "full"
    if any(word in text for word in ("I/O", "unable to open", "readonly", "malformed", "not a database")):
        return "io"
    return None


def _prepare(engine: Any) -> None:
    """Sets every connection up; SQLAlchemy's own BEGIN is replaced because Python's sqlite3 begins too late."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={round(BUSY_TIMEOUT_SECONDS * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        readonly = connection.get_execution_options().get("tocsin_readonly", False)
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")
