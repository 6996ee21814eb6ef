"""What an alert measures, asked of a real Prometheus with a past."""

import io
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from receiver.alerts import AlertEvent
from receiver.enrichers.absence import Absent
from receiver.enrichers.chart import HEIGHT, WIDTH
from receiver.enrichers.course import SPARKS
from receiver.enrichers.impact import ImpactEnricher
from receiver.enrichers.promql import PromqlEnricher
from receiver.enrichers.settings import Impact, Traces
from receiver.enrichers.traces import TracesEnricher
from receiver.incidents import Incident, advance
from receiver.message import Found
from tests.support.processes import until
from tests.support.prometheuses import Past, prometheus
from tests.support.running import binaries
from toolkit.prometheus import Prometheus

SHOP = {"alertname": "HighErrors", "severity": "critical", "service": "shop"}
OFF_SECONDS = 2400.0

PAST = [
    Past("errors_ratio", {"service": "shop", "instance": "a"}, lambda ago: 0.08 if ago < OFF_SECONDS else 0.01),
    Past("errors_ratio", {"service": "shop", "instance": "b"}, lambda _: 0.01),
    Past("orders", {"service": "shop"}, lambda ago: 20 if ago < OFF_SECONDS else 62),
    Past("young", {"service": "shop"}, lambda _: 7, since=3600),
    Past("undefined", {"service": "shop"}, lambda ago: float("nan") if ago < 3600 else 1),
    Past("endless", {"service": "shop"}, lambda ago: float("inf") if ago < 3600 else 1),
    Past("debt", {"service": "shop"}, lambda ago: -50 if ago < OFF_SECONDS else -5),
    Past("drill_started_timestamp_seconds", {}, lambda _: 1_795_000_123),
    Past("revenue_missing", {"service": "shop"}, lambda _: 2050.3),
    *(Past("many", {"number": str(number)}, lambda _: 1, since=120) for number in range(10_000)),
]  # fmt: skip
RULES = [
    {"alert": "HighErrors", "expr": "errors_ratio > 0.05"},
    {"alert": "Twice", "expr": "errors_ratio > 0.05"},
    {"alert": "Twice", "expr": "errors_ratio > 0.5"},
]


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(binaries(), tmp_path_factory.mktemp("prometheus"), PAST, RULES) as url:
        yield url


@pytest.fixture
async def server(prometheus_url: str) -> AsyncIterator[Prometheus]:
    async with aiohttp.ClientSession() as session:
        yield Prometheus(session, prometheus_url)


def incident(expression: str = "", annotations: dict[str, str] | None = None, **labels: str) -> Incident:
    """One that began ten minutes ago."""
    link = f"http://prometheus:9090/graph?g0.expr={quote(expression)}&g0.tab=1" if expression else ""
    began = time.time() - 600
    event = AlertEvent("f", "firing", began, None, {**SHOP, **labels}, annotations or {}, link)
    found = advance(None, {}, "key", [event], now=began).incident
    assert found is not None
    return found


async def value(server: Prometheus, one: Incident) -> Found:
    return await PromqlEnricher(server, time.time)(one) or {}


async def absence(server: Prometheus, one: Incident) -> Absent:
    with pytest.raises(Absent) as raised:
        await PromqlEnricher(server, time.time)(one)
    return raised.value


def without_course(found: Found) -> dict[str, Any]:
    return {name: told for name, told in found.items() if name not in {"sparkline", "chart"}}


async def test_an_alert_tells_its_value_its_normal_and_its_course(server: Prometheus) -> None:
    began = time.time() - OFF_SECONDS
    found = await value(server, incident("errors_ratio > 0.05", {"value_unit": "% of requests"}, instance="a"))
    assert found["measured"] == "8 % of requests"
    assert found["normal"] == "1 % of requests at this hour, median of 7 days"
    words, _, since = found["factor"].partition(" since ")
    assert words == "8 times its normal"
    # the grid has a value every five minutes
    near = {time.strftime("%H:%M UTC", time.gmtime(began + later)) for later in range(-300, 600, 30)}
    assert since in near
    assert len(found["sparkline"]) == SPARKS
    assert found["sparkline"][0] == "▁"
    assert found["sparkline"][-1] == "█"
    assert Image.open(io.BytesIO(found["chart"])).size == (WIDTH, HEIGHT)


