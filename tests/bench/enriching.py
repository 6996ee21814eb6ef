"""What enriching costs: from the webhook to the message with every enricher on, answered and hanging.

The receiver runs as its command. Prometheus is a real one with a week behind it; Loki and a vendor's status page are
small servers in this process. What hangs accepts connections and never answers. The baseline is the same receiver without enrichers.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.bench.figure import Bench, Figure, quantile
from tests.faults.verdict import event_of
from tests.support.processes import Process, running, until
from tests.support.prometheuses import Past, prometheus
from tests.support.receivers import configuration, receivers, sqlite
from tests.support.sink import Channel, Told, listening
from tests.support.stack import CONFIG

WEBHOOKS = 120
A_SECOND = 2.0
AT_ONCE = 20
FIRST = 5
"""Told before the others: nothing is loaded yet, and what hangs is not known to hang."""
HEALTHY_BAR_SECONDS, HANGING_BAR_SECONDS = 1.0, 4.0
SERVICES = 10
ARRIVED_SECONDS = 60.0
EXPRESSION = "errors_ratio > 0.05"

PAST = [
    *(
        Past("errors_ratio", {"service": f"shop-{number}"}, lambda ago: 0.08 if ago < 1200 else 0.01 + ago % 7 / 1000)
        for number in range(SERVICES)
    ),
    *(Past("orders", {"service": f"shop-{number}"}, lambda _: 21.0) for number in range(SERVICES)),
]  # fmt: skip
LINES = [
    [str(number * 10**9), f"error: order {number} of ana@shop.example failed, card 4111 1111 1111 1111"]
    for number in range(20)
]


@dataclass(frozen=True)
class Delays:
    """Seconds from each webhook to its message: the first of all, one after the other, and many at once; and the
    messages."""

    first: Sequence[float]
    paced: Sequence[float]
    at_once: Sequence[float]
    told: Sequence[Told]


async def lines(_: web.Request) -> web.Response:
    """Loki's answer."""
    return web.json_response(
        {"status": "success", "data": {"resultType": "streams", "result": [{"stream": {}, "values": LINES}]}}
    )


async def well(_: web.Request) -> web.Response:
    """A status page's answer."""
    return web.json_response({"status": {"indicator": "none", "description": "All Systems Operational"}})


async def hangs(_: web.Request) -> web.Response:
    """No answer."""
    await asyncio.Event().wait()
    return web.Response()


@contextlib.asynccontextmanager
async def served(handler: Any) -> AsyncIterator[str]:
    """The URL of a server that answers everything so."""
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", handler)])
    # whoever waits for an answer is not waited for
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()


def enrichers(prometheus_url: str, loki_url: str, page_url: str) -> dict[str, Any]:
    """The part of `receiver.yml` that asks others."""
    return {
        "runbooks": str(CONFIG / "runbooks"),
        "prometheus": {"url": prometheus_url},
        "impact": [{"query": '62 - orders{service="$service"}', "unit": "orders an hour are missing"}],
        "loki": {"url": loki_url, "query": '{service="$service"} |= "error"', "grafana_url": "https://grafana.example"},
        "status_pages": {"vendor": page_url},
        "traces": {"url": "https://traces.example/trace/$trace_id"},
    }


def alert(name: str, number: int) -> dict[str, Any]:
    """One alert with all that enrichers ask for, and an incident of its own."""
    labels = {"alertname": name, "service": f"shop-{number % SERVICES}", "severity": "critical", "instance": name}
    labels |= {"owner": "platform", "provider": "vendor"}
    annotations = {
        "summary": name,
        "value_unit": "% of requests",
        "runbook_url": "https://runbooks.example/HostDiskFull",
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600)),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": f"http://prometheus:9090/graph?g0.expr={quote(EXPRESSION)}&g0.tab=1",
        "fingerprint": name,
    }


