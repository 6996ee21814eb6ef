"""What stands before exporters that share a ledger: each request goes to the next that takes connections."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from tests.support.ports import free_ports


@contextlib.asynccontextmanager
async def forwarding(port: int, forward: Handler, patience: float | None) -> AsyncIterator[aiohttp.ClientSession]:
    """`forward` answers every request at `port` within the block; the session is for asking those behind it, who have
    `patience` seconds to answer."""
    # a connection of its own for each request: one that was kept open may lead to a process that died
    connector, timeout = aiohttp.TCPConnector(force_close=True), aiohttp.ClientTimeout(total=patience)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.route("*", "/{path:.*}", forward)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        try:
            yield session
        finally:
            await runner.cleanup()


class Gateway:
    """Leads to `backends`, URLs such as `http://127.0.0.1:9970`; whoever asks for `/metrics` asks with `query`."""

    def __init__(self, backends: Sequence[str], query: Mapping[str, str] | None = None) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._backends, self._query = backends, query or {}
        self._first = itertools.cycle(range(len(backends)))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serves while the block runs; it has no patience with an exporter that hangs."""
        async with forwarding(self.port, self._forward, 5.0) as self._session:
            yield

    async def _forward(self, request: web.Request) -> web.Response:
        body, first = await request.read(), next(self._first)
        kept = {name: value for name, value in request.headers.items() if name in ("Idempotency-Key", "Content-Type")}
        query = self._query if request.path == "/metrics" else {}
        for backend in (*self._backends[first:], *self._backends[:first]):
            try:
                url = f"{backend}{request.path}"
                async with self._session.request(request.method, url, data=body, headers=kept, params=query) as answer:
                    text = await answer.read()
                    return web.Response(status=answer.status, body=text, content_type=answer.content_type)
            except (aiohttp.ClientError, TimeoutError):
                if request.method != "GET":
                    return web.Response(status=502, text="it died while it worked on this, or hangs\n")
        return web.Response(status=503, text="nobody is there\n")
