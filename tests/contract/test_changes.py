"""Changes over HTTP and in the message, our own records around an incident, the vendor's status page."""

import asyncio
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.app import Receiver
from receiver.changes.web import MAX_BODY_BYTES
from tests.contract.conftest import AUTH, Client, Clock, StartReceiver, sql
from tests.contract.test_receiver import NO_TARGET, Sink, alert, config, metric, post, settle, sink  # noqa: F401 - sink is a fixture
from toolkit.clock import parse_rfc3339

START = parse_rfc3339("2026-11-20T10:00:00Z")
"""When the alerts of these tests begin."""
SERVICES = """services:
  checkout: {depends_on: [db], tier: 1, owner: payments, description: Takes orders., dashboard: "https://grafana.example/d/1"}
  search: {}
  db: {}
"""
CHANGES = "/v1/changes"
DEPLOY = {"kind": "deploy", "title": "1.42", "service": "checkout", "author": "ana", "id": "ci-1"}
HOOKS = "changes: {github_secret_file: github, launchdarkly_secret_file: launchdarkly}\n"
PING = b'{"zen": "Keep it simple"}'


@pytest.fixture
def clock() -> Clock:
    """Some minutes after the alerts began."""
    return Clock(START + 120)


async def tell(client: Client, *changes: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await client.post(CHANGES, json=list(changes), headers=AUTH)
    assert answer.status == status, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def told(client: Client, number: int = 1) -> dict[str, Any]:
    """The last message of an incident, as stored."""
    shown = await (await client.get(f"/v1/incidents/{number}", headers=AUTH)).json()
    found: dict[str, Any] = shown["notices"][-1]["message"]
    return found


async def fire(client: Client, receiver: Receiver, *alerts: dict[str, Any]) -> None:
    await post(client, *alerts)
    await receiver.pipeline.process()


# --- the API


async def test_a_change_told_twice_is_one_change(start_receiver: StartReceiver, any_database: str) -> None:
    client, _ = await start_receiver(NO_TARGET)
    for new in (1, 0):
        answer = await client.post(CHANGES, json=DEPLOY, headers=AUTH)
        assert (answer.status, await answer.json()) == (200, {"new": new})
    assert await tell(client, DEPLOY, {**DEPLOY, "id": "ci-2"}, {**DEPLOY, "id": "ci-2"}) == {"new": 1}
    assert await sql(any_database, "select key, at from changes order by key") == [
        ("ci-1", START + 120),
        ("ci-2", START + 120),
    ]
    assert await metric(client, 'tocsin_receiver_changes_total{outcome="new"} 2.0')
    assert await metric(client, 'tocsin_receiver_changes_total{outcome="known"} 3.0')


async def test_the_same_told_at_once_by_many_is_one_change(start_receiver: StartReceiver) -> None:
    client, _ = await start_receiver(NO_TARGET)
    batch = [{**DEPLOY, "id": f"ci-{number}"} for number in range(20)]
    found = await asyncio.gather(*(tell(client, *batch[:: 1 if even else -1]) for even in (True, False) * 4))
    assert sum(one["new"] for one in found) == 20


BAD: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("a future date", {}, json.dumps({**DEPLOY, "at": "2026-11-21T10:00:00Z"}).encode(), 400, "at: 2026-11-21 10:00:00 UTC is 23h58m in the future"),
    ("an unknown kind", {}, b'{"kind": "party", "title": "x"}', 400, "kind: there is no 'party'"),
    ("an unknown source", {"source": "gitlab"}, b"{}", 400, "source: there is no 'gitlab'; did you mean 'github'?"),
    ("no JSON", {}, b"\xff", 400, "no change as plain tells it"),
    ("a megabyte and more", {}, b"[" + b" " * MAX_BODY_BYTES + b"]", 413, ""),
]  # fmt: skip