async def tell(
    receiver: Process, channel: Channel, session: aiohttp.ClientSession, prefix: str, count: int, a_second: float
) -> list[float]:
    """Posts alerts at this pace (0: at once); seconds from each one's post to its message. All have to come."""
    posted: dict[str, float] = {}

    async def post(number: int) -> None:
        name = f"{prefix}-{number}"
        posted[name] = time.time()
        body = {"version": "4", "alerts": [alert(name, number)]}
        async with session.post(f"{receiver.url}/webhook/alertmanager", json=body) as answer:
            assert answer.status == 200, await answer.text()

    def arrived() -> dict[str, float]:
        return {name: one.at for one in channel.told if (name := event_of(one)[0]) in posted}

    async with asyncio.TaskGroup() as posts:
        for number in range(count):
            posts.create_task(post(number))
            if a_second:
                await asyncio.sleep(1 / a_second)
    await until(lambda: len(arrived()) == count, "every alert is told", ARRIVED_SECONDS)
    return [at - posted[name] for name, at in arrived().items()]


async def changed(receiver: Process, session: aiohttp.ClientSession) -> None:
    """Every service is deployed, some minutes before its alerts."""
    at = time.time() - 900
    deploys = [{"kind": "deploy", "service": f"shop-{number}", "title": "1.42", "at": at} for number in range(SERVICES)]
    async with session.post(f"{receiver.url}/v1/changes", json=deploys) as answer:
        assert answer.status == 200, await answer.text()


async def delays(asked: Mapping[str, Any]) -> Delays:
    """One receiver with these settings."""
    channel = Channel("channel")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with aiohttp.ClientSession() as session, listening([channel]):
            config = {**configuration([channel]), **asked}
            (receiver,) = receivers(1, config, sqlite(folder), folder, session)
            async with running(receiver):
                await changed(receiver, session)
                first = await tell(receiver, channel, session, "first", FIRST, FIRST)
                at_once = await tell(receiver, channel, session, "at-once", AT_ONCE, 0)
                paced = await tell(receiver, channel, session, "paced", WEBHOOKS, A_SECOND)
    return Delays(first, paced, at_once, channel.told)


def figure(name: str, found: Delays, bare: Delays, bar: float) -> Figure:
    """The first and the paced ones count; those at once are told beside them."""
    all_of_them = [*found.first, *found.paced]
    mine, theirs = quantile(all_of_them, 0.95), quantile([*bare.first, *bare.paced], 0.95)
    text = (
        f"p50 {quantile(all_of_them, 0.5):.2f} s, p95 {mine:.2f} s, slowest {max(all_of_them):.2f} s; bar {bar:g} s; "
        f"{AT_ONCE} at once: p95 {quantile(found.at_once, 0.95):.2f} s; without enrichers p95 {theirs:.2f} s"
    )
    return Figure(name, mine / theirs, "the same without enrichers, p95", text, mine > bar)


async def run(binaries: Path) -> Sequence[Figure]:
    """Without enrichers, with all, and with all that hang."""
    with tempfile.TemporaryDirectory() as folder, prometheus(binaries, Path(folder), PAST) as prometheus_url:
        async with served(lines) as loki, served(well) as page, served(hangs) as hanging:
            bare = await delays({})
            healthy = await delays(enrichers(prometheus_url, loki, page))
            hung = await delays(enrichers(hanging, hanging, hanging))
    # a figure of messages that lack what they are measured with would be a lie
    assert all("Measured now: 8 % of requests" in one.body and "Not known" not in one.body for one in healthy.told)
    assert all("value: no answer within" in one.body for one in hung.told)
    return [
        figure(f"webhook to message, enriched, {A_SECOND:g}/s", healthy, bare, HEALTHY_BAR_SECONDS),
        figure(
            f"webhook to message while Prometheus, Loki and the status page hang, {A_SECOND:g}/s",
            hung,
            bare,
            HANGING_BAR_SECONDS,
        ),
    ]


BENCH = Bench("enriching", f"{WEBHOOKS} webhooks to messages with every enricher on, answered and hanging", run)
