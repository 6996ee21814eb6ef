"""What Tocsin's processes show of themselves."""

from collections.abc import Iterator

from tests.support.imagined.making import (
    DAY,
    DEPLOYED,
    HOUR,
    MINUTE,
    Course,
    Labels,
    counter,
    during,
    histogram,
    level,
)
from tests.support.imagined.places import (
    DURATIONS,
    EXPORTERS,
    FIRST_RECEIVER,
    RECEIVERS,
    RESTARTED,
    about,
    behind_now,
    busy,
)
from tests.support.prometheuses import Past


def processes(epoch: float) -> Iterator[Past]:
    """All of it; `epoch` is now, in seconds since the epoch."""
    for labels in (*EXPORTERS, *RECEIVERS):
        yield from _process(labels, epoch)
    for labels in EXPORTERS:
        name = "tocsin_exporter_probe_schedule_delay_seconds"
        yield from histogram(name, 0.2, lambda _: 0.004, DURATIONS, labels)
    for labels in RECEIVERS:
        yield level("tocsin_receiver_watchdog_last_seen_timestamp_seconds", behind_now(epoch, "dog"), labels)
    own = FIRST_RECEIVER
    yield counter("tocsin_receiver_heartbeats_total", 1 / MINUTE, {**own, "result": "sent"})
    yield counter("tocsin_receiver_reconciliations_total", 1 / MINUTE, {**own, "result": "ok"})
    yield level("tocsin_receiver_audit_findings", 0, {**own, "finding": "rows_overdue"})
    yield _change("shop", "deploy", DEPLOYED, epoch)
    yield _change("accounts", "flag", 4.4 * HOUR, epoch)


def _process(labels: Labels, epoch: float) -> Iterator[Past]:
    """One exporter or receiver."""
    service, key = labels["job"].replace("-", "_"), labels["instance"]
    restarted = key.startswith("exporter-2")
    yield level("up", _up(restarted), labels)
    yield level("scrape_duration_seconds", about(0.04 + len(key) / 900, key), labels)
    yield level("process_resident_memory_bytes", about(9.1e7 + 1e6 * len(key), key, 0.02), labels)
    yield level("process_start_time_seconds", epoch - (RESTARTED - 6 * MINUTE if restarted else 6 * DAY), labels)
    yield counter("process_cpu_seconds_total", busy(0.11), labels)
    yield level(f"{service}_build_info", 1, {**labels, "version": "0.9.0"})
    yield level(f"{service}_config_last_reload_successful", 1, labels)
    yield level(f"{service}_config_last_reload_success_timestamp_seconds", epoch - 2 * DAY, labels)
    yield counter(f"{service}_storage_errors_total", _once if restarted else 0.0, labels)


def _up(restarted: bool) -> Course:
    return lambda ago: 1 - during(RESTARTED, RESTARTED - 6 * MINUTE, ago) if restarted else 1.0


def _once(ago: float) -> float:
    return during(5.2 * HOUR, 5.15 * HOUR, ago, 0.02)


def _change(service: str, kind: str, ago: float, epoch: float) -> Past:
    """A deploy or a flag, known from then on."""
    labels = {**FIRST_RECEIVER, "service": service, "kind": kind}
    return level("tocsin_receiver_last_change_timestamp_seconds", epoch - ago, labels, since=ago)
