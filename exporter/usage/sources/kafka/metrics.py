"""What Kafka sources say of themselves: counters as things happen, gauges when Prometheus scrapes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.usage.sources.kafka.offsets import Progress
from toolkit.clock import Now

CHANGES = ("assigned", "revoked", "lost")


class Source(Protocol):
    """What the gauges are made of."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def progress(self) -> tuple[Progress, ...]:
        """The partitions that it reads."""
        ...

    def is_behind(self, now: float) -> bool:
        """Whether it catches up, at `now` (seconds since the epoch)."""
        ...


class KafkaMetrics:
    """The counters. `source` is the source's name, `reason` librdkafka's name of an error."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "tocsin_exporter_kafka"
        self.messages = Counter(
            f"{prefix}_messages_total", "Messages handed over to be counted.", ["source"], registry=registry
        )
        self.tombstones = Counter(
            f"{prefix}_tombstones_total", "Messages without a value, skipped.", ["source"], registry=registry
        )
        self.lost = Counter(
            f"{prefix}_lost_messages_total",
            "Offsets that the broker had removed before they were read.",
            ["source"],
            registry=registry,
        )
        self.rebalances = Counter(
            f"{prefix}_rebalances_total",
            "Changes of the partitions that this process reads: assigned, revoked, or lost without being asked.",
            ["source", "change"],
            registry=registry,
        )
        self.fenced = Counter(
            f"{prefix}_fenced_total",
            "Batches dropped, to be read anew: another process had read on, or has taken up the keys.",
            ["source"],
            registry=registry,
        )
        self.retries = Counter(
            f"{prefix}_storage_retries_total",
            "Times a batch was tried again because the ledger could not serve.",
            ["source"],
            registry=registry,
        )
        self.errors = Counter(
            f"{prefix}_errors_total",
            "Errors of the brokers and of the client.",
            ["source", "reason"],
            registry=registry,
        )

    def begin(self, source: str) -> None:
        """Shows the counters of `source` at zero."""
        for counter in (self.messages, self.tombstones, self.lost, self.fenced, self.retries):
            counter.labels(source)
        for change in CHANGES:
            self.rebalances.labels(source, change)


class KafkaCollector(Collector):
    """The gauges of what `sources` gives at each scrape."""

    def __init__(self, sources: Callable[[], Iterable[Source]], now: Now) -> None:
        self._sources, self._now = sources, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family each for lag, the last message's timestamp, and whether a source catches up."""
        prefix, labels, now = "tocsin_exporter_kafka", ["source", "topic", "partition"], self._now()
        lag = GaugeMetricFamily(
            f"{prefix}_lag_messages", "Messages of a partition that are still to be read.", labels=labels
        )
        stamp = GaugeMetricFamily(
            f"{prefix}_last_message_timestamp_seconds",
            "When the last message read was sent or stored, in seconds since the epoch.",
            labels=labels,
        )
        behind = GaugeMetricFamily(
            f"{prefix}_catching_up",
            "Whether old messages are being read: counters then rise for what happened earlier.",
            labels=["source"],
        )
        for source in self._sources():
            behind.add_metric([source.name], source.is_behind(now))
            for part in source.progress:
                values = [source.name, part.topic, str(part.partition)]
                lag.add_metric(values, part.lag)
                if part.timestamp is not None:
                    stamp.add_metric(values, part.timestamp)
        yield from (lag, stamp, behind)
