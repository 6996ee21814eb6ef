"""PostgreSQL for any number of processes. Whatever hangs is given up in seconds; what was restarted is found again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar, TypeVar

import asyncpg
from sqlalchemy import URL, Connection, Table, event
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from toolkit.storage.leading import DRIVER_ERRORS, Leading, lock_key
from toolkit.storage.unavailable import Reason, StorageUnavailable

Result = TypeVar("Result")
CONNECT_SECONDS = 5.0
PING_SECONDS = 3.0
QUEUE_SECONDS = 5.0
"""How long a transaction waits for one of the process's connections."""
TRANSACTION_SECONDS = 15.0
"""From the wait for a connection to the commit. The server's own limits are shorter, and say more."""
MIGRATION_SECONDS = 600.0
CONNECTIONS = 10
"""Of each process, one more for its lead; PostgreSQL admits 100 from all."""

Settings = Mapping[str, str]
_ALIVE: Settings = {
    "application_name": "tocsin",
    "synchronous_commit": "on",  # whatever the server's default: what was answered with 200 is on disk
    # a machine that vanished gives back its locks within half a minute
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
SERVING: Settings = {
    **_ALIVE,
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",  # a process that hangs must not hold up the others
}
MIGRATING: Settings = {**_ALIVE, "lock_timeout": "60s", "statement_timeout": "600s"}

_REASONS: Mapping[str, Reason] = {
    "55P03": "locked",  # lock_timeout, NOWAIT
    "40001": "locked",  # two transactions would contradict each other
    "40P01": "locked",  # a deadlock
    "57014": "locked",  # statement_timeout
    "53300": "locked",  # all of the server's connections are taken
    "53": "full",  # disk, memory, a configured limit
    "08": "io",  # the connection
    "57P": "io",  # shut down, crashed, starting
    "58": "io",  # the server's files
    "25006": "io",  # read only: a standby
    "25P03": "io",  # idle_in_transaction_session_timeout
    "42501": "io",  # a permission that the role lacks
    "XX001": "io",  # corruption
    "XX002": "io",
}
"""By SQLSTATE, or the beginning of one. Any other error of a statement is a mistake of ours."""


class Postgres:
    """One PostgreSQL database, which other processes use too."""

    shared: ClassVar[bool] = True

    def __init__(self, url: URL) -> None:
        self._dsn = url.render_as_string(hide_password=False)
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            isolation_level="READ COMMITTED",
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=QUEUE_SECONDS,
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "checkout", _replace_when_dead)
        self._leading = Leading(self._connect)

    def insert(self, table: Table) -> Insert:
        """PostgreSQL's INSERT."""
        return Insert(table)

    async def transact(self, work: Callable[[Connection], Result]) -> Result:
        """A transaction among those of others."""
        async with self.write() as connection:
            return await connection.run_sync(work)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction beside others."""
        async with _connection(self._engine, TRANSACTION_SECONDS) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot: what others commit meanwhile isn't seen."""
        async with _connection(self._engine, TRANSACTION_SECONDS) as connection:
            yield await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """A transaction under a lock that every migrating process takes first."""
        connect = partial(self._connect, MIGRATING, MIGRATION_SECONDS)
        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
        async with _connection(engine, MIGRATION_SECONDS) as connection, connection.begin():
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock($1)", (lock_key("migrate"),))
            yield connection

    async def lead(self, name: str) -> bool:
        """See Database."""
        return await self._leading.take(name)

    async def close(self) -> None:
        """Closes every connection."""
        self._leading.close()
        await self._engine.dispose()

    async def _connect(self, settings: Settings = SERVING, command_seconds: float = TRANSACTION_SECONDS) -> Any:
        """A connection of the driver's. Raises StorageUnavailable."""
        try:
            return await asyncpg.connect(
                self._dsn, timeout=CONNECT_SECONDS, command_timeout=command_seconds, server_settings=dict(settings)
            )
        except TimeoutError as error:
            raise StorageUnavailable("io", f"no connection within {CONNECT_SECONDS:g} s") from error
        except DRIVER_ERRORS as error:
            reason = _reason(getattr(error, "sqlstate", None)) or "io"
            raise StorageUnavailable(reason, _first_line(error)) from error


@asynccontextmanager
async def _connection(engine: AsyncEngine, seconds: float) -> AsyncIterator[AsyncConnection]:
    """A connection for `seconds` at most. Raises StorageUnavailable instead of the driver's and the pool's errors."""
    try:
        async with asyncio.timeout(seconds) as limit, engine.connect() as connection:
            yield connection
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise StorageUnavailable("io", f"no answer within {seconds:g} s") from error
    except PoolExhausted as error:
        raise StorageUnavailable("locked", "all of this process's connections are in use") from error
    except DBAPIError as error:
        lost = error.connection_invalidated or isinstance(_cause(error), asyncpg.InternalClientError)
        reason = "io" if lost else _reason(getattr(error.orig, "sqlstate", None))
        if reason is None:
            raise
        raise StorageUnavailable(reason, _first_line(_cause(error))) from error


def _replace_when_dead(connection: Any, record: Any, _: object) -> None:
    """Lets the pool open new connections where one doesn't answer: the server was restarted, or a router forgot it."""
    if not record.info.get("used"):
        record.info["used"] = True  # the pool clears `info` for each new connection, and that one has just answered
        return
    try:
        connection.run_async(_ping)
    except DRIVER_ERRORS as error:
        raise InvalidatePoolError from error
    except asyncpg.InternalClientError as error:
        # whoever had it last was cancelled in the middle of a statement: this one is of no use, the others are
        raise DisconnectionError from error


async def _ping(driver: Any) -> None:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await driver.execute("SELECT 1")
    except TimeoutError:
        driver.terminate()
        raise


def _reason(sqlstate: str | None) -> Reason | None:
    beginnings = [sqlstate[:length] for length in (5, 3, 2)] if sqlstate else []
    return next((_REASONS[beginning] for beginning in beginnings if beginning in _REASONS), None)


def _cause(error: DBAPIError) -> BaseException:
    """The driver's own error below SQLAlchemy's two."""
    return (error.orig and error.orig.__cause__) or error


def _first_line(error: BaseException) -> str:
    """What went wrong in the server's words; its second line, DETAIL, may hold stored values."""
    return str(error).partition("\n")[0]
