"""What comes of a send, found out from real HTTP servers that answer as sinks do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from receiver.notifiers.apprise import MOST_HUNG_SENDS, AppriseTarget, install_recorder, url_problem
from receiver.outbox import Receipt

CANARY = "canary-4711-secret"
TIMEOUT, HANGS = 2.0, 3.0
Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def recorder() -> None:
    install_recorder()


@asynccontextmanager
async def sink(behave: Behave) -> AsyncIterator[int]:
    """A server that reads one request and does as it is told with the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            await behave(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def answer(status: int, headers: str = "", body: str = "") -> Behave:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode())
        await writer.drain()

    return behave


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(HANGS)


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)  # longer than Apprise waits by itself
    await answer(200)(reader, writer)


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _i in range(30):
        writer.write(b".")
        await asyncio.sleep(0.1)


SINKS: list[tuple[str, Behave, str, int | None, float | None]] = [
    ("200", answer(200), "sent", 200, None),
    ("204", answer(204), "sent", 204, None),
    ("500", answer(500), "failed", 500, None),
    ("429 with Retry-After", answer(429, "Retry-After: 17\r\n"), "failed", 429, 17.0),
    ("429 with an endless Retry-After", answer(429, "Retry-After: 999999\r\n"), "failed", 429, 3600.0),
    ("404", answer(404), "failed", 404, None),
    ("a gateway that gave up on the sink", answer(504), "unknown", 504, None),
    ("reset after the request", reset, "unknown", None, None),
    ("a hang", hang, "unknown", None, None),
    ("an endless drip", drip, "unknown", None, None),
]


@pytest.mark.parametrize(
    ("behave", "result", "status", "retry_after"), [row[1:] for row in SINKS], ids=[row[0] for row in SINKS]
)
async def test_a_sinks_answer_becomes_a_receipt(
    behave: Behave, result: str, status: int | None, retry_after: float | None
) -> None:
    async with sink(behave) as port:
        receipt = await AppriseTarget(lambda: f"json://127.0.0.1:{port}/{CANARY}", timeout=TIMEOUT).send(
            "t", "b", "failure"
        )
    assert (receipt.result, receipt.http_status, receipt.retry_after) == (result, status, retry_after)


async def test_a_sink_that_is_not_there_was_surely_not_told() -> None:
    receipt = await AppriseTarget(lambda: f"json://127.0.0.1:1/{CANARY}", timeout=1.0).send("t", "b", "failure")
    assert receipt.result == "failed"
    assert CANARY not in receipt.detail


async def test_what_the_sink_says_is_kept_without_our_secret() -> None:
    async with sink(answer(400, body=f"no such hook: {CANARY}\nsecond line\x1b[2J")) as port:
        receipt = await AppriseTarget(lambda: f"json://127.0.0.1:{port}/{CANARY}", timeout=TIMEOUT).send(
            "t", "b", "failure"
        )
    assert receipt.detail == "no such hook: ***\nsecond line\\x1b[2J"


async def test_each_of_many_sends_at_once_gets_its_own_receipt() -> None:
    async def echo(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response(status=int(request.match_info["status"]))

    app = web.Application()
    app.add_routes([web.post("/{status}", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    statuses = [200, 429, 500, 404, 201, 503] * 5

    async def one(status: int) -> Receipt:
        return await AppriseTarget(lambda: f"json://127.0.0.1:{port}/{status}", timeout=5.0).send("t", "b", "failure")

    receipts = await asyncio.gather(*(one(status) for status in statuses))
    await runner.cleanup()
    assert [receipt.http_status for receipt in receipts] == statuses


async def test_sends_that_hang_are_left_alone_but_not_without_end() -> None:
    # a drip outlasts any timeout of a socket: only the thread's own end frees its place
    async with sink(drip) as port:
        target = AppriseTarget(lambda: f"json://127.0.0.1:{port}/", timeout=0.4)
        receipts = [await target.send("t", "b", "failure") for _ in range(MOST_HUNG_SENDS + 1)]
        assert [receipt.result for receipt in receipts] == ["unknown"] * MOST_HUNG_SENDS + ["failed"]
        assert "still hang" in receipts[-1].detail
        await asyncio.sleep(HANGS + 1)
        assert (await target.send("t", "b", "failure")).result == "unknown"
        await asyncio.sleep(HANGS + 1)


@pytest.mark.parametrize(
    "url",
    ["json://localhost/x", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts", "mailto://a:b@example.com"],
)
def test_a_good_url_has_no_problem(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize("url", ["", "nothing", f"{CANARY}://x", f"slack://{CANARY}", f"https//{CANARY}", "://"])
def test_a_bad_url_is_refused_without_being_shown(url: str) -> None:
    problem = url_problem(url)
    assert problem
    assert CANARY not in problem


async def test_a_slow_sink_is_waited_for_as_long_as_its_timeout_says() -> None:
    async with sink(slow) as port:
        receipt = await AppriseTarget(lambda: f"json://127.0.0.1:{port}/", timeout=15.0).send("t", "b", "failure")
    assert (receipt.result, receipt.http_status) == ("sent", 200)