async def test_no_word_of_the_alert_stands_in_the_chart(server: Prometheus) -> None:
    one, now = incident("orders < 30"), time.time()
    charts = []
    for name, unit in (("HighErrors", "EUR"), ("customer-4711", "EUR of ana@example.com")):
        labels = {**one.leading.labels, "alertname": name}
        alert = replace(one.leading, labels=labels, annotations={"value_unit": unit})
        found = await PromqlEnricher(server, lambda: now)(replace(one, alerts=(alert,))) or {}
        assert unit in found["measured"]
        charts.append(found["chart"])
    assert charts[0] == charts[1]


TOLD = [
    ("its own of two series", "errors_ratio > 0.05", {}, {"instance": "b"}, "0.01", "0.01 at this hour, median of 7 days", "at its normal"),
    ("the rule's query, where the alert tells none", "", {}, {"instance": "b"}, "0.01", "0.01 at this hour, median of 7 days", "at its normal"),
    ("a fall", "orders < 30", {}, {}, "20", "62 at this hour, median of 7 days", "3.1 times below its normal since"),
    ("below 0", "debt < -10", {"value_unit": "EUR"}, {}, "-50 EUR", "-5 EUR at this hour, median of 7 days", "10 times its normal since"),
    ("an hour old", "young > 5", {}, {}, "7", "alerts above 5", None),
    ("a normal in words", "orders < 30", {"normal": "about 60"}, {}, "20", "about 60", None),
    ("a normal with a number", "orders < 30", {"normal": "40 a minute"}, {}, "20", "40 a minute", "2 times below its normal"),
    ("a normal that is asked", "orders < 30", {"normal_query": "orders * 2"}, {}, "20", "40", "2 times below its normal"),
    ("a normal_query that fails", "orders < 30", {"normal_query": "orders +"}, {}, "20", "62 at this hour, median of 7 days", "3.1 times below its normal since"),
    ("a value_query of its own", "orders < 30", {"value_query": "sum(orders) * 10 # all"}, {}, "200", "620 at this hour, median of 7 days", "3.1 times below its normal since"),
    ("a scalar", "", {"value_query": "scalar(orders)"}, {}, "20", "62 at this hour, median of 7 days", "3.1 times below its normal since"),
    ("infinity", "endless > 5", {}, {}, "inf", "1 at this hour, median of 7 days", None),
    ("a time", "max(drill_started_timestamp_seconds) > 0", {}, {}, "2026-11-18 11:08:43 UTC", None, None),
    ("how long ago a time was", "drill_started_timestamp_seconds - (time() - time()) > 0", {}, {}, "1,795,000,123", "1,795,000,123 at this hour, median of 7 days", "at its normal"),
    ("an absence", "absent(nothing_at_all)", {}, {}, "the series that it needs is missing", None, None),
    ("its end", "absent(orders)", {}, {}, "the series that it needs is there", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "annotations", "labels", "measured", "normal", "factor"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])  # fmt: skip
async def test_what_is_told_of_a_value(
    server: Prometheus,
    expression: str,
    annotations: dict[str, str],
    labels: dict[str, str],
    measured: str,
    normal: str | None,
    factor: str | None,
) -> None:
    found = await value(server, incident(expression, annotations, **labels))
    assert (found["measured"], found.get("normal")) == (measured, normal)
    said = found.get("factor", "")
    assert said.startswith(factor) if factor and factor.endswith("since") else said == (factor or "")


GAPS = [
    ("no series", {"value_query": "nothing_at_all"}, {}, "no_data", "the query returned no series"),
    ("ten thousand series", {"value_query": "many"}, {"number": "x"}, "no_data", "10,000 series, none has the alert's labels"),
    ("no number", {"value_query": "undefined"}, {}, "no_data", "returned NaN"),
    ("no PromQL", {"value_query": "orders +"}, {}, "refused", "Prometheus answered 400: "),
    ("a text", {"value_query": '"text"'}, {}, "refused", "returned a string, not an instant vector"),
    ("a query too long", {"value_query": "x" * 5000}, {}, "refused", "longer than 4000"),
    ("no rule of its name", {}, {"alertname": "Unheard"}, "no_data", "Prometheus has no rule of its name"),
    ("two rules of its name", {}, {"alertname": "Twice"}, "no_data", "Prometheus has 2 rules of its name"),
]  # fmt: skip


