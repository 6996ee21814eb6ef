"""The exporter's self-metrics, all present at zero from the start."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from toolkit.selfmetrics import ServiceMetrics

EVENT_OUTCOMES = ("matched", "unmatched", "rejected")


class ExporterMetrics(ServiceMetrics):
    """What the exporter says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "tocsin_exporter")
        self.events = Counter(
            "tocsin_exporter_events_total",
            "Events received: counted by a rule (matched), by none (unmatched), or no event at all (rejected).",
            ["outcome"],
            registry=registry,
        )
        for outcome in EVENT_OUTCOMES:
            self.events.labels(outcome)
        self.schedule_delay = Histogram(
            "tocsin_exporter_probe_schedule_delay_seconds",
            "How late probes began.",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 5),
            registry=registry,
        )
