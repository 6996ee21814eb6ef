"""What comes of a send, found out from real HTTP servers that answer as sinks do."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import apprise
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from apprise.plugins.opsgenie import OPSGENIE_API_LOOKUP
from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP

from receiver.delivery.outbox import Receipt
from receiver.message import Message
from receiver.notifiers.apprise import MOST_HUNG_SENDS, AppriseTarget, install_recorder, url_problem
from receiver.notifiers.folding import PARAMETERS, folds, with_key
from tests.support.messages import message

KEY = message().key
CANARY = "canary-4711-secret"
TIMEOUT, HANGS = 2.0, 3.0
Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def recorder() -> None:
    install_recorder()


@asynccontextmanager
async def sink(behave: Behave) -> AsyncIterator[int]:
    """A server that reads one request and does as it is told with the connection."""

    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
                await reader.readexactly(length)
                await behave(reader, writer)
                writer.close()
            finally:
                if not writer.is_closing():
                    writer.transport.abort()
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def answer(status: int, headers: str = "", body: str = "") -> Behave:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode())
        await writer.drain()

    return behave


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


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
            message(), may_repeat=False
        )
    assert (receipt.result, receipt.http_status, receipt.retry_after) == (result, status, retry_after)


async def test_a_sink_that_is_not_there_was_surely_not_told() -> None:
    receipt = await AppriseTarget(lambda: f"json://127.0.0.1:1/{CANARY}", timeout=1.0).send(message(), may_repeat=False)
    assert receipt.result == "failed"
    assert CANARY not in receipt.detail


async def test_what_the_sink_says_is_kept_without_our_secret() -> None:
    async with sink(answer(400, body=f"no such hook: {CANARY}\nsecond line\x1b[2J")) as port:
        receipt = await AppriseTarget(lambda: f"json://127.0.0.1:{port}/{CANARY}", timeout=TIMEOUT).send(
            message(), may_repeat=False
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
        return await AppriseTarget(lambda: f"json://127.0.0.1:{port}/{status}", timeout=5.0).send(
            message(), may_repeat=False
        )

    receipts = await asyncio.gather(*(one(status) for status in statuses))
    await runner.cleanup()
    assert [receipt.http_status for receipt in receipts] == statuses


async def test_a_send_that_drips_is_cut_when_its_time_is_over() -> None:
    # a drip outlasts any timeout of a socket
    async with sink(drip) as port:
        target = AppriseTarget(lambda: f"json://127.0.0.1:{port}/x", 0.2)
        for _ in range(MOST_HUNG_SENDS + 2):
            assert (await target.send(message(), may_repeat=False)).result == "unknown"
            await until(lambda: not [one for one in threading.enumerate() if one.name == "apprise"])


async def test_sends_that_can_not_be_cut_are_left_alone_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def stuck(*_: object) -> Receipt:
        over.wait(60)  # in the resolver, say: there is no connection yet
        return Receipt("failed", "")

    monkeypatch.setattr("receiver.notifiers.apprise._send", stuck)
    target = AppriseTarget(lambda: "json://127.0.0.1/x", 0.05)
    receipts = [await target.send(message(), may_repeat=False) for _ in range(MOST_HUNG_SENDS + 1)]
    assert [receipt.result for receipt in receipts] == ["unknown"] * MOST_HUNG_SENDS + ["failed"]
    assert "still hang" in receipts[-1].detail
    over.set()
    await until(lambda: not [one for one in threading.enumerate() if one.name == "apprise"])


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
        receipt = await AppriseTarget(lambda: f"json://127.0.0.1:{port}/", timeout=15.0).send(
            message(), may_repeat=False
        )
    assert (receipt.result, receipt.http_status) == ("sent", 200)


FOLDING: list[tuple[str, str, str]] = [
    ("PagerDuty", "pagerduty://integration@apikey", "dedup=k&action=map"),
    ("Opsgenie", "opsgenie://apikey/#team", "alias=k"),
    ("GoAlert", "goalert://localhost/token", "dedup=k&action=map"),
    ("GoAlert by TLS", "goalerts://localhost/token", "dedup=k&action=map"),
    ("ilert", "ilert://apikey12345678", "dedup=k&action=map"),
    ("incident.io", "incidentio://source/token", "dedup=k&action=map"),
    ("FireHydrant", "firehydrant://token", "dedup=k&action=map"),
    ("Squadcast", "squadcast://token", "dedup=k&action=map"),
]


@pytest.mark.parametrize(("url", "added"), [row[1:] for row in FOLDING], ids=[row[0] for row in FOLDING])
def test_a_sink_that_folds_is_given_the_key(url: str, added: str) -> None:
    assert folds(url)
    made = apprise.Apprise.instantiate(with_key(url, "k"))
    assert made is not None
    found = vars(made)
    assert (found.get("dedup") or found.get("alias"), found["action"]) == ("k", "map")
    assert with_key(url, "k") == f"{url}?{added}"
    assert with_key(f"{url}?verify=no", "k") == f"{url}?verify=no&{added}"
    assert with_key(f"{url}?", "k") == f"{url}?{added}"


def test_what_the_operator_has_set_stays() -> None:
    assert {scheme for scheme, _, _ in (row[1].partition("://") for row in FOLDING)} == set(PARAMETERS)
    assert with_key("pagerduty://a@b?dedup=mine&ACTION=trigger", "k") == "pagerduty://a@b?dedup=mine&ACTION=trigger"
    assert with_key("pagerduty://a@b?action=trigger", "k") == "pagerduty://a@b?action=trigger&dedup=k"
    assert with_key("json://localhost/x", "k") == "json://localhost/x"
    assert not folds("json://localhost/x")


class Pager:
    """PagerDuty's and Opsgenie's APIs, as far as a message goes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, object]]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.query_string, await request.json()))
        return web.json_response({"status": "success", "requestId": "no-alert's-id"}, status=202)


