"""The exporter over HTTP: what goes in, what comes out, what is refused."""

import asyncio
import gzip
import io
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.contract.conftest import AUTH, StartExporter
from toolkit.configfile import ConfigError

SHOP = """
auth: {bearer_token_files: [token]}
usage:
  rules:
    - {name: checkouts, metric: shop_checkouts_total, help: Checkouts., event: checkout, owner: me, labels: {plan: [free, pro]}}
"""


async def test_health_is_open_and_everything_else_wants_the_token(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    for path in ("/-/healthy", "/-/ready"):
        assert (await client.get(path)).status == 200
    for method, path in (("GET", "/metrics"), ("GET", "/"), ("POST", "/v1/events"), ("POST", "/-/reload")):
        refused = await client.request(method, path)
        assert refused.status == 401
        assert "Bearer" in refused.headers["WWW-Authenticate"]
        assert (await client.request(method, path, headers={"Authorization": "Bearer wrong-é"})).status == 401
    assert (await client.get("/metrics", headers=AUTH)).status == 200


async def test_events_are_counted_and_told_apart(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    body = '{"event": "checkout", "plan": "pro"}\n{"event": "login"}\n{oops\n{"event": "checkout", "plan": "gold"}\n'
    answer = await client.post("/v1/events", data=body, headers={**AUTH, "Content-Type": "application/x-ndjson"})
    told = await answer.json()
    assert answer.status == 200
    assert (told["events"], told["matched"], told["unmatched"], told["rejected"]) == (3, 2, 1, 1)
    assert told["rejects"][0]["position"] == 3
    text = await (await client.get("/metrics", headers=AUTH)).text()
    assert 'shop_checkouts_total{plan="pro"} 1\n' in text
    assert 'shop_checkouts_total{plan="free"} 0\n' in text
    assert 'shop_checkouts_total{plan="other"} 1\n' in text
    assert 'usage_rule_events_total{rule="checkouts"} 2\n' in text


async def test_counts_add_up_over_requests(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    for _i in range(3):
        await client.post("/v1/events", json={"event": "checkout", "plan": "pro"}, headers=AUTH)
    assert 'shop_checkouts_total{plan="pro"} 3\n' in await (await client.get("/metrics", headers=AUTH)).text()


async def test_a_header_that_is_no_text_is_unauthorized(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_a_body_of_nothing_usable_is_a_bad_request(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    answer = await client.post("/v1/events", data=b"hello", headers=AUTH)
    assert answer.status == 400
    assert (await answer.json())["rejects"][0]["reason"].startswith("not JSON")


async def test_a_body_beyond_the_limit_is_refused(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    assert (await client.post("/v1/events", data=io.BytesIO(b" " * (16 * 1024 * 1024 + 1)), headers=AUTH)).status == 413


async def test_counts_survive_a_restart(start_exporter: StartExporter) -> None:
    first, _ = await start_exporter(SHOP)
    await first.post("/v1/events", json={"event": "checkout", "plan": "pro"}, headers=AUTH)
    second, _ = await start_exporter(SHOP)
    assert 'shop_checkouts_total{plan="pro"} 1\n' in await (await second.get("/metrics", headers=AUTH)).text()


PROMETHEUS_ACCEPTS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


async def test_metrics_come_as_text_as_openmetrics_and_zipped(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(SHOP)
    text = await client.get("/metrics", headers=AUTH)
    assert text.headers["Content-Type"].startswith("text/plain; version=")
    names = {family.name for family in parse_text(await text.text())}
    open_ = await client.get("/metrics", headers={**AUTH, "Accept": PROMETHEUS_ACCEPTS})
    assert open_.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(await open_.text())} == names
    client.session._auto_decompress = False  # to see the bytes on the wire
    zipped = await client.get("/metrics", headers={**AUTH, "Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert b"shop_checkouts_total" in gzip.decompress(await zipped.read())


async def test_a_bad_reload_keeps_the_old_configuration_and_says_so(
    start_exporter: StartExporter, folder: Path
) -> None:
    client, exporter = await start_exporter(SHOP)
    (folder / "exporter.yml").write_text(SHOP + "zzz: 1\n")
    answer = await client.post("/-/reload", headers=AUTH)
    assert answer.status == 500
    assert "zzz: unknown key" in await answer.text()
    assert exporter.config.usage.rules
    assert (
        "tocsin_exporter_config_last_reload_successful 0.0\n"
        in await (await client.get("/metrics", headers=AUTH)).text()
    )
    (folder / "exporter.yml").write_text(SHOP.replace("checkouts,", "sales,"))
    assert (await client.post("/-/reload", headers=AUTH)).status == 200
    text = await (await client.get("/metrics", headers=AUTH)).text()
    assert "tocsin_exporter_config_last_reload_successful 1.0\n" in text
    assert 'usage_rule_events_total{rule="sales"} 0\n' in text


async def test_a_bad_configuration_is_refused_at_start(start_exporter: StartExporter) -> None:
    with pytest.raises(ConfigError):
        await start_exporter("zzz: 1")


class Vendor:
    """A vendor on loopback that answers as told."""

    def __init__(self) -> None:
        self.status, self.body, self.seen = 200, b"{}", list[web.Request]()

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def vendor() -> Vendor:
    return Vendor()


async def test_a_provider_is_probed_judged_and_shown(
    start_exporter: StartExporter, vendor: Vendor, folder: Path
) -> None:
    app = web.Application()
    app.add_routes([web.route("*", "/v1/me", vendor.answer)])
    (folder / "key").write_text("user:password\n")
    async with TestServer(app) as server:
        provider = f"{{name: mail, url: '{server.make_url('/v1/me')}', interval: 100ms, timeout: 90ms, owner: me"
        config = f"providers: [{provider}, auth: {{scheme: Basic, secret_file: key}}}}]"
        client, _ = await start_exporter(config)
        await until(lambda: bool(vendor.seen))
        assert vendor.seen[0].headers["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
        assert vendor.seen[0].headers["User-Agent"] == "tocsin-exporter"
        await shows(
            client, 'thirdparty_verdict{provider="mail",verdict="ok"} 1\n', 'thirdparty_up{provider="mail"} 1\n'
        )
        vendor.status = 402
        await shows(
            client,
            'thirdparty_verdict{provider="mail",verdict="payment_required"} 1\n',
            'thirdparty_verdict{provider="mail",verdict="ok"} 0\n',
            'thirdparty_verdict_certainty{provider="mail",certainty="status"} 1\n',
            'thirdparty_responses_total{provider="mail",verdict="payment_required",code="402"} ',
            'thirdparty_last_success_timestamp_seconds{provider="mail"} 1000\n',
        )
        (folder / "key").unlink()
        await shows(client, 'thirdparty_responses_total{provider="mail",verdict="unknown",code="secret"} ')


async def test_a_redirect_is_not_followed(start_exporter: StartExporter, vendor: Vendor) -> None:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("/v1/me")

    app = web.Application()
    app.add_routes([web.get("/v1/me", vendor.answer), web.get("/old", away)])
    async with TestServer(app) as server:
        client, _ = await start_exporter(
            f"providers: [{{name: mail, url: '{server.make_url('/old')}', interval: 100ms, timeout: 90ms, owner: me}}]"
        )
        await shows(client, 'thirdparty_responses_total{provider="mail",verdict="unknown",code="302"} ')
        assert not vendor.seen


async def test_a_provider_that_is_not_there_is_an_outage(start_exporter: StartExporter) -> None:
    client, _ = await start_exporter(
        "providers: [{name: mail, url: 'http://127.0.0.1:1/', interval: 100ms, timeout: 90ms, owner: me}]"
    )
    await shows(client, 'thirdparty_responses_total{provider="mail",verdict="outage",code="connect"} ')


async def test_a_provider_is_forgotten_when_a_reload_drops_it(start_exporter: StartExporter, folder: Path) -> None:
    client, _ = await start_exporter(
        "providers: [{name: mail, url: 'http://127.0.0.1:1/', interval: 100ms, timeout: 90ms, owner: me}]"
    )
    await shows(client, 'thirdparty_up{provider="mail"} 0\n')
    (folder / "exporter.yml").write_text("providers: []\n")
    await client.post("/-/reload")
    assert "thirdparty_" not in await (await client.get("/metrics")).text()


async def shows(client: object, *lines: str) -> None:
    async def all_there() -> bool:
        text = await (await client.get("/metrics")).text()  # type: ignore[attr-defined]
        return all(line in text for line in lines)

    for _ in range(400):
        if await all_there():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await (await client.get("/metrics")).text())  # type: ignore[attr-defined]


async def until(holds: object) -> None:
    for _ in range(400):
        if holds():  # type: ignore[operator]
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within 20 s")