@pytest.mark.parametrize(("annotations", "labels", "reason", "words"), [row[1:] for row in GAPS], ids=[row[0] for row in GAPS])  # fmt: skip
async def test_a_gap_is_named(
    server: Prometheus, annotations: dict[str, str], labels: dict[str, str], reason: str, words: str
) -> None:
    absent = await absence(server, incident("", annotations, **labels))
    assert absent.reason == reason
    assert words in str(absent)


async def test_what_has_ended_and_is_asked_with_its_comparisons_has_no_value(server: Prometheus) -> None:
    firing = incident("orders > 900 or orders > 800")
    ended = replace(firing.leading, status="resolved", ends_at=time.time())
    resolved = advance(firing, {}, "key", [ended], now=time.time()).incident
    assert resolved is not None
    assert await PromqlEnricher(server, time.time)(resolved) is None
    assert "returned no series" in str(await absence(server, firing))


async def test_of_ten_thousand_series_the_alert_s_own_is_told(server: Prometheus) -> None:
    found = await value(server, incident("many > 0", number="7777"))
    assert found["measured"] == "1"


async def test_the_rules_are_asked_for_one_name_only(server: Prometheus) -> None:
    assert await server.alert_queries("HighErrors") == {"errors_ratio > 0.05"}
    assert await server.alert_queries("nothing") == frozenset()


# --- impact ----------------------------------------------------------------------------------------------------------


def impact(query: str, unit: str, **match: str) -> Impact:
    return Impact.model_validate({"query": query, "unit": unit, "match": match})


async def test_the_impact_is_counted_by_every_query_that_matches(server: Prometheus) -> None:
    enricher = ImpactEnricher(
        server,
        [
            impact('62 - orders{service="$service"}', "checkouts an hour are missing", service="shop"),
            impact("revenue_missing", "EUR an hour"),
            impact("orders", "of another", service="api"),
            impact('orders{service="$nobody"}', "without its label"),
        ],
    )
    assert await enricher(incident("x > 1")) == {
        "impact_measured": "42 checkouts an hour are missing; 2,050 EUR an hour"
    }


async def test_of_an_impact_what_is_known_is_told_and_the_rest_named(server: Prometheus) -> None:
    enricher = ImpactEnricher(
        server, [impact("nothing", "users"), impact("orders", "orders an hour"), impact("many", "EUR")]
    )
    with pytest.raises(Absent, match="impact: users: the query returned no series") as raised:
        await enricher(incident("x > 1"))
    assert raised.value.found == {"impact_measured": "20 orders an hour"}


# --- traces ----------------------------------------------------------------------------------------------------------

EXPOSED = """# TYPE slow_seconds histogram
slow_seconds_bucket{service="shop",le="1.0"} 1 # {trace_id="a1b2"} 0.5
slow_seconds_bucket{service="shop",le="+Inf"} 2 # {trace_id="c3d4"} 9.5
slow_seconds_count{service="shop"} 2
slow_seconds_sum{service="shop"} 10
# EOF
"""


async def test_a_trace_is_linked_from_the_exemplars_of_what_is_measured(tmp_path: Path) -> None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=EXPOSED, headers={"Content-Type": "application/openmetrics-text; version=1.0.0"})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics)])
    settings = Traces.model_validate({"url": "https://traces.example/trace/$trace_id?orgId=1"})
    expression = "histogram_quantile(0.9, rate(slow_seconds_bucket[5m])) > 1"
    async with TestServer(app) as target, aiohttp.ClientSession() as session:
        with prometheus(binaries(), tmp_path, scraped=[f"127.0.0.1:{target.port}"]) as url:
            enricher = TracesEnricher(Prometheus(session, url), settings, time.time)

            async def found() -> bool:
                return await enricher(incident(expression)) is not None

            await until(found, "Prometheus has scraped an exemplar")
            linked = await enricher(incident(expression))
            links = [f"https://traces.example/trace/{trace}?orgId=1" for trace in ("a1b2", "c3d4")]
            assert linked in [{"trace_url": link} for link in links]
            assert await enricher(incident(expression, service="api")) is None
