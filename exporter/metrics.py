"""The exporter's self-metrics, all present at zero from the start."""

from collections import Counter as Counted
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from exporter.usage.contract import REASONS
from exporter.usage.sources.kafka.metrics import KafkaMetrics
from exporter.usage.tally import Tally
from toolkit.selfmetrics import ServiceMetrics

LINE_OUTCOMES = ("matched", "unmatched", "cut")
EVENT_OUTCOMES = ("matched", "unmatched", "unknown", "rejected")


class ExporterMetrics(ServiceMetrics):
    """What the exporter says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "tocsin_exporter")
        self.events = Counter(
            "tocsin_exporter_events_total",
            "Events received: counted by a rule (matched), by none (unmatched), of an undeclared name (unknown), "
            "or against their contract (rejected).",
            ["outcome"],
            registry=registry,
        )
        for outcome in EVENT_OUTCOMES:
            self.events.labels(outcome)
        self.rejects = Counter(
            "tocsin_exporter_rejects_total", "Events that were rejected, by reason.", ["reason"], registry=registry
        )
        for reason in REASONS:
            self.rejects.labels(reason)
        self.lines = Counter(
            "tocsin_exporter_log_lines_total",
            "Entries of logs that were read: those that are an event, those that are none, and those of which only the "
            "beginning was looked at.",
            ["outcome"],
            registry=registry,
        )
        for outcome in LINE_OUTCOMES:
            self.lines.labels(outcome)
        self.unusable_values = Counter(
            "tocsin_exporter_unusable_values_total",
            "Events that a rule counts by a value which they did not have, or which was none it could take.",
            ["rule"],
            registry=registry,
        )
        self.unplaced_events = Counter(
            "tocsin_exporter_sequence_unplaced_events_total",
            "Events that a rule about keys did not look at: they came to a shared ledger by another way than Kafka.",
            ["rule"],
            registry=registry,
        )
        self.commits = Histogram(
            "tocsin_exporter_commit_seconds",
            "How long it took to make a group of deliveries durable.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
            registry=registry,
        )
        self.deliveries = Counter(
            "tocsin_exporter_deliveries_total",
            "Deliveries (requests, batches) that were made durable.",
            registry=registry,
        )
        self.kafka = KafkaMetrics(registry)
        self.schedule_delay = Histogram(
            "tocsin_exporter_probe_schedule_delay_seconds",
            "How late probes began.",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 5),
            registry=registry,
        )

    def counted(self, tallies: Sequence[Tally]) -> None:
        """These deliveries are durable."""
        # lists, and no look at what is empty: there are thousands of tallies a second, most of one event
        matched, unknown = sum([one.matched for one in tallies]), sum([one.unknown for one in tallies])
        rejected: Counted[str] = Counted()
        for of_one in [one.rejected for one in tallies if one.rejected]:
            rejected.update(of_one)
        unmatched = sum([one.events for one in tallies]) - matched - unknown
        for outcome, number in zip(EVENT_OUTCOMES, (matched, unmatched, unknown, rejected.total()), strict=True):
            self.events.labels(outcome).inc(number)
        for reason, number in rejected.items():
            self.rejects.labels(reason).inc(number)
        lines, idle = sum([one.lines for one in tallies]), sum([one.idle for one in tallies])
        for outcome, number in zip(LINE_OUTCOMES, (lines - idle, idle, sum([one.cut for one in tallies])), strict=True):
            self.lines.labels(outcome).inc(number)

    def unusable(self, rules: Mapping[str, int]) -> None:
        """So many events of each rule had no value that it could take."""
        for rule, number in rules.items():
            self.unusable_values.labels(rule).inc(number)

    def unplaced(self, rules: Mapping[str, int]) -> None:
        """So many events of each rule about keys came to a shared ledger by another way than in parts."""
        for rule, number in rules.items():
            self.unplaced_events.labels(rule).inc(number)

    def committed(self, deliveries: int, seconds: float) -> None:
        """A commit took so long."""
        self.deliveries.inc(deliveries)
        self.commits.observe(seconds)
