"""What stands before replicas: it hands each request to the next receiver that takes connections.

It notes which events a receiver has answered with 200: these are the ones that nobody may lose.
"""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence

import aiohttp
from aiohttp import web

from tests.support.gateway import forwarding
from tests.support.ports import free_ports


class Balancer:
    """Takes webhooks for `backends`, URLs such as `http://127.0.0.1:9971`."""

    def __init__(self, backends: Sequence[str]) -> None:
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self.heard: set[tuple[str, str]] = set()
        """(alertname, status) of what was answered with 200."""
        self._backends, self._first = backends, itertools.cycle(range(len(backends)))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serves while the block runs."""
        async with forwarding(int(self.url.rpartition(":")[2]), self._forward, None) as self._session:
            yield

    async def _forward(self, request: web.Request) -> web.Response:
        body, first = await request.read(), next(self._first)
        for backend in (*self._backends[first:], *self._backends[:first]):
            try:
                async with self._session.post(f"{backend}{request.path}", data=body) as answer:
                    text = await answer.text()
            except aiohttp.ClientConnectorError:
                continue  # nobody is there, so nobody has begun with it
            except aiohttp.ClientError:
                return web.Response(status=502, text="the receiver died while it worked on this\n")
            if answer.status == 200:
                self._note(body)
            return web.Response(status=answer.status, text=text)
        return web.Response(status=503, text="no receiver is there\n")

    def _note(self, body: bytes) -> None:
        self.heard |= {(alert["labels"]["alertname"], alert["status"]) for alert in json.loads(body)["alerts"]}
