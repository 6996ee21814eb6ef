"""Who connects and asks nothing is sent away after ten seconds; whoever has asked is left in peace."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from aiohttp.typedefs import Handler

from tests.contract.conftest import Clock
from toolkit.dawdlers import HEADERS_SECONDS, Dawdlers

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SILENT = [
    ("not a byte", b"", True),
    ("headers without an end", b"POST / HTTP/1.1\r\nHost: x\r\nX-", True),
    ("a body that is on its way", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1", False),
    ("a connection kept for the next request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False),
]


@dataclass
class World:
    """A server, and who looks after it."""

    server: BaseTestServer
    dawdlers: Dawdlers
    clock: Clock
    arrived: asyncio.Event

    def look(self) -> None:
        assert self.server.runner is not None
        assert self.server.runner.server is not None
        self.dawdlers.look(self.server.runner.server.connections)

    async def connect(self, first: bytes) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(first)
        return reader, writer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock, arrived = Clock(), asyncio.Event()
    dawdlers = Dawdlers(clock)

    async def answer(request: web.Request) -> web.Response:
        arrived.set()
        return web.Response(body=await request.read())

    @web.middleware
    async def entrance(request: web.Request, handler: Handler) -> web.StreamResponse:
        dawdlers.has_asked(request.protocol)
        return await handler(request)

    app = web.Application(middlewares=[entrance])
    app.add_routes([web.route("*", "/", answer)])
    async with TestServer(app) as server:
        yield World(server, dawdlers, clock, arrived)


@pytest.mark.parametrize(("first", "goes"), [row[1:] for row in SILENT], ids=[row[0] for row in SILENT])
async def test_who_has_asked_nothing_is_sent_away(world: World, first: bytes, goes: bool) -> None:
    reader, writer = await world.connect(first)
    if not goes:
        await world.arrived.wait()
    marker = await world.connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await marker[0].readuntil(b"\r\n\r\n")  # by now the server knows of both
    world.look()
    world.clock.at += HEADERS_SECONDS - 1
    world.look()
    assert not reader.at_eof()
    world.clock.at += 1
    world.look()
    if goes:
        assert await asyncio.wait_for(reader.read(), 20) == b""
    else:
        writer.write(b"2" * 8 if b"Length" in first else first)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    for _, each in (marker, (reader, writer)):
        each.close()
