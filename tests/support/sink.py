"""A sink for tests, as Apprise's `json://` posts to it: it keeps what it is told, and fails in the ways that sinks do.

Each channel has a port of its own, since a channel that is down refuses connections while the others take them. It is
written on bare streams: an HTTP server would not send half an answer.
"""

import asyncio
import contextlib
import dataclasses
import functools
import json
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from tests.support.ports import free_ports

REPEAT_MARK = "(may be a repeat)"
DRIP_SECONDS = 0.2
HANDSHAKE = b"HTTP/1.1 %d Told\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Behaviour:
    """How a channel answers a message. `takes`: people may have read it, whatever the sender learns of that."""

    name: str
    takes: bool
    answer: Answer | None
    """None: nobody listens."""
    pause: tuple[float, float] = (0.0, 0.0)
    """Between the message and the answer: at least and at most so many seconds."""


@dataclass(frozen=True)
class Told:
    """One message as it arrived. `at`: seconds since the epoch; `behaviour`: how it was answered."""

    channel: str
    title: str
    body: str
    at: float
    behaviour: Behaviour

    @property
    def may_be_a_repeat(self) -> bool:
        """Whether it says so itself."""
        return self.title.endswith(REPEAT_MARK)


async def _write(writer: asyncio.StreamWriter, status: int, body: bytes = b"told\n", headers: bytes = b"") -> None:
    writer.write(HANDSHAKE % (status, len(body), headers) + body)
    await writer.drain()


async def answer_ok(writer: asyncio.StreamWriter) -> None:
    """200."""
    await _write(writer, 200)


async def _never(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _drip(writer: asyncio.StreamWriter) -> None:
    """An answer that comes a byte at a time, so that no timeout of a single read ends it."""
    writer.write(HANDSHAKE % (200, 1_000_000, b""))
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


async def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes so that the kernel sends RST, in place of an answer."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _half_an_answer(writer: asyncio.StreamWriter) -> None:
    writer.write(HANDSHAKE % (200, 100, b"") + b"tol")
    await writer.drain()


OK = Behaviour("ok", True, answer_ok)
ERROR = Behaviour("500", False, functools.partial(_write, status=500))
BUSY = Behaviour("429 with Retry-After", False, functools.partial(_write, status=429, headers=b"Retry-After: 2\r\n"))
HANG = Behaviour("hang", True, _never)
DRIP = Behaviour("drip", True, _drip)
RESET = Behaviour("reset", True, _reset)
CUT = Behaviour("200, then close", True, _half_an_answer)
DOWN = Behaviour("down", False, None)
FAULTS = (ERROR, BUSY, HANG, DRIP, RESET, CUT, DOWN)


def slow(least: float, most: float) -> Behaviour:
    """Takes every message, after `least` to `most` seconds."""
    return dataclasses.replace(OK, pause=(least, most))


class Channel:
    """One place that messages go to. `told` holds them in the order they came."""

    def __init__(self, name: str, behaviour: Behaviour = OK) -> None:
        self.name, self.port = name, free_ports(1)[0]
        self.told: list[Told] = []
        self.hung_up = 0
        """How many senders were gone when their answer was ready."""
        self._behaviour = behaviour
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """For Apprise."""
        return f"json://127.0.0.1:{self.port}/{self.name}"

    async def behave(self, behaviour: Behaviour) -> None:
        """Answers like this from now on; what hangs goes on hanging."""
        self._behaviour = behaviour
        if behaviour.answer is None:
            self._stop_listening()
        elif self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1024)

    async def open(self) -> None:
        """Begins to listen."""
        await self.behave(self._behaviour)

    async def close(self) -> None:
        """Ends every connection."""
        self._stop_listening()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # a sender may die at any moment: that is what this is for
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            posted = json.loads(await _read_body(reader))
            behaviour = self._behaviour
            self.told.append(Told(self.name, posted["title"], posted["message"], time.time(), behaviour))
            await asyncio.sleep(random.uniform(*behaviour.pause))
            self.hung_up += reader.at_eof()
            if behaviour.answer is not None:
                await behaviour.answer(writer)


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(next(lengths).partition(b":")[2]))


@contextlib.asynccontextmanager
async def listening(channels: Iterable[Channel]) -> AsyncIterator[None]:
    """The channels listen while the block runs."""
    async with contextlib.AsyncExitStack() as exits:
        for channel in channels:
            exits.push_async_callback(channel.close)
            await channel.open()
        yield
