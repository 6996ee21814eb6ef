"""A process for a test: started, killed and started again, and asked whether it is ready."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import aiohttp

from tests.support.stack import ROOT

STOP_SECONDS = 15.0
PATIENCE = 60.0
"""Seconds after which a test gives up on something that takes one or two."""


class Process:
    """A command whose `url` answers /-/ready. What it writes goes to a file in `folder`."""

    def __init__(self, name: str, argv: Sequence[str], url: str, folder: Path, session: aiohttp.ClientSession) -> None:
        self.name, self.url, self.log = name, url, folder / f"{name}.log"
        self._argv, self._session = argv, session
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it and does not wait."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*self._argv, cwd=ROOT, stdout=log, stderr=log)

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        await self._end(signal.SIGKILL)

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """It hangs within the block, and then goes on as if no time had passed. It must be running."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM; SIGKILL when it does not heed that. Nothing to do when it does not run."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._end(signal.SIGTERM)
        except TimeoutError:
            await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(number)
        await process.wait()
        self._process = None

    async def ready(self) -> bool:
        """Whether it answers. Raises AssertionError when it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"{self.name} ended with {self._process.returncode}:\n{self.log_end()}")
        try:
            async with self._session.get(f"{self.url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    def log_end(self) -> str:
        """The last lines it wrote."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@contextlib.asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[None]:
    """The processes are ready when the block begins, and ended when it ends."""
    async with contextlib.AsyncExitStack() as exits:
        for process in processes:
            exits.push_async_callback(process.stop)
            await process.start()
        for process in processes:
            await until(process.ready, f"{process.name} is ready")
        yield


async def until(
    holds: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = PATIENCE, pause: float = 0.1
) -> None:
    """Waits until `holds`, asking every `pause` seconds. Raises AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        held = holds()
        if held if isinstance(held, bool) else await held:
            return
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(pause)
