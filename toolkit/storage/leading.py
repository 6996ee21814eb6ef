"""Leadership on PostgreSQL: a session-level advisory lock, which the server takes back when its holder is gone."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from toolkit.storage.unavailable import StorageUnavailable

ANSWER_SECONDS = 5.0
DRIVER_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises; the last when a connection ends in a state that it did not expect."""


def lock_key(name: str) -> int:
    """The advisory lock called `name`: 64 bits, the same in every process and version."""
    return int.from_bytes(hashlib.sha256(f"tocsin {name}".encode()).digest()[:8], signed=True)


class Leading:
    """The locks that this process holds, all on one connection that does nothing else."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._names: set[str] = set()
        self._turn = asyncio.Lock()

    async def take(self, name: str) -> bool:
        """Whether the lock called `name` is ours at this moment; takes it when it is free.

        Raises StorageUnavailable when the server can't say, and no lock is ours any more.
        """
        async with self._turn:
            certain = False
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    held = await self._held(name)
                certain = True
            except DRIVER_ERRORS as error:
                raise StorageUnavailable("io", "the connection that holds the lead was lost") from error
            finally:
                if not certain:
                    self.close()
            return held

    async def _held(self, name: str) -> bool:
        if self._connection is None or self._connection.is_closed():
            self._names.clear()
            self._connection = await self._connect()
        if name in self._names:
            await self._connection.execute("SELECT 1")  # the lock lives as long as the session: is that still so?
            return True
        if await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(name)):
            self._names.add(name)
        return name in self._names

    def close(self) -> None:
        """Gives up every lock: the server takes them back when it sees the connection end."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._names.clear()
