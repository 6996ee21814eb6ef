"""A scrape of 1,000 providers against prometheus-client's own `generate_latest` of the same series."""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as ClientCollector

from exporter.config import Provider
from exporter.exposition import render
from exporter.providers.collector import Collector
from exporter.providers.history import State
from exporter.providers.kinds import Certainty, Kind
from tests.bench.figure import Bench, Figure

PROVIDERS = 1000
ROUNDS = 7


class Parsed(ClientCollector):
    """The families of a scrape as prometheus-client's own, with labels and values ready."""

    def __init__(self, text: str) -> None:
        self._families: list[Metric] = []
        for family in text_string_to_metric_families(text):
            kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            copy = kind(family.name, family.documentation)
            for sample in family.samples:
                copy.add_sample(sample.name, sample.labels, sample.value)
            self._families.append(copy)

    def collect(self) -> Sequence[Metric]:
        return self._families


def scene() -> tuple[Collector, dict[str, State], dict[tuple[str, str, str], int]]:
    """1,000 providers in a usual state."""
    providers = [
        Provider(name=f"provider-{n}", url="http://x.example/", owner="me", service=f"service-{n % 40}")
        for n in range(PROVIDERS)
    ]
    kinds = list(Kind)
    states = {
        provider.name: State(
            kind=kinds[n % len(kinds)],
            certainty=Certainty.STATUS,
            reason="",
            signature="",
            since=1e9 + n,
            streak=n,
            watched_since=1e9,
            last_probe=1e9 + 2 * n,
            last_success=1e9 + n,
            failing_since=None,
            ok_credential="",
            probe_seconds=0.1 + n / 7e3,
        )
        for n, provider in enumerate(providers)
    }
    responses = {(name, state.kind.value, "200"): 12345 for name, state in states.items()}
    return Collector(providers), states, responses


async def run(_: Path) -> Sequence[Figure]:
    collector, states, responses = scene()
    registry = CollectorRegistry()
    text = render(collector.families(states, responses, {}, {}), openmetrics=False)
    registry.register(Parsed(text.decode()))
    assert len(generate_latest(registry).splitlines()) == len(text.splitlines())
    ours, theirs = [], []
    for _round in range(ROUNDS):
        theirs.append(seconds(lambda: generate_latest(registry)))
        ours.append(seconds(lambda: render(collector.families(states, responses, {}, {}), openmetrics=False)))
    mine, peer = statistics.median(ours), statistics.median(theirs)
    samples = text.count(b"\n") - 2 * text.count(b"# TYPE")
    told = f"{mine * 1e3:.1f} ms against {peer * 1e3:.0f} ms for {samples:,} samples"
    return [
        Figure("scrape of 1,000 providers", peer / mine, "prometheus-client generate_latest", f"{told} (times faster)")
    ]


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


BENCH = Bench("scrape", "scrape of 1,000 providers against prometheus-client", run)
