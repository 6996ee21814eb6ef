"""What comes of a send, found out from real HTTP servers that answer as sinks do."""

import asyncio
import base64
import contextlib
import email
import email.policy
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import apprise
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.opsgenie import OPSGENIE_API_LOOKUP
from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP
from apprise.plugins.slack import NotifySlack

from receiver.delivery.outbox import Receipt
from receiver.message import Message
from receiver.notifiers.apprise import MOST_HUNG_SENDS, AppriseTarget, install_recorder, url_problem
from receiver.notifiers.folding import PARAMETERS, folds, with_key
from receiver.notifiers.natives import NativeWorkflows, equip
from receiver.notifiers.render import render
from receiver.notifiers.stories import acknowledged, resolved
from tests.support.messages import message
from tests.support.stories import STORIES

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


# --- what each service is sent

FULL = STORIES["checkout-drop"]


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[tuple[str, str, bytes]]]:
    """(path, content type, body) of what Slack, Discord, PagerDuty and Opsgenie are sent."""
    found: list[tuple[str, str, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        found.append((request.path, request.content_type, await request.read()))
        return (
            web.Response(text="ok")
            if request.path.startswith("/slack")
            else web.json_response({"requestId": "x"}, status=200)
        )

    app = web.Application()
    app.add_routes([web.post("/{any:.*}", take)])
    async with TestServer(app) as server:
        base = str(server.make_url("/"))
        monkeypatch.setattr(NotifySlack, "webhook_url", f"{base}slack")
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"{base}discord")
        monkeypatch.setitem(PAGERDUTY_API_LOOKUP, "us", f"{base}pagerduty")
        monkeypatch.setitem(OPSGENIE_API_LOOKUP, "us", f"{base}opsgenie")
        yield found


async def sent(url: str, told: Message) -> None:
    receipt = await AppriseTarget(lambda: url, timeout=30.0).send(told, may_repeat=False)
    assert receipt.result == "sent", receipt


SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
Service = list[tuple[str, str, bytes]]


async def test_a_slack_webhook_is_sent_blocks_and_a_text_for_phones(service: Service) -> None:
    await sent(f"{SLACK}/#alerts", FULL)
    ((path, _, body),) = service
    payload = json.loads(body)
    assert path == "/slack/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert set(payload) <= {"text", "blocks", "channel", "icon_url"}
    assert payload["channel"] == "#alerts"
    assert payload["text"].startswith("[P1 FIRING] Checkouts 84 % below normal")
    buttons = payload["blocks"][-1]["elements"]
    assert all("url" in button for button in buttons)  # a press would report to nobody


async def test_discord_is_sent_one_message_with_the_chart_in_its_embed(service: Service) -> None:
    await sent("discord://4711/token", FULL)
    ((path, kind, body),) = service
    assert (path, kind) == ("/discord/4711/token", "multipart/form-data")
    assert b'"allowed_mentions": {"parse": []}' in body
    assert b"attachment://chart.png" in body
    assert FULL.chart in body


async def test_discord_mentions_whom_the_operator_names(service: Service) -> None:
    await sent(
        "discord://4711/token?ping=@everyone,%3C@4712%3E", acknowledged(msgspec.structs.replace(FULL, chart=b""))
    )
    ((_, _, body),) = service
    payload = json.loads(body)
    assert payload["allowed_mentions"] == {"parse": ["everyone"], "users": ["4712"], "roles": []}
    assert payload["content"].endswith("👉 @everyone <@4712>")


async def test_pagerduty_is_sent_details_an_acknowledgement_and_an_end(service: Service) -> None:
    for told in (FULL, acknowledged(FULL), resolved(FULL)):
        await sent("pagerduty://integration@apikey", told)
    trigger, acknowledge, resolve = (json.loads(body) for _, _, body in service)
    assert trigger["payload"]["summary"].startswith("[P1 FIRING] Checkouts")
    assert (
        trigger["payload"]["custom_details"]["Impact"] == "about 4,300 EUR an hour; no sale completes for card payers"
    )
    assert {link["text"] for link in trigger["links"]} >= {"Runbook", "Dashboard", "Incident"}
    for event, action in ((acknowledge, "acknowledge"), (resolve, "resolve")):
        assert event == {
            "event_action": action,
            "dedup_key": FULL.key,
            "routing_key": "integration",
            "client": "Tocsin",
        }


async def test_pagerduty_keeps_what_the_operator_says_of_it(service: Service) -> None:
    await sent("pagerduty://integration@apikey?severity=warning&group=mine&dedup=own&+Team=payments", FULL)
    event = json.loads(service[0][2])
    assert (event["dedup_key"], event["payload"]["severity"], event["payload"]["group"]) == ("own", "warning", "mine")
    assert event["payload"]["custom_details"]["Team"] == "payments"


async def test_opsgenie_is_sent_details_a_priority_and_an_acknowledgement(service: Service) -> None:
    await sent("opsgenie://apikey/#team", FULL)
    await sent("opsgenie://apikey/#team", acknowledged(FULL))
    made = json.loads(service[0][2])
    assert (made["priority"], made["entity"], made["alias"]) == ("P1", "checkout", FULL.key)
    assert made["details"]["Owner"] == "payments (on call: Bo Berg)"
    assert service[1][0] == f"/opsgenie/{FULL.key}/acknowledge"


async def test_json_has_the_fields_and_the_chart_beside_the_text() -> None:
    taken: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.json())
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/x", take)])
    async with TestServer(app) as server:
        await sent(f"json://127.0.0.1:{server.port}/x", FULL)
    (posted,) = taken
    assert posted["title"].startswith("[P1 FIRING]")
    assert posted["incident"]["changes"][0]["undo_url"] == "https://argocd.example.com/checkout/rollback"
    assert posted["incident"]["key"] == FULL.key
    assert base64.b64decode(posted["attachments"][0]["base64"]) == FULL.chart


