"""A running stack for tests: real processes on free ports, started, killed and restarted at will, and always ended."""

import asyncio
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.sandbox import Sandbox, application
from tests.support.stack import ROOT, Pace, Ports, Stack

FAST = Pace(interval="1s", group_wait="1s", group_interval="1s")
STOP_SECONDS = 10.0


def binaries() -> Path:
    """Where Prometheus and Alertmanager are; the Makefile says so. Fails when it doesn't, rather than skip."""
    folder = os.environ.get("TOCSIN_BINARIES")
    if not folder:
        raise RuntimeError(
            "TOCSIN_BINARIES is not set: run the tests with make (make test, make unit, make acceptance)"
        )
    return Path(folder)


class Running:
    """The stack's processes by name, and its HTTP APIs."""

    def __init__(self, stack: Stack, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.stack, self.sandbox, self.session = stack, sandbox, session
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, *names: str) -> None:
        """Starts processes (all that don't run when none is named) and waits until each is ready."""
        commands = {name: argv for name, argv in self.stack.commands().items() if name != "sandbox"}
        for name in names or [name for name in commands if name not in self._processes]:
            log = (self.stack.folder / f"{name}.log").open("ab")
            self._processes[name] = await asyncio.create_subprocess_exec(
                *commands[name], cwd=ROOT, stdout=log, stderr=log
            )
            log.close()
        for name in names or commands:
            await self.until(functools.partial(self._ready, name), f"{name} is ready", seconds=30)

    async def _ready(self, name: str) -> bool:
        if self._processes[name].returncode is not None:
            raise AssertionError(f"{name} ended by itself:\n{self.log(name)[-3000:]}")
        try:
            async with self.session.get(f"{self.stack.ports.url(name)}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends one process and returns its exit status."""
        process = self._processes.pop(name)
        process.send_signal(number)
        async with asyncio.timeout(STOP_SECONDS):
            return await process.wait()

    async def close(self) -> None:
        """Ends everything."""
        for process in self._processes.values():
            if process.returncode is None:
                process.terminate()
        for process in self._processes.values():
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def log(self, name: str) -> str:
        """What a process has written."""
        path = self.stack.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def until(self, holds: Callable[[], bool | Awaitable[bool]], what: str, seconds: float) -> float:
        """Waits until `holds`; returns how long that took. Fails with what is known when it takes too long."""
        started = time.monotonic()
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return time.monotonic() - started
            if time.monotonic() - started > seconds:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self._summary()}")
            await asyncio.sleep(0.1)

    def _summary(self) -> str:
        titles = "\n".join(f"  {message['channel']}: {message['title']}" for message in self.sandbox.messages)
        logs = "\n".join(f"{name} ({self._state(name)}):\n{self.log(name)[-2000:]}" for name in self.stack.commands())
        return f"messages:\n{titles}\n{logs}"

    def _state(self, name: str) -> str:
        process = self._processes.get(name)
        if process is None:
            return "not running"
        return "running" if process.returncode is None else f"ended by itself, exit status {process.returncode}"

    async def get(self, name: str, path: str, **params: str) -> Any:
        """A process's JSON answer."""
        headers = {"Authorization": f"Bearer {self.stack.token_file.read_text()}"}
        url = f"{self.stack.ports.url(name)}{path}"
        async with self.session.get(url, params=params, headers=headers) as response:
            assert response.status == 200, f"{url} answered {response.status}: {await response.text()}"
            return await response.json()

    async def healthy(self) -> None:
        """Waits until Prometheus has seen the vendor healthy and knows its Alertmanager (it sends no alert before)."""

        async def seen() -> bool:
            for name, process in self._processes.items():
                if process.returncode is not None:
                    raise AssertionError(f"{name} ended by itself:\n{self.log(name)[-3000:]}")
            known = await self.get("prometheus", "/api/v1/alertmanagers")
            found = await self.get("prometheus", "/api/v1/query", query="thirdparty_up == 1")
            return bool(known["data"]["activeAlertmanagers"]) and bool(found["data"]["result"])

        await self.until(seen, "Prometheus has scraped a healthy vendor and found Alertmanager", seconds=90)

    def titles(self, channel: str = "inbox") -> list[str]:
        """The titles of what arrived."""
        return [message["title"] for message in self.sandbox.messages if message["channel"] == channel]

    def told(self, state: str, about: str, channel: str = "inbox") -> list[str]:
        """The titles of messages in `state` (FIRING, RESOLVED) about something."""
        return [title for title in self.titles(channel) if f"{state}]" in title and about in title]


@asynccontextmanager
async def running(folder: Path, pace: Pace = FAST, sandbox: Sandbox | None = None) -> AsyncIterator[Running]:
    """The whole stack with the sandbox in this process, healthy when the block begins, ended when it ends."""
    stack = Stack(folder=folder, binaries=binaries(), ports=Ports.free(), pace=pace)
    stack.prepare()
    sandbox = sandbox or Sandbox()
    token = stack.token_file.read_text()
    async with AsyncExitStack() as exits:
        runner = web.AppRunner(application(sandbox, stack.ports.url("exporter"), token), access_log=None)
        await runner.setup()
        exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", stack.ports.sandbox).start()
        session = await exits.enter_async_context(aiohttp.ClientSession())
        run = Running(stack, sandbox, session)
        exits.push_async_callback(run.close)
        await run.start()
        await run.healthy()
        yield run
