"""SQLite in a file: WAL, synchronous=FULL, one writer at a time."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sqlalchemy import URL, StaticPool, Table, create_engine, event
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from toolkit.storage.unavailable import Reason, StorageUnavailable

Result = TypeVar("Result")
BUSY_TIMEOUT_SECONDS = 2.0
"""How long a write waits for a lock held by another process before it is refused."""


def lock_database(url: URL) -> AbstractContextManager[object]:
    """Makes sure that one process at a time uses the SQLite database at `url`, until the context returned is left.

    A second one would take what the first is sending for the remains of a dead process, and send it again. Raises
    ValueError when another holds it. PostgreSQL is there for many processes: nothing is locked.
    """
    if url.get_backend_name() != "sqlite":
        return nullcontext()
    lock = Path(f"{url.database}.lock").open("wb")  # noqa: SIM115 - it stays open for as long as the lock is held
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ValueError(f"{url.database} is in use by another process; give each one its own --storage.path") from None
    return lock


class Sqlite:
    """One SQLite file, which this process alone uses."""

    shared: ClassVar[bool] = False

    def __init__(self, url: URL) -> None:
        url = url.set(drivername="sqlite+aiosqlite")
        self._engine = create_async_engine(url, pool_size=4, hide_parameters=True)
        self._writing = asyncio.Lock()
        _prepare(self._engine.sync_engine)
        self._direct = create_engine(url.set(drivername="sqlite"), poolclass=StaticPool, hide_parameters=True)
        self._held: Connection | None = None
        """What `transact` works on: to begin anew for each transaction takes a quarter of its time."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        _prepare(self._direct)

    def insert(self, table: Table) -> Insert:
        """SQLite's INSERT."""
        return Insert(table)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is the only writing one."""
        with _translated():
            async with self._writing, self._engine.begin() as connection:
                yield connection

    async def transact(self, work: Callable[[Connection], Result]) -> Result:
        """A transaction that is the only writing one, in a thread of its own."""
        with _translated():
            async with self._writing:
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._transacted, work)

    def _transacted(self, work: Callable[[Connection], Result]) -> Result:
        if self._held is None:
            self._held = self._direct.connect()
        try:
            with self._held.begin():
                return work(self._held)
        except BaseException:  # whatever `work` raised: the next one must not find its transaction
            self._release()
            raise

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot."""
        with _translated():
            async with self._engine.connect() as connection:
                yield await connection.execution_options(tocsin_readonly=True)

    migrating = write

    async def lead(self, _: str) -> bool:
        """Whoever has the file leads."""
        return True

    async def close(self) -> None:
        """Closes every connection."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._release)
        await loop.run_in_executor(self._thread, self._direct.dispose)
        self._thread.shutdown(wait=False)
        await self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Turns the driver's error into StorageUnavailable, unless it is a mistake of ours (a constraint, say)."""
    try:
        yield
    except DBAPIError as error:
        reason = _reason(str(error.orig))
        if reason is None:
            raise
        raise StorageUnavailable(reason, str(error.orig)) from error


def _reason(text: str) -> Reason | None:
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
