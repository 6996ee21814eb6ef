"""A hundred thousand usage series: writing them against prometheus-client, health meanwhile, memory; and what an event
costs when a thousand times as much was counted before it."""

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.exposition import render
from exporter.usage.book import Book
from exporter.usage.collector import UsageCollector
from exporter.usage.engine import Engine
from exporter.usage.settings import Usage
from tests.bench.events import exporting, pumped, written
from tests.bench.figure import Bench, Figure, quantile
from tests.bench.serving import Served

SERIES = 100_000
ROUNDS = 5
RULE = {
    "name": "pages",
    "metric": "pages_total",
    "help": "Pages.",
    "event": "page",
    "owner": "bench",
    "labels": {"path": {}, "region": {}},
    "max_series": SERIES,
}
EVENT = {"name": "page", "fields": {"path": {}, "region": {}}}
USAGE = {"events": [EVENT], "rules": [RULE]}
FEW, MANY = 10_000, 10_000_000
"""Stored increments before an event's cost is measured."""


def labels(number: int) -> tuple[str, str]:
    return f"/products/{number:06d}/reviews", ("eu", "us", "ap")[number % 3]


def body(first: int, last: int) -> bytes:
    events = (labels(number) for number in range(first, last))
    return b"".join(
        json.dumps({"event": "page", "path": path, "region": region}).encode() + b"\n" for path, region in events
    )


class Theirs(Collector):
    """The same series as prometheus-client's own, with labels and values ready."""

    def __init__(self) -> None:
        self._family = CounterMetricFamily("pages", "Pages.", labels=["path", "region"])
        for number in range(SERIES):
            self._family.add_metric(labels(number), number + ROUNDS)

    def collect(self) -> Sequence[Metric]:
        return [self._family]


def seconds(work: "object") -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]  # a function
    return time.perf_counter() - began


def rendering() -> Figure:
    book = Book()
    engine = Engine(Usage.model_validate(USAGE), book, 0.0)
    shelf = next(engine.rules).shelf
    for number in range(SERIES):
        shelf.put(labels(number), 0.0).value = number
    collector, registry = UsageCollector(tuple(engine.rules)), CollectorRegistry()
    registry.register(Theirs())
    render(collector.metrics(0.0), openmetrics=False)
    ours, theirs = [], []
    for number in range(ROUNDS):
        book.apply(number, [(one, 1) for one in shelf.series.values()], 0.0)  # no two scrapes show one value twice
        theirs.append(seconds(lambda: generate_latest(registry)))
        ours.append(seconds(lambda: render(collector.metrics(0.0), openmetrics=False)))
    shown = render(collector.metrics(0.0), openmetrics=False)
    assert sorted(generate_latest(registry).replace(b".0\n", b"\n").splitlines()[2:]) == sorted(shown.splitlines()[2:])
    ratio = statistics.median(their / our for their, our in zip(theirs, ours, strict=True))
    text = f"{statistics.median(ours) * 1000:.0f} ms (bar 20 times)"
    return Figure("writing 100,000 series", ratio, "prometheus-client generate_latest", text, ratio < 20)


@contextlib.asynccontextmanager
async def scraped(url: str) -> AsyncIterator[list[float]]:
    """Somebody scrapes without a pause while the block runs; notes how long each took."""
    took: list[float] = []

    async def scrape() -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                began = time.perf_counter()
                async with session.get(f"{url}/metrics?collect[]=usage", headers={"Accept-Encoding": "gzip"}) as answer:
                    await answer.content.readany()
                    async for _ in answer.content.iter_any():
                        pass
                took.append(time.perf_counter() - began)

    task = asyncio.create_task(scrape())
    try:
        yield took
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def health(url: str) -> list[float]:
    """Seconds that health requests take, some hundred of them."""
    took = []
    async with aiohttp.ClientSession() as session:
        for _ in range(400):
            began = time.perf_counter()
            async with session.get(f"{url}/-/healthy") as answer:
                await answer.read()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.005)
    return took


