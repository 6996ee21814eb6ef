"""Processes that a benchmark measures: started, waited for, ended."""

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.ports import free_ports
from tests.support.stack import ROOT

START_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """A process that answers at `url`, and the seconds from its start to its first good answer."""

    url: str
    process: asyncio.subprocess.Process
    ready_after: float

    def rss(self) -> int:
        """The memory it holds, in bytes."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """The most memory it ever held, in bytes."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found is not None, status
        return int(found[1]) * 1024

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / TICKS

    async def drained(self) -> float:
        """Waits until our receiver has worked on every event; returns how many seconds that took."""
        began = time.monotonic()
        async with aiohttp.ClientSession(self.url) as session:
            while True:
                async with session.get("/metrics") as answer:
                    if "tocsin_receiver_events_unprocessed 0.0\n" in await answer.text():
                        return time.monotonic() - began
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def serving(
    log: Path, port: int, path: str, *argv: str, environment: dict[str, str] | None = None
) -> AsyncIterator[Served]:
    """The command `argv` from its first answer at `path` on; killed at the end. Its words go to the file `log`."""
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as words:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=ROOT, stdout=words, stderr=words, env={**os.environ, **(environment or {})}
        )
    try:
        await _answers(url + path, process, log)
        yield Served(url, process, time.perf_counter() - began)
    finally:
        if process.returncode is None:
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 15)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while process.returncode is None and time.monotonic() < until:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.01)
    raise AssertionError(f"{url} did not answer: {log.read_text()[-2000:]}")  # noqa: ASYNC240 - it is over


@contextlib.asynccontextmanager
async def receiver(folder: Path, config: str = "", storage: str | None = None) -> AsyncIterator[Served]:
    """Our receiver as its command starts it, with the given receiver.yml, on SQLite in `folder` or at the URL."""
    [port] = free_ports(1)
    (folder / "receiver.yml").write_text(config)
    flags = ["--config.file", str(folder / "receiver.yml"), "--web.listen-address", f"127.0.0.1:{port}"]
    flags += ["--storage.url", storage] if storage else ["--storage.path", str(folder / "data")]
    # a line for each incident is no different from what Alerta logs: none
    flags += ["--log.level", "error"]
    async with serving(
        folder / "receiver.log", port, "/-/ready", sys.executable, "-m", "receiver", "run", *flags
    ) as it:
        yield it


@contextlib.asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Served]:
    """The baseline: aiohttp, and an SQLite commit for each request."""
    [port] = free_ports(1)
    argv = (sys.executable, "-m", "tests.bench.bare", str(port), str(folder / "bare.db"))
    async with serving(folder / "bare.log", port, "/", *argv) as it:
        yield it
