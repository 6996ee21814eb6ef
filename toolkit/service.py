"""Runs a web application until SIGTERM or SIGINT; SIGHUP reloads it."""

import asyncio
import signal
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from toolkit.configfile import ConfigError
from toolkit.httpserver import BACKLOG, Listen
from toolkit.logs import Logger

DRAIN_SECONDS = 5.0
"""How long requests under way may take to finish once we are told to stop."""


class AddressTaken(Exception):
    """Somebody else listens on the address, or it isn't ours."""


async def serve(
    app: web.Application,
    listen: Listen,
    tls: ssl.SSLContext | None,
    reload: Callable[[], Awaitable[None]],
    log: Logger,
) -> None:
    """Serves `app` until told to stop, then finishes the requests under way. Raises AddressTaken."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = asyncio.ensure_future(_reload_quietly(reload))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
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
        log.info("listening", address=f"{host}:{port}", tls=tls is not None)
        await stop.wait()
        log.info("stopping")
    finally:
        await runner.cleanup()


async def _reload_quietly(reload: Callable[[], Awaitable[None]]) -> None:
    """A SIGHUP has nobody to answer: `reload` has logged the problems and raised the metric."""
    try:
        await reload()
    except ConfigError:
        return