async def posted(served: Served, text: bytes) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{served.url}/v1/events", data=text, headers={"Content-Type": "application/x-ndjson"}) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def shown(served: Served) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{served.url}/metrics?collect[]=usage") as answer:
        return await answer.text()


def over_labels(held: int) -> float:
    """What a series holds, in bytes, without the characters of its labels."""
    return held / SERIES - statistics.mean(sum(map(len, labels(number))) for number in range(100))


async def run(_: Path) -> Sequence[Figure]:
    figures = [rendering()]
    with tempfile.TemporaryDirectory() as name:
        async with exporting(Path(name) / "series", json.dumps({"usage": USAGE})) as served:
            await posted(served, body(0, 100))
            before = served.rss()
            for first in range(0, SERIES, 10_000):
                await posted(served, body(max(first, 100), first + 10_000))
            unseen = over_labels(served.rss() - before)
            await shown(served)
            held = over_labels(served.rss() - before)
            idle = quantile(await health(served.url), 0.99)
            async with scraped(served.url) as scrapes:
                late = quantile(await health(served.url), 0.99)
    text = f"{late * 1000:.0f} ms (bar 20), {idle * 1000:.0f} ms without; a scrape takes {statistics.median(scrapes) * 1000:.0f} ms"
    figures.append(Figure("p99 of health while 100,000 series are scraped", None, "no scrape", text, late > 0.02))
    text = f"{held:.0f} bytes a series over its labels (bar 600), {unseen:.0f} before the first scrape"
    figures.append(Figure("memory of 100,000 series", None, "their labels", text, held > 600))
    return [*figures, *await hostile(), *await flat()]


async def hostile() -> Sequence[Figure]:
    """A million distinct label values against a rule that may have a thousand series."""
    capped = dict(
        USAGE, rules=[{**RULE, "max_series": 1000}, {**RULE, "name": "all", "metric": "all_total", "labels": {}}]
    )
    with tempfile.TemporaryDirectory() as name:
        async with exporting(Path(name) / "hostile", json.dumps({"usage": capped})) as served:
            await posted(served, body(0, 1000))
            before, number = served.rss(), 1_000_000
            for first in range(1000, number, 37_000):
                await posted(served, body(first, min(first + 37_000, number)))
            grown = (served.rss() - before) / 2**20
            text = await shown(served)
    exact = f'pages_total{{path="other",region="other"}} {number - 1000}\n' in text and f"all_total {number}\n" in text
    told = f"{grown:+.0f} MiB for 999,000 values beyond the cap, `other` {'exact' if exact else 'WRONG'}"
    return [Figure("a million hostile label values", None, "a thousand", told, not exact)]


async def flat() -> Sequence[Figure]:
    """What an event costs with few and with many increments stored."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = dict(USAGE, rules=[{**RULE, "max_series": 1000}])
        files = written(folder, [body(number, number + 500) for number in range(8)])
        async with exporting(folder / "flat", json.dumps({"usage": small})) as served:
            costs = []
            stored = 0
            while stored < MANY * 1.2:
                cpu = served.cpu()
                found = await pumped(served, files, 16, {"Content-Type": "application/x-ndjson"})
                events = found.answers["200"] * 500
                costs.append((stored, (served.cpu() - cpu) / events))
                stored += events
    first = statistics.median(cost for at, cost in costs if at < MANY / 4)
    last = statistics.median(cost for at, cost in costs if at >= MANY / 1.5)
    text = f"{last * 1e9:.0f} ns of CPU an event after {MANY:,}, {first * 1e9:.0f} ns at the beginning (bar 1.1)"
    return [Figure("an event after ten million", last / first, "the first ones", text, last / first > 1.1)]


BENCH = Bench("series", "100,000 usage series written, scraped, held in memory; flat cost", run)
