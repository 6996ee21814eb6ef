"""An exporter that takes observations, and vendors that answer or don't, on loopback and in threads of their own: the
programs that are observed are synchronous as often as not."""

import asyncio
import functools
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from tocsin_observe import Limits, Observer

PATIENCE = 30.0
"""Seconds after which a test gives up; on a machine that is busy all of them may pass."""
QUICK = Limits(
    success_interval=0.0,
    refusals_per_second=1e6,
    linger=0.01,
    first_pause=0.05,
    longest_pause=0.1,
    exit_timeout=PATIENCE,
)
"""Nothing is held back, no test waits for a pause made for production, and no thread outlives its test."""


def until(holds: Callable[[], bool], what: str) -> None:
    """Waits for something that happens in another thread."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.01)


@contextmanager
def served(app: web.Application) -> Iterator[int]:
    """Serves `app` from a thread; the port."""
    started: Future[tuple[int, Callable[[], object]]] = Future()

    async def serve() -> None:
        runner, stopped = web.AppRunner(app, shutdown_timeout=0.1), asyncio.Event()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set)
        started.set_result((runner.addresses[0][1], stop))
        await stopped.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    port, stop = started.result(PATIENCE)
    try:
        yield port
    finally:
        stop()
        thread.join()


class Exporter:
    """Takes observations as the exporter does. `answers` are statuses to begin with; then it answers 200.

    `says` is what it answers then in place of how many it took.
    """

    def __init__(self, *answers: int, token: str = "") -> None:
        self.observations: list[dict[str, Any]] = []
        self.answers, self.token = list(answers), token
        self.says: Any = None
        self.posts = 0
        self.raw = b""
        self.held = threading.Event()
        self.held.set()

    def application(self) -> web.Application:
        """What to serve."""
        app = web.Application()
        app.add_routes([web.post("/v1/observations", self._take)])
        return app

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.posts += 1
        while not self.held.is_set():
            await asyncio.sleep(0.01)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        assert request.content_type == "application/x-ndjson"
        self.raw += body
        self.observations += [json.loads(line) for line in body.splitlines()]
        return web.json_response(self.says or {"observations": len(body.splitlines())})


@contextmanager
def observed(exporter: Exporter, limits: Limits = QUICK, **providers: str) -> Iterator[Observer]:
    """An observer of `exporter` that knows `vendor` on 127.0.0.1, and `providers`."""
    with served(exporter.application()) as port:
        named = {"127.0.0.1": "vendor", **providers}
        with Observer(f"http://127.0.0.1:{port}", token=exporter.token, providers=named, limits=limits) as observer:
            yield observer


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def vendor(answer: Handler) -> Iterator[str]:
    """A vendor that answers every request with `answer`; its URL."""
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    with served(app) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def silent(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A vendor that does as it is told with each connection instead of answering; its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)
