"""Sends away who connects and then asks nothing: each of them holds a descriptor, and there are only so many.

aiohttp limits how long a connection may idle between two requests, and `read_body` how long a body takes. Nobody limits
the wait for the first request's headers.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from aiohttp import web

from toolkit.clock import Now

HEADERS_SECONDS = 10.0
LOOK_SECONDS = 1.0

Connections = Callable[[], Iterable[web.RequestHandler]]
"""The server's open connections."""


class Dawdlers:
    """Who is connected and has asked nothing yet."""

    def __init__(self, steady: Now = time.monotonic) -> None:
        """`steady` is a clock in seconds that nobody sets."""
        self._steady = steady
        self._asked: set[web.RequestHandler] = set()
        self._since: dict[web.RequestHandler, float] = {}

    def has_asked(self, connection: web.RequestHandler) -> None:
        """Headers have come."""
        self._asked.add(connection)

    async def run(self, connections: Connections) -> None:
        """Looks once a second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look(connections())

    def look(self, connections: Iterable[web.RequestHandler]) -> None:
        """Closes those of `connections` that have been silent for HEADERS_SECONDS."""
        now, present = self._steady(), set(connections)
        self._asked &= present
        self._since = {one: self._since.get(one, now) for one in present - self._asked}
        for one, since in self._since.items():
            if now - since >= HEADERS_SECONDS:
                one.force_close()