def test_teams_is_sent_a_card_and_an_operators_template_is_left_to_them() -> None:
    rendered = render(FULL, "workflows://host/flow/signature", 1000)
    for url, ours in (
        ("workflows://host/flow/signature", True),
        ("workflows://host/flow/signature?template=/tmp/x.json", False),
    ):
        service = apprise.Apprise.instantiate(url)
        assert isinstance(service, NativeWorkflows)
        equip(service, rendered)
        payload = service.gen_payload(body="text", title="title")
        assert (payload == rendered.native) is ours


@asynccontextmanager
async def post_office() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A mail server: (its port, the mails that it took)."""
    mails: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                mails.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**22)
    try:
        yield server.sockets[0].getsockname()[1], mails
    finally:
        server.close()


async def test_a_mail_shows_the_chart_in_its_place_and_keeps_an_incident_together() -> None:
    async with post_office() as (port, mails):
        for told in (FULL, resolved(FULL)):
            await sent(f"mailto://127.0.0.1:{port}?from=tocsin@example.com&to=on-call@example.com&mode=insecure", told)
    first, last = (email.message_from_bytes(mail, policy=email.policy.default) for mail in mails)
    assert first["References"] == last["References"] == first["In-Reply-To"] == f"<{FULL.key}@tocsin>"
    assert first["Subject"] == "[P1 FIRING] Checkouts 84 % below normal · checkout prod · 14:02 UTC"
    parts = {part.get_content_type(): part for part in first.walk()}
    assert first.get_content_type() == "multipart/related"
    assert parts["image/png"]["Content-ID"] == "<chart.png>"
    assert parts["image/png"].get_payload(decode=True) == FULL.chart
    assert 'src="cid:chart.png"' in parts["text/html"].get_content()
    plain = parts["text/plain"].get_content()
    assert "First step" in plain
    assert "Roll checkout back to 1.41" in plain
    assert "https://tocsin.example.com/a/7f3Kq9-43" in plain
