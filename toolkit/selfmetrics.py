"""The self-metrics that both services have, and the registry's text."""

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, PlatformCollector, ProcessCollector

from toolkit import VERSION
from toolkit.clock import Now


class ServiceMetrics:
    """Metrics under `prefix` (`tocsin_exporter`, `tocsin_receiver`) in `registry`."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self.registry = registry
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        build = Gauge(f"{prefix}_build_info", "The running version; always 1.", ["version"], registry=registry)
        build.labels(VERSION).set(1)
        self._reload_ok = Gauge(
            f"{prefix}_config_last_reload_successful",
            "Whether the last attempt to load the configuration succeeded.",
            registry=registry,
        )
        self._reload_time = Gauge(
            f"{prefix}_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was loaded, in seconds since the epoch.",
            registry=registry,
        )
        self.http_requests = Counter(
            f"{prefix}_http_requests_total",
            "HTTP requests answered, by handler (the route's pattern) and status code.",
            ["handler", "code"],
            registry=registry,
        )
        self.storage_errors = Counter(
            f"{prefix}_storage_errors_total",
            "Times the database could not be read or written (locked, full or broken).",
            registry=registry,
        )

    def reloaded(self, ok: bool, now: Now) -> None:
        """Records an attempt to load the configuration."""
        self._reload_ok.set(ok)
        if ok:
            self._reload_time.set(now())