@pytest.fixture
async def pager(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pager]:
    found = Pager()
    app = web.Application()
    app.add_routes([web.post("/{any:.*}", found.take)])
    async with TestServer(app) as server:
        monkeypatch.setitem(PAGERDUTY_API_LOOKUP, "us", str(server.make_url("/v2/enqueue")))
        monkeypatch.setitem(OPSGENIE_API_LOOKUP, "us", str(server.make_url("/v2/alerts")))
        yield found


async def told(url: str) -> list[str]:
    """Sends a firing, its repeat and its resolve, each from a target made anew; returns the results."""
    statuses = ("firing", "firing", "resolved")
    receipts = [
        await AppriseTarget(lambda: url, timeout=10.0).send(message(status=status), may_repeat=False)
        for status in statuses
    ]
    return [receipt.result for receipt in receipts]


async def test_pagerduty_makes_one_of_a_firing_its_repeat_and_its_resolve(pager: Pager) -> None:
    assert await told("pagerduty://integration@apikey") == ["sent"] * 3
    assert [(body["event_action"], body["dedup_key"]) for _, _, body in pager.asked] == [
        ("trigger", KEY),
        ("trigger", KEY),
        ("resolve", KEY),
    ]


async def test_opsgenie_closes_by_the_alias_though_nothing_was_kept(pager: Pager) -> None:
    assert await told("opsgenie://apikey/#team") == ["sent"] * 3
    assert [(path, query, body.get("alias")) for path, query, body in pager.asked] == [
        ("/v2/alerts", "", KEY),
        ("/v2/alerts", "", KEY),
        (f"/v2/alerts/{KEY}/close", "identifierType=alias", None),
    ]
    assert "Since: 2026-11-20" in str(pager.asked[-1][2]["note"])


async def test_opsgenie_may_be_told_otherwise(pager: Pager) -> None:
    assert await told("opsgenie://apikey/#team?action=new&alias=mine") == ["sent"] * 3
    assert [(path, body["alias"]) for path, _, body in pager.asked] == [("/v2/alerts", "mine")] * 3


def test_a_key_is_an_incidents_own() -> None:
    message = Message(
        incident=7, revision=1, status="firing", reason="", severity="", alert="", summary="", since=0, incident_url="a"
    )
    later = msgspec.structs.replace(message, revision=9, status="resolved")
    others = [msgspec.structs.replace(message, incident=8), msgspec.structs.replace(message, incident_url="b")]
    assert later.key == message.key
    assert len({message.key, *(other.key for other in others)}) == 3
    assert len(message.key) <= 255
