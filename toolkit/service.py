"""Runs a web application until SIGTERM or SIGINT; SIGHUP reloads it."""

import asyncio
import signal
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import web

from toolkit.configfile import ConfigError
from toolkit.httpserver import BACKLOG, DAWDLERS, Listen, Probes
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

DRAIN_SECONDS = 5.0
"""How long requests under way may take to finish once we are told to stop."""


class AddressTaken(Exception):
    """Somebody else listens on the address, or it isn't ours."""


Spawn = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]
"""Starts a task that is watched: (the coroutine, its name)."""


class Background:
    """Tasks that live as long as the service. One that ends with a defect ends the service, loudly: a supervisor's
    restart heals more than a process that looks alive and does half its work."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        """Starts `work` as a watched task."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def close(self) -> None:
        """Cancels what still runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.failed.cancel()


async def serve(
    app: web.Application,
    listen: Listen,
    tls: ssl.SSLContext | None,
    probes: Probes,
    background: Background,
    log: Logger,
) -> None:
    """Serves `app` until told to stop, then finishes the requests under way.

    Raises AddressTaken, or what a background task ended with.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: background.spawn(_reload_quietly(probes.reload, log), "reload"))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101 - setup has made it
    try:
        site = web.TCPSite(runner, listen.host, listen.port, ssl_context=tls, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise AddressTaken(
                f"can't listen on {listen.host}:{listen.port}: {error.strerror}; "
                "choose another with --web.listen-address"
            ) from error
        host, port = runner.addresses[0][:2]
        background.spawn(app[DAWDLERS].run(lambda: server.connections), "dawdlers")
        log.info("listening", address=f"{host}:{port}", tls=tls is not None)
        stopped = asyncio.ensure_future(stop.wait())
        endings: set[asyncio.Future[Any]] = {stopped, background.failed}
        await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        probes.drain()
        if background.failed.done():
            background.failed.result()
    finally:
        await runner.cleanup()


async def _reload_quietly(reload: Callable[[], Awaitable[None]], log: Logger) -> None:
    """A SIGHUP has nobody to answer: `reload` has logged a configuration's problems and raised the metric."""
    try:
        await reload()
    except ConfigError:
        return
    except StorageUnavailable as error:
        log.exception("reload could not finish, send SIGHUP again", reason=error.reason)
