"""Asks databases: one connection for one query, read only, and gone when the time is up.

Each `read` returns at most `most` rows, and raises QueryFailed or TimeoutError.
"""

import asyncio
import importlib
import sqlite3
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL

from exporter.usage.sources.sql.address import Address
from exporter.usage.sources.sql.rows import QueryFailed, Row

LOCK_SECONDS = 1.0
"""How long a query on SQLite waits for whoever writes, at most."""
_STEPS = 1000
"""Of SQLite's machine, between two looks at the clock."""
_TOO_LATE = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)

_MYSQL_TOO_LATE = (1205, 1969, 3024)
"""A lock that others hold, MariaDB's limit, MySQL's."""

Read = Callable[[URL, str, int, float], Awaitable[list[Row]]]
"""(the database, a query, the most rows, seconds) -> the rows by column."""


async def read(database: Address, query: str, most: int, seconds: float) -> list[Row]:
    """The first `most` rows of `query`, within `seconds`. Raises QueryFailed."""
    # a thread can't be left alone: SQLite is told the time, and ends by itself
    limit = None if database.kind == "sqlite" else seconds
    try:
        async with asyncio.timeout(limit):
            return await READERS[database.kind](database.url, query, most, seconds)
    except TimeoutError:
        raise QueryFailed("timeout", f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise QueryFailed("unreachable", str(error.strerror or error)) from None


async def _postgresql(url: URL, query: str, most: int, seconds: float) -> list[Row]:
    asyncpg: Any = importlib.import_module("asyncpg")  # installed only where it is wanted
    settings = {
        "application_name": "tocsin-exporter",
        # the server ends what we no longer wait for
        "statement_timeout": str(round(seconds * 1000)),
    }
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = None
    try:
        connection = await asyncpg.connect(dsn, timeout=seconds, server_settings=settings)
        await connection.execute("BEGIN READ ONLY")
        cursor = await connection.cursor(query)
        return [dict(record) for record in await cursor.fetch(most)]
    except asyncpg.QueryCanceledError:
        raise TimeoutError from None
    except (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InternalClientError) as error:
        raise QueryFailed("unreachable", str(error)) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise QueryFailed("refused", str(error)) from None
    finally:
        if connection is not None:
            connection.terminate()  # a server that hangs would keep a polite end waiting


async def _mysql(url: URL, query: str, most: int, seconds: float) -> list[Row]:
    aiomysql: Any = importlib.import_module("aiomysql")  # installed only where it is wanted
    connection = None
    try:
        connection = await aiomysql.connect(
            host=url.host or "127.0.0.1",
            port=url.port or 3306,
            user=url.username,
            password=str(url.password or ""),
            db=url.database,
            charset="utf8mb4",
            ssl=ssl.create_default_context() if url.query.get("ssl") == "true" else None,
            connect_timeout=seconds,
            cursorclass=aiomysql.SSDictCursor,
        )
        cursor = await connection.cursor()
        # not START TRANSACTION READ ONLY: a CREATE or DROP would end that, and be done
        await cursor.execute("SET SESSION TRANSACTION READ ONLY")
        await cursor.execute(f"SET SESSION {_mysql_limit(connection.get_server_info(), seconds)}")
        await cursor.execute(query)
        return list(await cursor.fetchmany(most))
    except aiomysql.OperationalError as error:
        number = error.args[0] if error.args else 0
        if number in _MYSQL_TOO_LATE:
            raise TimeoutError from None
        # the client's own: no connection, or one that was lost
        raise QueryFailed("unreachable" if 2000 <= number < 2100 else "refused", str(error.args[-1])) from None
    except aiomysql.MySQLError as error:
        raise QueryFailed("refused", str(error.args[-1])) from None
    finally:
        if connection is not None:
            connection.close()


def _mysql_limit(version: str, seconds: float) -> str:
    """Has the server end what we no longer wait for."""
    if "MariaDB" in version:
        return f"max_statement_time = {seconds:g}"
    return f"max_execution_time = {round(seconds * 1000)}"


async def _sqlite(url: URL, query: str, most: int, seconds: float) -> list[Row]:
    deadline = time.monotonic() + seconds
    return await asyncio.to_thread(_read_sqlite, str(url.database), query, most, deadline)


def _read_sqlite(path: str, query: str, most: int, deadline: float) -> list[Row]:
    patience = min(LOCK_SECONDS, deadline - time.monotonic())
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=patience)) as connection:
            connection.row_factory = sqlite3.Row
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            return [dict(row) for row in connection.execute(query).fetchmany(most)]
    except (sqlite3.Error, sqlite3.Warning) as error:  # the latter for two statements
        if getattr(error, "sqlite_errorcode", None) in _TOO_LATE:
            raise TimeoutError from None
        cannot_open = "unable to open" in str(error) or "not a database" in str(error)
        raise QueryFailed("unreachable" if cannot_open else "refused", str(error)) from None


READERS: dict[str, Read] = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}
