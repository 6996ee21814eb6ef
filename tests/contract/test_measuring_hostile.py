"""Prometheus and Loki that answer as none should: each fact is missing by name, and none is waited for."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from receiver.alerts import AlertEvent
from receiver.config import load
from receiver.enrichers.measuring import measuring
from receiver.incidents import Incident, advance
from receiver.metrics import ReceiverMetrics
from receiver.settings import ReceiverConfig
from receiver.stages.enrich import Enrichment, Patience, enrich
from tests.contract.conftest import StartReceiver
from tests.support.ports import free_ports
from toolkit.configfile import ConfigError

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
ALL = ("value", "impact", "traces", "logs")


def says(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, content_type="application/json")

    return answer


def pours(megabytes: int) -> Answer:
    """Begins well, and does not end for a long time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(megabytes):
            await response.write(b'{"status": "success", "data": "' + b"x" * 1024 * 1024)
        return response

    return answer


async def hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


async def drips(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


def vector(count: int, value: str = "1") -> str:
    """What Prometheus answers to an instant query."""
    result = [{"metric": {"instance": f"host-{number}"}, "value": [1000.0, value]} for number in range(count)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def data(text: str) -> str:
    return f'{{"status": "success", "data": {text}}}'


HOSTILE: list[tuple[str, Answer, str, tuple[str, ...]]] = [
    ("10 MB", pours(10), "refused", ALL),
    ("no JSON", says("<html>Sign in</html>"), "refused", ALL),
    ("cut JSON", says('{"status": "success", "data": {"resultType": "vec'), "refused", ALL),
    ("no UTF-8", says('{"status": "\udcff"}'.encode("utf-8", "replace").decode()), "refused", ALL),
    ("an empty object", says("{}"), "refused", ALL),
    ("a list", says("[]"), "refused", ALL),
    ("nothing", says(""), "refused", ALL),
    ("data that is none", says(data("7")), "refused", ALL),
    ("data without a kind", says(data('{"result": []}')), "refused", ALL),
    ("a kind of its own", says(data('{"resultType": "trumpet", "result": []}')), "refused", ALL),
    ("results that are none", says(data('{"resultType": "vector", "result": "x"}')), "refused", ALL),
    ("deep brackets", says("[" * 100_000), "refused", ALL),
    ("a value that is none", says(vector(1, "much")), "refused", ALL),
    ("an error", says('{"status": "error", "error": "too busy"}', 422), "refused", ALL),
    ("sign in", says("", 401), "refused", ALL),
    ("503", says("", 503), "unreachable", ALL),
    ("ten thousand series", says(vector(10_000)), "no_data", ("value", "impact")),
    ("no series", says(vector(0)), "no_data", ("value", "impact")),
    ("no lines", says(data('{"resultType": "streams", "result": []}')), "no_data", ("logs",)),
    ("a line at no time", says(data('{"resultType": "streams", "result": [{"values": [["soon", "x"]]}]}')), "refused", ALL),
]  # fmt: skip


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


def config(url: str) -> ReceiverConfig:
    query = 'orders{service="$service"}'
    return ReceiverConfig.model_validate(
        {
            "prometheus": {"url": url},
            "impact": [{"query": query, "unit": "orders an hour"}],
            "loki": {"url": url, "query": '{service="$service"} |= "error"'},
            "traces": {"url": "https://traces.example/$trace_id"},
        }
    )


def incident() -> Incident:
    labels = {"alertname": "OrdersDropped", "service": "shop", "severity": "critical"}
    event = AlertEvent("f", "firing", 1000.0, None, labels, {}, "http://p/graph?g0.expr=orders+%3C+5")
    found = advance(None, {}, "key", [event], now=1000.0).incident
    assert found is not None
    return found


def server_of(answer: Answer) -> TestServer:
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    return TestServer(app)


async def enriched(url: str, session: aiohttp.ClientSession, patience: Patience | None = None) -> Enrichment:
    metrics = ReceiverMetrics(CollectorRegistry())
    enrichers = measuring(config(url), session, time.time)
    assert set(enrichers) == set(ALL)
    return await enrich(incident(), enrichers, patience or Patience(), metrics, structlog.get_logger())


def reasons(found: Enrichment) -> dict[str, str]:
    """What is missing, by enricher."""
    return {name: text for name, _, text in (one.partition(": ") for one in found.absent)}


@pytest.mark.parametrize(("answer", "reason", "named"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
async def test_whatever_is_answered_the_facts_are_missing_by_name(
    session: aiohttp.ClientSession, answer: Answer, reason: str, named: tuple[str, ...]
) -> None:
    registry = CollectorRegistry()
    async with server_of(answer) as server:
        enrichers = measuring(config(str(server.make_url("/"))), session, time.time)
        metrics = ReceiverMetrics(registry)
        found = await enrich(incident(), enrichers, Patience(), metrics, structlog.get_logger())
    missing = reasons(found)
    assert set(named) <= set(missing)
    assert not {"measured", "chart", "impact_measured", "logs", "trace_url"} & set(found.found)
    for name in named:
        labels = {"enricher": name, "reason": reason}
        assert registry.get_sample_value("tocsin_receiver_enrichment_failures_total", labels) == 1, missing[name]
    assert not any("defect" in text for text in missing.values())


async def test_no_more_is_read_than_a_message_needs(session: aiohttp.ClientSession) -> None:
    async with server_of(pours(10)) as server:
        missing = reasons(await enriched(str(server.make_url("/")), session))
    assert set(missing) == set(ALL)
    assert all("answered more than" in text for text in missing.values())


async def test_who_can_t_be_reached_is_named(session: aiohttp.ClientSession) -> None:
    missing = reasons(await enriched(f"http://127.0.0.1:{free_ports(1)[0]}", session))
    assert set(missing) == set(ALL)
    assert all("can't be reached" in text for text in missing.values())


@pytest.mark.parametrize("answer", [hangs, drips], ids=["hangs", "drips"])
async def test_who_hangs_is_waited_for_once_and_then_less(session: aiohttp.ClientSession, answer: Answer) -> None:
    patience = Patience()
    async with server_of(answer) as server:
        first, second = [reasons(await enriched(str(server.make_url("/")), session, patience)) for _ in range(2)]
    assert first == dict.fromkeys(ALL, "no answer within 3 s")
    assert second == dict.fromkeys(ALL, "no answer within 0.5 s")


async def test_a_course_that_never_comes_costs_only_the_course(session: aiohttp.ClientSession) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/query"):
            return web.Response(text=vector(1), content_type="application/json")
        return await hangs(request)

    async with server_of(answer) as server:
        found = await enriched(str(server.make_url("/")), session)
    assert (found.found.get("measured"), found.found.get("normal")) == ("1", "alerts below 5")
    assert reasons(found)["value"] == "its course: no answer within 2.5 s"
    assert found.found.get("impact_measured") == "1 orders an hour"


# --- Loki ------------------------------------------------------------------------------------------------------------


async def test_the_newest_lines_of_all_streams_are_told(session: aiohttp.ClientSession) -> None:
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append({**request.query, "tenant": request.headers.get("X-Scope-OrgID", "")})
        streams = [
            {"stream": {"pod": "a"}, "values": [["3000000000", "error: mail to ana@shop.example bounced"], ["1000000000", "error: old"]]},
            {"stream": {"pod": "b"}, "values": [["4000000000", "error: no such order", {"trace": "x"}], ["2000000000", "error: no such order"]]},
        ]  # fmt: skip
        return web.json_response({"status": "success", "data": {"resultType": "streams", "result": streams}})

    async with server_of(answer) as server:
        settings = {
            "url": str(server.make_url("/")),
            "query": '{service="$service"} |= "error"',
            "tenant": "one",
            "grafana_url": "https://grafana.example",
        }
        one = ReceiverConfig.model_validate({"loki": settings})
        found = await measuring(one, session, lambda: 2000.0)["logs"](incident())
    assert found is not None
    assert found["logs"] == ("error: no such order", "error: mail to *** bounced", "error: old")
    assert found["logs_url"].startswith("https://grafana.example/explore?")
    assert asked[0] == {
        "query": '{service="shop"} |= "error"',
        "start": "700000000000",
        "end": "2000000000000",
        "limit": "20",
        "direction": "backward",
        "tenant": "one",
    }


# --- configuration ---------------------------------------------------------------------------------------------------

MISTAKES = [
    ("prometheus: {url: 'http://p'}\nimpact: [{query: 'x{a=$b}', unit: EUR}]", "2:11: impact[0].query: $b must stand between double quotes"),
    ("prometheus: {url: 'http://p'}\nimpact: [{query: 'x{a=', unit: EUR}]", "2:11: impact[0].query: this query can't be read"),
    ("prometheus: {url: 'http://p'}\nimpact: [{query: x, unt: EUR}]", "2:21: impact[0].unt: unknown key; did you mean 'unit'?"),
    ("impact: [{query: x, unit: EUR}]", "1:1: impact: this asks Prometheus; say where it is with prometheus.url"),
    ("traces: {url: 'http://t/$trace_id'}", "1:1: traces: this asks Prometheus"),
    ("traces: {url: 'http://t/'}", "1:10: traces.url: should hold $trace_id"),
    ("traces: {url: 'http://t/$id'}", "1:10: traces.url: should hold $trace_id"),
    ("loki: {url: 'http://l'}", "1:1: loki.query: required, but missing"),
    ("loki: {url: 'http://l', query: ''}", "1:25: loki.query: should be a query"),
    ("loki: {url: 'http://l', query: '{a=\"b\"}', tenant: \"a\\r\\nX: b\"}", "1:43: loki.tenant: string should match pattern"),
    ("loki: {url: 'http://l', query: '{a=\"b\"}', tenant: \"a\\n\"}", "1:43: loki.tenant: string should match pattern"),
    ("loki: {url: 'loki', query: '{a=\"b\"}'}", "1:8: loki.url: this is not an http:// or https:// URL"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), MISTAKES, ids=[row[1] for row in MISTAKES])
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "receiver.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert problem in str(raised.value)


async def test_the_receiver_runs_with_all_of_them(start_receiver: StartReceiver) -> None:
    _, receiver = await start_receiver(
        "prometheus: {url: 'http://p'}\n"
        "impact: [{match: {service: shop}, query: 'x{a=\"$service\"}', unit: EUR}]\n"
        "loki: {url: 'http://l', query: '{service=\"$service\"}'}\n"
        "traces: {url: 'http://t/$trace_id'}\n"
    )
    assert set(ALL) <= set(receiver.pipeline.settings.enrichers)