@pytest.mark.parametrize(("query", "body", "status", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_what_is_no_change_is_refused_in_words(
    start_receiver: StartReceiver, query: dict[str, str], body: bytes, status: int, words: str
) -> None:
    client, receiver = await start_receiver(NO_TARGET)
    answer = await client.post(CHANGES, params=query, data=io.BytesIO(body), headers=AUTH)
    assert (answer.status, words in await answer.text()) == (status, True)
    assert await receiver.store.changes.between(0, START * 2, 10) == []


async def test_a_body_that_says_nothing_of_its_size_is_cut_off(start_receiver: StartReceiver) -> None:
    client, _ = await start_receiver(NO_TARGET)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65536

    assert (await client.post(CHANGES, data=body(), headers=AUTH)).status == 413


def signed(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(body: bytes, secret: str = "their-secret") -> dict[str, str]:
    return {"X-GitHub-Event": "ping", "X-Hub-Signature-256": f"sha256={signed(body, secret)}"}


CALLERS: list[tuple[str, bool, dict[str, str], int]] = [
    ("nobody", True, {}, 401),
    ("a token", True, {**AUTH, "X-GitHub-Event": "ping"}, 200),
    ("GitHub", True, github(PING), 200),
    ("GitHub with another secret", True, github(PING, "another"), 401),
    ("GitHub with another secret and a token", True, {**AUTH, **github(PING, "another")}, 401),
    ("the signature of another body", True, github(b"{}"), 401),
    ("no signature but the header", True, {**github(PING), "X-Hub-Signature-256": ""}, 401),
    ("an odd signature", True, {**github(PING), "X-Hub-Signature-256": "sha256=\xe9"}, 401),
    ("LaunchDarkly's signature under GitHub's name", True, github(PING, "ld-secret"), 401),
    ("GitHub, whose secret we do not have", False, github(PING), 401),
]


@pytest.mark.parametrize(("hooks", "headers", "status"), [row[1:] for row in CALLERS], ids=[row[0] for row in CALLERS])
async def test_who_can_send_no_token_signs(
    start_receiver: StartReceiver, folder: Any, hooks: bool, headers: dict[str, str], status: int
) -> None:
    (folder / "github").write_text("their-secret\n")
    (folder / "launchdarkly").write_text("ld-secret\n")
    client, _ = await start_receiver(NO_TARGET + (HOOKS if hooks else ""))
    answer = await client.post(CHANGES, data=PING, headers=headers)
    assert answer.status == status
    if status == 200:
        assert await answer.json() == {"new": 0, "ignored": "the event 'ping' is no deployment"}


async def test_a_flag_that_launchdarkly_signed_is_stored(start_receiver: StartReceiver, folder: Any) -> None:
    (folder / "github").write_text("their-secret")
    (folder / "launchdarkly").write_text("ld-secret")
    client, receiver = await start_receiver(NO_TARGET + HOOKS)
    body = json.dumps({"_id": "1", "date": START * 1000, "kind": "flag", "name": "x"}).encode()
    answer = await client.post(
        f"{CHANGES}?service=checkout", data=body, headers={"X-LD-Signature": signed(body, "ld-secret")}
    )
    assert (answer.status, await answer.json()) == (200, {"new": 1})
    (change,) = await receiver.store.changes.between(START, START, 10)
    assert change.words == "flag of checkout: x changed"


async def test_a_secret_that_went_missing_opens_nothing_and_the_post_may_come_again(
    start_receiver: StartReceiver, folder: Any
) -> None:
    for name in ("github", "launchdarkly"):
        (folder / name).write_text("their-secret")
    client, _ = await start_receiver(NO_TARGET + HOOKS)
    (folder / "github").unlink()
    answer = await client.post(CHANGES, data=PING, headers=github(PING))
    assert (answer.status, await answer.text()) == (503, "the secret of this signature can't be read\n")


async def test_the_other_doors_stay_shut(start_receiver: StartReceiver) -> None:
    client, _ = await start_receiver(NO_TARGET)
    assert (await client.get(CHANGES)).status == 401
    assert (await client.post(f"{CHANGES}/annotations", json={})).status == 401


async def test_our_own_token_is_not_stored(start_receiver: StartReceiver, any_database: str) -> None:
    client, _ = await start_receiver(NO_TARGET)
    await tell(
        client, {**DEPLOY, "title": "with a-token-for-tests in it", "url": "https://x.example/?a=a-token-for-tests"}
    )
    assert await sql(any_database, "select title, url from changes") == [("with *** in it", "https://x.example/?a=***")]


async def test_grafana_draws_them(start_receiver: StartReceiver) -> None:
    client, _ = await start_receiver(NO_TARGET)
    await tell(
        client,
        {**DEPLOY, "at": START, "environment": "prod", "url": "https://ci.example/?a=1&b=<2>", "id": "1"},
        {**DEPLOY, "at": START - 86400, "id": "2"},
        {**DEPLOY, "at": START, "service": "search", "id": "3"},
    )
    asked: dict[str, str | int] = {
        "from": round((START - 3600) * 1000),
        "to": round((START + 3600) * 1000),
        "service": "checkout",
    }
    (row,) = await (await client.get(CHANGES, params=asked, headers=AUTH)).json()
    text = '<a href="https://ci.example/?a=1&amp;b=&lt;2&gt;" target="_blank">what it was</a>'
    drawn = {"time": round(START * 1000), "title": "deploy of checkout 1.42 by ana", "text": text}
    assert {name: row[name] for name in ("time", "title", "text", "tags", "undo_url")} == {
        **drawn,
        "tags": "deploy,checkout,prod",
        "undo_url": "",
    }
    assert len(await (await client.get(CHANGES, headers=AUTH)).json()) == 2, "the last day, unless told"
    annotation = {"name": "changes", "query": "checkout", "enable": True}
    question = {
        "range": {"from": "2026-11-20T09:00:00.000Z", "to": "2026-11-20T11:00:00.000Z"},
        "annotation": annotation,
    }
    answer = await client.post(f"{CHANGES}/annotations", json=question, headers=AUTH)
    assert await answer.json() == [{"annotation": annotation, **drawn, "tags": ["deploy", "checkout", "prod"]}]
    odd = {**question, "annotation": {"query": "a\0b"}}
    assert await (await client.post(f"{CHANGES}/annotations", json=odd, headers=AUTH)).json() == []
    assert await (await client.get(CHANGES, params={"service": "a\0b"}, headers=AUTH)).json() == []
    for query in ({"from": "yesterday"}, {"to": "-1"}):
        assert (await client.get(CHANGES, params=query, headers=AUTH)).status == 400
    assert (await client.post(f"{CHANGES}/annotations", json={"range": {}}, headers=AUTH)).status == 400


async def test_the_last_change_of_each_service_is_a_series_and_strangers_share_one(
    start_receiver: StartReceiver, clock: Clock
) -> None:
    client, _ = await start_receiver(NO_TARGET + SERVICES)
    await tell(
        client, *({**DEPLOY, "id": str(at), "at": START + at} for at in (1, 2)), {**DEPLOY, "service": "nobody's"}
    )
    name = "tocsin_receiver_last_change_timestamp_seconds"
    assert await metric(client, f'{name}{{kind="deploy",service="checkout"}} {(START + 2) / 1e9}e+09')
    assert await metric(client, f'{name}{{kind="deploy",service="other"}} {(START + 120) / 1e9}e+09')
    clock.at += 8 * 86400
    assert f"{name}{{" not in await (await client.get("/metrics", headers=AUTH)).text()


# --- in the message


async def test_a_message_tells_what_was_changed_near_the_start_the_likeliest_first(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink, SERVICES))
    rows = [
        ("checkout", -7000, "long before"),
        ("checkout", -7300, "too long before"),
        ("db", -10, "of what it needs"),
        ("", -1, "of any"),
        ("search", -5, "of another"),
        ("checkout", 100, "just after"),
        ("checkout", -600, "before"),
    ]
    here = [
        {**DEPLOY, "service": service, "at": START + at, "title": title, "id": title} for service, at, title in rows
    ]
    await tell(client, *here, {**here[-1], "environment": "staging", "id": "elsewhere", "at": START - 1})
    await fire(client, receiver, alert(service="checkout", environment="prod"))
    found = (await told(client))["changes"]
    assert [one["what"] for one in found] == [
        "deploy of checkout before by ana",
        "deploy of checkout: long before by ana",
        "deploy of checkout: just after by ana",
    ]
    assert found[0]["at"] == START - 600
    await fire(client, receiver, alert("Slow", service="db", environment="prod"))
    later = (await told(client, 1))["changes"]
    assert later[0]["what"] == "deploy of db: of what it needs by ana", "it has joined, and is the probable cause"


async def test_a_message_tells_how_often_it_was_and_how_it_ended(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    clock: Clock,
    any_database: str,
) -> None:
    client, receiver = await start_receiver(config(sink))
    times = ("2026-11-20T{}:00:00Z", "2026-11-20T{}:38:00Z")
    for hour in (10, 12, 14):
        began, over = (time.format(hour) for time in times)
        one = {**alert(service="checkout", instance=str(hour)), "startsAt": began}
        clock.at = parse_rfc3339(began)
        await fire(client, receiver, one)
        if hour == 14:
            break
        await fire(client, receiver, {**one, "status": "resolved", "endsAt": over})
    assert (await told(client, 1)).get("history", "") == ""
    assert (await told(client, 3))["history"] == "3rd time in 30 days; the last, 1h22m ago, took 38m"
    columns = "insert into actions (at, incident_id, what, by, via, detail, note) values"
    silenced = "(0, 2, 'acknowledged', 'bo', 'api', '', ''), (0, 2, 'silenced', 'bo', 'api', '', 'too loud')"
    await sql(any_database, f"{columns} {silenced}")
    worse = {**alert(service="checkout", instance="14", severity="critical"), "startsAt": times[0].format(14)}
    await fire(client, receiver, worse)
    assert (await told(client, 3))["history"] == "3rd time in 30 days; the last, 1h22m ago, took 38m", "nobody ended it"
    ended = "(1, 2, 'noted', 'ana', 'api', '', 'rolled back 1.42'), (2, 2, 'resolved', 'bo', 'api', '', '')"
    await sql(any_database, f"{columns} {ended}")
    await fire(client, receiver, {**worse, "startsAt": "2026-11-20T14:30:00Z"})
    assert (await told(client, 3))["history"] == (
        "3rd time in 30 days; the last, 1h22m ago, took 38m, ended by ana: rolled back 1.42"
    )
    clock.at += 40 * 86400
    await fire(client, receiver, {**alert(service="checkout", instance="15"), "startsAt": "2026-12-30T10:00:00Z"})
    assert (await told(client, 4)).get("history", "") == ""


async def test_what_was_part_of_another_incident_took_as_long_as_that(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    clock: Clock,
    any_database: str,
) -> None:
    client, receiver = await start_receiver(config(sink))
    for service, over in (("checkout", "10:38:00Z"), ("search", "10:10:00Z")):
        await fire(client, receiver, alert(service=service))
        await fire(client, receiver, {**alert(service=service, status="resolved"), "endsAt": f"2026-11-20T{over}"})
    await sql(any_database, "update incidents set state = 'merged', merged_into = 1 where id = 2")
    clock.at += 7200
    await fire(client, receiver, {**alert(service="search"), "startsAt": "2026-11-20T12:00:00Z"})
    assert (await told(client, 3))["history"] == "2nd time in 30 days; the last, 1h24m ago, took 38m"


async def test_a_message_tells_what_else_fires_nearby(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    any_database: str,
) -> None:
    client, receiver = await start_receiver(config(sink, SERVICES + "correlation: {window: 0s}\n"))
    others = [
        alert("Slow", start=1, service="db"),
        alert("Full", start=2, service="db", severity="critical"),
        alert("Errors", start=3, service="checkout"),
        alert("Elsewhere", start=4, service="search"),
        alert("Staging", start=5, service="checkout", environment="staging"),
        alert("Errors", start=6, service="checkout", pod="ended"),
        alert("Closed", start=7, service="checkout"),
    ]
    for one in (*others, {**others[-2], "status": "resolved", "endsAt": "2026-11-20T10:01:00Z"}):
        await fire(client, receiver, one)
    await sql(any_database, "update incidents set state = 'resolved', resolved_at = 1 where id = 6")
    for severity in ("warning", "critical"):
        down = alert("Down", start=9, service="checkout", environment="prod", severity=severity)
        await fire(client, receiver, down)
    found = await told(client, 7)
    assert found["severity"] == "critical", "its own alerts are not other ones"
    assert found["related"] == [
        "warning Errors of checkout since 10:00 UTC (incident 3)",
        "critical Full of db since 10:00 UTC (incident 2)",
        "warning Slow of db since 10:00 UTC (incident 1)",
    ]


async def test_a_message_tells_what_the_catalogue_knows_of_the_service(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink, SERVICES))
    await fire(client, receiver, alert(service="checkout"))
    await fire(client, receiver, alert("Other", service="search", owner="search-team"))
    found = await told(client, 1)
    names = ("owner", "tier", "dashboard_url", "description")
    assert [found.get(name) for name in names] == ["payments", 1, "https://grafana.example/d/1", "Takes orders."]
    assert (await told(client, 2))["owner"] == "search-team"
    own = alert("Own", service="checkout", owner="ana")
    own["annotations"]["description"] = "Own words."
    await fire(client, receiver, own)
    mine = await told(client, 3)
    assert (mine["owner"], mine["description"]) == ("ana", "Own words.")


async def test_records_that_cannot_be_read_are_a_named_gap(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    any_database: str,
) -> None:
    client, receiver = await start_receiver(config(sink))
    await sql(any_database, "drop table changes")
    await fire(client, receiver, alert(service="checkout"))
    await settle(receiver, sink, 1, START + 120)
    assert any(gap.startswith("changes: ") for gap in (await told(client))["absent"])


# --- the vendor's status page


@dataclass
class Vendor:
    """A status page and a Prometheus, which answer as told; the page may hang."""

    page: tuple[int, bytes] = (200, b"")
    sample: str | None = None
    hang: bool = False
    prometheus_hangs: bool = False
    port: int = 0
    asked: list[str] = field(default_factory=list)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def status(self, _: web.Request) -> web.Response:
        if self.hang:
            await self.leave.wait()
        return web.Response(status=self.page[0], body=self.page[1])

    async def query(self, request: web.Request) -> web.Response:
        self.asked.append(str((await request.post())["query"]))
        if self.prometheus_hangs:
            await self.leave.wait()
        result = [{"metric": {}, "value": [1, self.sample]}] if self.sample is not None else []
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    app = web.Application()
    app.add_routes([web.get("/api/v2/status.json", vendor.status), web.post("/api/v1/query", vendor.query)])
    async with TestServer(app) as server:
        vendor.port = int(server.port or 0)
        yield vendor
        vendor.leave.set()


def said(indicator: str, description: str) -> tuple[int, bytes]:
    return 200, json.dumps({"page": {}, "status": {"indicator": indicator, "description": description}}).encode()


PAGES: list[tuple[str, tuple[int, bytes], str | None, bool, str, str]] = [
    ("the exporter saw an incident", (500, b""), "1", True, "an incident or maintenance, on its status page", ""),
    ("the exporter saw none", (500, b""), "0", True, "all is well, on its status page", ""),
    ("the exporter does not know, the page does", said("major", "Partial System Outage"), None, True, "'Partial System Outage', on its status page", ""),
    ("no Prometheus", said("none", "All Systems Operational"), None, False, "'All Systems Operational', on its status page", ""),
    ("the page fails", (503, b""), None, False, "", "vendor_status: the status page answered 503"),
    ("the page is another", (200, b"<html>"), None, False, "", "vendor_status: the status page is none that we can read"),
    ("the page has no end", (200, b" " * 70_000), None, False, "", "vendor_status: the status page has more than 65536 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "sample", "asks", "words", "gap"), [row[1:] for row in PAGES], ids=[row[0] for row in PAGES])  # fmt: skip
@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_a_message_tells_what_the_vendor_says_of_itself(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    vendor: Vendor,
    page: tuple[int, bytes],
    sample: str | None,
    asks: bool,
    words: str,
    gap: str,
) -> None:
    vendor.page, vendor.sample = page, sample
    prometheus = f"prometheus: {{url: 'http://127.0.0.1:{vendor.port}'}}\n" if asks else ""
    more = f"status_pages: {{pay: 'http://127.0.0.1:{vendor.port}/'}}\n{prometheus}"
    client, receiver = await start_receiver(config(sink, more))
    await fire(client, receiver, alert(provider="pay"))
    found = await told(client)
    assert (found.get("vendor_status", ""), _gaps(found)) == (words, [gap] if gap else [])


HANGS: list[tuple[str, bool, bool, str, str]] = [
    ("the page hangs", True, False, "", "vendor_status: the status page did not answer in time"),
    ("Prometheus hangs, the page answers", False, True, "'Partial System Outage', on its status page", ""),
    ("both hang", True, True, "", "vendor_status: the status page did not answer in time"),
]


@pytest.mark.parametrize(("page", "prometheus", "words", "gap"), [row[1:] for row in HANGS], ids=[row[0] for row in HANGS])  # fmt: skip
@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_whoever_hangs_is_not_waited_for_and_named(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    vendor: Vendor,
    page: bool,
    prometheus: bool,
    words: str,
    gap: str,
) -> None:
    vendor.hang, vendor.prometheus_hangs, vendor.page = page, prometheus, said("major", "Partial System Outage")
    address = f"http://127.0.0.1:{vendor.port}"
    more = f"status_pages: {{pay: '{address}'}}\nprometheus: {{url: '{address}'}}\n"
    client, receiver = await start_receiver(config(sink, more))
    await fire(client, receiver, alert(provider="pay"))
    found = await told(client)
    assert (found.get("vendor_status", ""), _gaps(found)) == (words, [gap] if gap else [])


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_a_prometheus_that_hangs_is_named_where_no_page_is_known(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    vendor: Vendor,
) -> None:
    vendor.prometheus_hangs = True
    client, receiver = await start_receiver(config(sink, f"prometheus: {{url: 'http://127.0.0.1:{vendor.port}'}}\n"))
    await fire(client, receiver, alert(provider="pay"))
    assert _gaps(await told(client)) == ["vendor_status: Prometheus did not answer in time"]


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_a_providers_name_is_text_in_the_query_and_no_part_of_it(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    vendor: Vendor,
) -> None:
    client, receiver = await start_receiver(config(sink, f"prometheus: {{url: 'http://127.0.0.1:{vendor.port}'}}\n"))
    await fire(client, receiver, alert(provider='a"} or vector(1) #\\'))
    assert vendor.asked == ['max(thirdparty_status_page_incident{provider="a\\"} or vector(1) #\\\\"})']


def _gaps(found: Mapping[str, Any]) -> list[str]:
    """What the message says is not known of the vendor's status."""
    return [gap for gap in found.get("absent", []) if gap.startswith("vendor_status: ")]
