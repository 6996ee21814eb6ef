"""Looks at a vendor over real HTTP: `/probe`, observations, tokens, second looks, accounts, status pages, TLS, proxies.

Providers here are not scheduled: each look is asked for, so that a test knows how many there were.
"""

import asyncio
import json
import re
import socket
import sqlite3
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.contract.conftest import Client, StartExporter
from tocsin_observe import Observer
from toolkit.storage import sqlite

JSON = {"Content-Type": "application/json"}


class Vendor:
    """A vendor on loopback: what each path answers, and what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[web.Request] = []
        self.forms: list[dict[str, Any]] = []
        self.pause = 0.0
        self.pauses: dict[str, float] = {}
        self.base = ""

    async def take(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if request.method == "POST":
            self.forms.append(dict(await request.post()))
        await asyncio.sleep(self.pauses.get(request.path, self.pause))
        status, body = self.answers.get(request.path, (404, ""))
        return web.Response(status=status, text=body, headers=JSON)

    def times(self, path: str) -> int:
        return sum(request.path == path for request in self.asked)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    found = Vendor()
    app = web.Application()
    app.add_routes([web.route("*", "/{tail:.*}", found.take)])
    async with TestServer(app) as server:
        found.base = str(server.make_url("")).rstrip("/")
        yield found


def config(vendor: Vendor, **more: Any) -> str:
    provider = {"name": "mail", "url": f"{vendor.base}/me", "scheduled": False, "owner": "growth", **more}
    return json.dumps({"providers": [provider]})


async def probe(client: Client, **query: str) -> str:
    answer = await client.get("/probe", params={"provider": "mail", **query})
    assert answer.status == 200, await answer.text()
    return await answer.text()


async def metrics(client: Client) -> str:
    return await (await client.get("/metrics")).text()


async def shows(client: Client, line: str) -> None:
    for _ in range(400):
        if line in await metrics(client):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{line!r} is not in\n{await metrics(client)}")


def verdict(kind: str) -> str:
    return f'thirdparty_verdict{{provider="mail",verdict="{kind}"}} 1\n'


# --- /probe and /sd


async def test_a_look_tells_its_phases_and_writes_the_one_state(start_exporter: StartExporter, vendor: Vendor) -> None:
    client, _ = await start_exporter(config(vendor))
    vendor.answers["/me"] = 200, "{}"
    text = await probe(client)
    for line in ("probe_success 1\n", "probe_http_status_code 200\n", 'phase="resolve"} 0\n', 'phase="tls"} 0\n'):
        assert line in text
    assert 'probe_phase_duration_seconds{phase="connect"} 0.' in text
    assert verdict("ok") in text
    vendor.answers["/me"] = 402, '{"error": {"code": "invoice_unpaid"}}'
    failed = await probe(client)
    assert "probe_success 0\n" in failed
    assert verdict("payment_required") in failed
    assert verdict("payment_required") in await metrics(client)
    assert 'thirdparty_responses_total{provider="mail",verdict="payment_required",code="402"} 1\n' in await metrics(
        client
    )


@pytest.mark.parametrize(
    ("name", "sought"),
    [("mial", "no provider is named 'mial'; did you mean 'mail'?"), ("", "no provider is named ''")],
)
async def test_a_look_at_nobody_is_a_bad_request(
    start_exporter: StartExporter, vendor: Vendor, name: str, sought: str
) -> None:
    client, _ = await start_exporter(config(vendor))
    answer = await client.get("/probe", params={"provider": name, "url": "http://127.0.0.1/"})
    assert (answer.status, sought in await answer.text()) == (400, True)
    assert not vendor.asked


async def test_a_look_ends_before_prometheus_stops_waiting(start_exporter: StartExporter, vendor: Vendor) -> None:
    client, _ = await start_exporter(config(vendor, timeout="20s"))
    vendor.pause = 60
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": "1"}
    answer = await client.get("/probe", params={"provider": "mail", "debug": "true"}, headers=headers)
    assert "none in 0." in (text := await answer.text())
    assert "not within 0.5 s" in text
    bad = await client.get("/probe", params={"provider": "mail"}, headers={next(iter(headers)): "soon"})
    assert (bad.status, "is no number" in await bad.text()) == (400, True)


async def test_debug_shows_every_step_and_no_credential(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    (folder / "key").write_text("sk-canary-0123456789")
    client, _ = await start_exporter(config(vendor, auth={"secret_file": "key"}))
    vendor.answers["/me"] = 401, '{"error": {"message": "Invalid API key: sk-canary-0123456789"}}'
    text = await probe(client, debug="true")
    assert "canary" not in text
    for part in (
        "GET http",
        "Authorization: Bearer ***",
        "answer: 401 in",
        "Invalid API key: ***",
        "verdict: credentials_invalid",
    ):
        assert part in text
    assert "canary" not in await metrics(client)


async def test_providers_are_told_to_service_discovery(start_exporter: StartExporter, vendor: Vendor) -> None:
    client, _ = await start_exporter(config(vendor, service="signup"))
    (target,) = await (await client.get("/sd")).json()
    assert target["targets"] == [f"{client.host}:{client.port}"]
    labels = target["labels"]
    assert (labels["__metrics_path__"], labels["__param_provider"], labels["instance"]) == ("/probe", "mail", "mail")
    assert (labels["__meta_tocsin_owner"], labels["__meta_tocsin_service"]) == ("growth", "signup")


# --- further requests


async def test_a_key_in_the_query_is_sent_and_never_shown(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    (folder / "key").write_text("k&y=0123456789")
    auth = {"query": "api_key", "secret_file": "key"}
    client, _ = await start_exporter(config(vendor, url=f"{vendor.base}/me?limit=1", auth=auth))
    text = await probe(client, debug="true")
    assert vendor.asked[0].query == {"limit": "1", "api_key": "k&y=0123456789"}
    assert "0123456789" not in text


async def test_a_token_is_fetched_once_and_anew_when_it_is_refused(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    (folder / "secret").write_text("client-secret")
    oauth = {"token_url": f"{vendor.base}/token", "client_id": "us", "client_secret_file": "secret", "scope": "read"}
    client, _ = await start_exporter(config(vendor, oauth=oauth))
    vendor.answers |= {"/token": (200, '{"access_token": "t-1", "expires_in": 3600}'), "/me": (200, "{}")}
    for _ in range(3):
        assert verdict("ok") in await probe(client)
    assert vendor.times("/token") == 1
    assert vendor.forms[0] == {
        "client_id": "us",
        "client_secret": "client-secret",
        "grant_type": "client_credentials",
        "scope": "read",
    }
    assert vendor.asked[-1].headers["Authorization"] == "Bearer t-1"
    vendor.answers["/me"] = 401, ""
    assert verdict("payment_required") in await probe(client)
    assert (vendor.times("/token"), vendor.times("/me")) == (2, 5)


async def test_a_withdrawn_refresh_token_is_as_open_as_a_bare_401(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    (folder / "refresh").write_text("refresh-token")
    oauth = {"token_url": f"{vendor.base}/token", "client_id": "us", "refresh_token_file": "refresh"}
    client, _ = await start_exporter(config(vendor, oauth=oauth))
    vendor.answers |= {"/token": (200, '{"access_token": "t-1", "expires_in": 0}'), "/me": (200, "{}")}
    assert verdict("ok") in await probe(client)
    assert vendor.forms[0]["grant_type"] == "refresh_token"
    vendor.answers["/token"] = 400, '{"error": "invalid_grant"}'
    assert verdict("payment_required") in (text := await probe(client))
    assert 'certainty="history"} 1\n' in text


TOKEN_SERVERS = [
    ("a token with another 2xx", (201, '{"access_token": "t-1"}'), "ok", 1),
    ("no token: nobody is asked, and nothing is well", (200, "{}"), "outage", 0),
    ("a token in another place", (200, '{"data": {"access_token": "TKN12345678"}}'), "outage", 0),
    ("no client of theirs", (401, '{"error": "invalid_client"}'), "credentials_invalid", 0),
    ("down", (503, ""), "outage", 0),
]


@pytest.mark.parametrize(
    ("token", "kind", "asked"), [row[1:] for row in TOKEN_SERVERS], ids=[row[0] for row in TOKEN_SERVERS]
)
async def test_a_token_servers_answer_is_not_the_vendors(
    start_exporter: StartExporter, vendor: Vendor, folder: Path, token: tuple[int, str], kind: str, asked: int
) -> None:
    (folder / "secret").write_text("client-secret")
    oauth = {"token_url": f"{vendor.base}/token", "client_id": "us", "client_secret_file": "secret"}
    client, _ = await start_exporter(config(vendor, oauth=oauth))
    vendor.answers |= {"/token": token, "/me": (200, "{}")}
    text = await probe(client, debug="true")
    assert verdict(kind) in text
    assert vendor.times("/me") == asked
    assert "TKN" not in text
    assert ("the token server's answer" in text) is (asked == 0)


async def test_a_secret_of_two_lines_is_our_own_mistake(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    (folder / "key").write_text("one\ntwo\n")
    client, _ = await start_exporter(config(vendor, auth={"secret_file": "key"}))
    text = await probe(client, debug="true")
    assert verdict("unknown") in text
    assert "holds more than one line" in text


async def test_events_are_taken_while_a_name_server_hangs(
    start_exporter: StartExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, resolve = threading.Event(), socket.getaddrinfo

    def hangs(host: str, *args: Any, **more: Any) -> Any:
        if host.endswith(".example"):
            released.wait(60)
        return resolve(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    providers = [
        {"name": f"p-{n}", "url": f"http://{n}.example/", "interval": "1h", "timeout": "50s"} for n in range(40)
    ]
    client, _ = await start_exporter(json.dumps({"providers": providers}))
    try:
        async with asyncio.timeout(30):
            for _ in range(20):
                assert (await client.post("/v1/events", json={"event": "x"})).status == 200
                await asyncio.sleep(0.3)
    finally:
        released.set()


SECOND_LOOKS = [
    ("a scope is missing: the second request is answered well", (200, "{}"), "plan_restricted", "history"),
    ("the account is refused: the second request tells why", (402, '{"error": "invoice overdue"}'), "payment_required", "words"),
    ("the second request tells no more", (401, ""), "payment_required", "history"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("second", "kind", "certainty"), [row[1:] for row in SECOND_LOOKS], ids=[row[0] for row in SECOND_LOOKS]
)
async def test_a_second_request_tells_a_scope_from_an_account(
    start_exporter: StartExporter, vendor: Vendor, second: tuple[int, str], kind: str, certainty: str
) -> None:
    client, _ = await start_exporter(config(vendor, second_url=f"{vendor.base}/whoami"))
    vendor.answers["/me"] = 200, "{}"
    await probe(client)
    assert vendor.times("/whoami") == 0
    vendor.answers |= {"/me": (401, ""), "/whoami": second}
    text = await probe(client)
    assert verdict(kind) in text
    assert f'certainty="{certainty}"}} 1\n' in text


async def test_a_second_request_has_what_time_is_left_of_the_look(
    start_exporter: StartExporter, vendor: Vendor
) -> None:
    client, _ = await start_exporter(config(vendor, second_url=f"{vendor.base}/whoami", timeout="5s"))
    vendor.answers["/me"] = 401, ""
    vendor.pauses = {"/me": 0.3, "/whoami": 60}
    text = await probe(client, debug="true")
    within = re.search(r"answer to the second request: none in .*: not within (\S+) s", text)
    assert within, text
    assert float(within[1]) <= 4.7


async def test_a_token_that_the_second_answer_repeats_is_not_kept(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    (folder / "secret").write_text("client-secret")
    oauth = {"token_url": f"{vendor.base}/token", "client_id": "us", "client_secret_file": "secret"}
    client, exporter = await start_exporter(config(vendor, oauth=oauth, second_url=f"{vendor.base}/whoami"))
    # as plain as a word: only who knows what was sent can tell that it is a secret
    vendor.answers |= {
        "/token": (200, '{"access_token": "canary"}'),
        "/me": (401, ""),
        "/whoami": (402, '{"error": "invoice overdue for canary"}'),
    }
    assert verdict("payment_required") in await probe(client)
    ((_, state, _),) = exporter.monitor.latest()
    assert state is not None
    assert "invoice overdue for ***" in state.reason


async def test_what_could_not_be_saved_is_saved_the_next_time(
    start_exporter: StartExporter, vendor: Vendor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    client, exporter = await start_exporter(config(vendor))
    vendor.answers["/me"] = 402, '{"error": {"code": "invoice_unpaid"}}'
    await probe(client)
    other = sqlite3.connect(folder / "data" / "exporter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await exporter.monitor.stop()
    assert "tocsin_exporter_storage_errors_total 1.0\n" in await metrics(client)
    other.close()
    await exporter.monitor.stop()
    again, _ = await start_exporter(config(vendor))
    assert verdict("payment_required") in await metrics(again)


async def test_a_balance_is_read_off_the_answer_or_asked_for(start_exporter: StartExporter, vendor: Vendor) -> None:
    account = {"credit": {"remaining": "balance", "unit": "EUR"}, "quota": {"used": "used", "limit": 200}}
    client, _ = await start_exporter(config(vendor, account=account))
    vendor.answers["/me"] = 200, '{"balance": "12.50", "used": 50}'
    await probe(client)
    await shows(client, 'thirdparty_credit_remaining{provider="mail",unit="EUR"} 12.5\n')
    vendor.answers["/me"] = 200, '{"balance": "10.00", "used": 100}'
    await probe(client)
    await shows(client, 'thirdparty_credit_spent_total{provider="mail",unit="EUR"} 2.5\n')
    await shows(client, 'thirdparty_quota_used_ratio{provider="mail"} 0.5\n')
    again, _ = await start_exporter(config(vendor, account={**account, "url": f"{vendor.base}/balance"}))
    vendor.answers["/balance"] = 200, '{"balance": 9, "used": 120}'
    await probe(again)
    await shows(again, 'thirdparty_credit_remaining{provider="mail",unit="EUR"} 9\n')
    asked = vendor.times("/balance")
    await probe(again)
    await probe(again)
    assert vendor.times("/balance") == asked == 1


async def test_a_balance_that_is_read_elsewhere_from_now_on_was_not_spent(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    client, _ = await start_exporter(config(vendor, account={"credit": {"remaining": "a"}}))
    vendor.answers["/me"] = 200, '{"a": 1000, "b": 7}'
    await probe(client)
    (folder / "exporter.yml").write_text(config(vendor, account={"credit": {"remaining": "b"}}))
    assert (await client.post("/-/reload")).status == 200
    await probe(client)
    text = await metrics(client)
    assert 'thirdparty_credit_remaining{provider="mail",unit=""} 7\n' in text
    assert 'thirdparty_credit_spent_total{provider="mail",unit=""} 0\n' in text


async def test_a_burst_of_looks_asks_the_status_page_once(start_exporter: StartExporter, vendor: Vendor) -> None:
    client, _ = await start_exporter(config(vendor, status_page=vendor.base))
    vendor.answers |= {"/me": (503, ""), "/api/v2/status.json": (200, '{"status": {"indicator": "none"}}')}
    await asyncio.gather(*(probe(client) for _ in range(20)))
    await shows(client, 'thirdparty_status_page_incident{provider="mail"} 0\n')
    assert vendor.times("/api/v2/status.json") == 1


async def test_the_vendors_status_page_is_asked_only_while_it_fails(
    start_exporter: StartExporter, vendor: Vendor
) -> None:
    client, _ = await start_exporter(config(vendor, status_page=vendor.base))
    vendor.answers |= {"/me": (200, "{}"), "/api/v2/status.json": (200, '{"status": {"indicator": "major"}}')}
    await probe(client)
    assert vendor.times("/api/v2/status.json") == 0
    vendor.answers["/me"] = 503, ""
    await probe(client)
    await shows(client, 'thirdparty_status_page_incident{provider="mail"} 1\n')
    vendor.answers["/me"] = 200, "{}"
    await probe(client)
    for _ in range(400):
        if "thirdparty_status_page_incident" not in await metrics(client):
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the incident stayed")


async def test_a_certificate_that_is_taken_away_is_our_own_fault_and_no_outage(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(folder / "ca.pem")
    client, _ = await start_exporter(config(vendor, tls={"ca_file": "ca.pem"}))
    (folder / "ca.pem").unlink()
    assert verdict("unknown") in await probe(client)
    assert 'thirdparty_responses_total{provider="mail",verdict="unknown",code="secret"} 1\n' in await metrics(client)


# --- observations


async def observe(client: Client, *observations: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/v1/observations", json=list(observations))
    told: dict[str, Any] = await answer.json()
    return told


UNPAID = {"provider": "mail", "status": 402, "body": '{"error": {"code": "invoice_unpaid"}}', "operation": "POST /send"}


async def test_what_programs_were_answered_is_judged_by_the_same_engine(
    start_exporter: StartExporter, vendor: Vendor
) -> None:
    client, _ = await start_exporter(config(vendor))
    assert await observe(client, UNPAID, {"provider": "mial", "status": 200}, {"provider": "mail"}) == {
        "observations": 1,
        "rejected": 2,
        "rejects": [
            {"position": 2, "reason": "no provider is named 'mial'; did you mean 'mail'?"},
            {"position": 3, "reason": "give a status, or an error where no answer came"},
        ],
    }
    text = await metrics(client)
    assert verdict("payment_required") in text
    assert 'thirdparty_observations_total{provider="mail",verdict="payment_required",code="402"} 1\n' in text


async def test_a_probe_that_is_answered_does_not_outvote_what_calls_were_refused_a_moment_ago(
    start_exporter: StartExporter, vendor: Vendor
) -> None:
    client, _ = await start_exporter(config(vendor))
    vendor.answers["/me"] = 200, "{}"
    await observe(client, UNPAID)
    assert verdict("payment_required") in await probe(client)
    await observe(client, {"provider": "mail", "status": 200, "operation": "GET /lists"})
    assert verdict("payment_required") in await metrics(client)
    await observe(client, {"provider": "mail", "status": 200, "operation": "POST /send"})
    assert verdict("ok") in await metrics(client)


NOT_TOLD = [
    ("a request of ours that was wrong", {"status": 400, "body": '{"error": "name is missing"}'}),
    ("a page that is not there", {"status": 404}),
    ("one call's plan", {"status": 403, "body": '{"error": "this feature is not available on your plan"}'}),
]


@pytest.mark.parametrize("observation", [row[1] for row in NOT_TOLD], ids=[row[0] for row in NOT_TOLD])
async def test_an_answer_that_tells_nothing_of_the_account_changes_no_verdict(
    start_exporter: StartExporter, vendor: Vendor, observation: dict[str, Any]
) -> None:
    client, _ = await start_exporter(config(vendor))
    vendor.answers["/me"] = 200, "{}"
    await probe(client)
    await observe(client, {"provider": "mail", **observation})
    text = await metrics(client)
    assert verdict("ok") in text
    assert "thirdparty_observations_total" in text


async def test_a_refusal_without_its_cause_sends_our_own_probe_at_once(
    start_exporter: StartExporter, vendor: Vendor
) -> None:
    client, _ = await start_exporter(config(vendor, scheduled=True, interval="1h"))
    vendor.answers["/me"] = 200, "{}"
    await shows(client, verdict("ok"))
    probes = vendor.times("/me")
    vendor.answers["/me"] = 401, ""
    await observe(client, {"provider": "mail", "status": 401})
    await shows(client, verdict("payment_required"))
    assert vendor.times("/me") > probes


async def test_a_body_of_too_many_observations_is_refused_whole(start_exporter: StartExporter, vendor: Vendor) -> None:
    client, _ = await start_exporter(config(vendor))
    body = b'{"provider": "mail", "status": 200}\n' * 1001
    answer = await client.post("/v1/observations", data=body, headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status, await answer.text()) == (
        413,
        "more than 1000 observations in one body: send them in parts\n",
    )


async def test_the_client_for_programs_and_the_exporter_understand_each_other(
    start_exporter: StartExporter, vendor: Vendor
) -> None:
    client, _ = await start_exporter(config(vendor))
    vendor.answers |= {"/me": (200, "{}"), "/send": (402, '{"error": {"code": "invoice_unpaid"}}')}
    await probe(client)
    observer = Observer(f"http://{client.host}:{client.port}", providers={"127.0.0.1": "mail"})
    async with (
        aiohttp.ClientSession(trace_configs=[observer.aiohttp_trace()]) as program,
        program.post(f"{vendor.base}/send", headers={"Authorization": "Bearer sk-canary"}) as answer,
    ):
        assert (await answer.json())["error"]["code"] == "invoice_unpaid"
    assert await asyncio.to_thread(observer.flush, 20)
    assert observer.statistics().delivered == 1
    text = await metrics(client)
    assert verdict("payment_required") in text
    assert 'thirdparty_verdict_certainty{provider="mail",certainty="code"} 1\n' in text
    await asyncio.to_thread(observer.close)


async def test_a_misspelt_provider_is_told_to_the_program(
    start_exporter: StartExporter, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = await start_exporter(config(vendor))
    observer = Observer(f"http://{client.host}:{client.port}")
    observer.observe("mial", status=402)
    assert await asyncio.to_thread(observer.flush, 20)
    assert observer.statistics().refused == 1
    await asyncio.to_thread(observer.close, 20)
    assert "rejects observations: no provider is named 'mial'; did you mean 'mail'?" in caplog.text


# --- the way there


async def test_a_name_that_leads_to_a_private_address_is_refused_unless_it_is_allowed(
    start_exporter: StartExporter, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *args, **more: resolve("127.0.0.1", *args, **more))
    vendor.answers["/me"] = 200, "{}"
    named = vendor.base.replace("127.0.0.1", "vendor.example") + "/me"
    client, _ = await start_exporter(config(vendor, url=named))
    assert 'phase="body"} 0\n' in await probe(client)
    assert 'thirdparty_responses_total{provider="mail",verdict="unknown",code="private_address"} 1\n' in await metrics(
        client
    )
    assert not vendor.asked
    allowed, _ = await start_exporter(config(vendor, url=named, private_networks=["127.0.0.0/8"]))
    assert verdict("ok") in await probe(allowed)


async def test_requests_go_through_the_proxy_that_is_named(start_exporter: StartExporter, vendor: Vendor) -> None:
    client, _ = await start_exporter(config(vendor, url="http://vendor.example/me", proxy=vendor.base))
    vendor.answers["/me"] = 200, "{}"
    assert verdict("ok") in await probe(client)
    assert vendor.asked[0].headers["Host"] == "vendor.example"


@pytest.fixture
def authority(folder: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(folder / "us.pem")
    return authority


TLS: list[tuple[str, dict[str, str], str, str]] = [
    ("a CA of one's own and a client certificate", {"ca_file": "ca.pem", "cert_file": "us.pem", "key_file": "us.pem"}, "ok", "200"),
    ("no client certificate", {"ca_file": "ca.pem"}, "outage", ""),
    ("a CA that the system doesn't know", {}, "outage", "tls"),
    ("another name than the certificate's", {"ca_file": "ca.pem", "cert_file": "us.pem", "key_file": "us.pem", "server_name": "other.example"}, "outage", "tls"),
]  # fmt: skip


@pytest.mark.parametrize(("tls", "kind", "code"), [row[1:] for row in TLS], ids=[row[0] for row in TLS])
async def test_tls_as_the_provider_wants_it(
    start_exporter: StartExporter, authority: trustme.CA, vendor: Vendor, tls: dict[str, str], kind: str, code: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.add_routes([web.get("/me", vendor.take)])
    vendor.answers["/me"] = 200, "{}"
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    client, _ = await start_exporter(config(vendor, url=f"https://127.0.0.1:{server.port}/me", tls=tls))
    text = await probe(client)
    await server.close()
    assert verdict(kind) in text
    assert f'verdict="{kind}",code="{code}' in await metrics(client)
    if kind == "ok":
        assert "thirdparty_tls_certificate_expiry_timestamp_seconds" in text
        assert 'phase="tls"} 0.' in text
