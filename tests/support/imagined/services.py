"""What Tocsin's own services would show of themselves."""

from collections.abc import Iterator

from tests.support.imagined.making import (
    DAY,
    DEPLOYED,
    HOUR,
    LONG,
    MINUTE,
    Course,
    counter,
    day,
    during,
    histogram,
    level,
    noise,
)
from tests.support.prometheuses import Past

EXPORTERS = [{"job": "tocsin-exporter", "instance": f"exporter-{n}:9970"} for n in (1, 2)]
RECEIVERS = [{"job": "tocsin-receiver", "instance": f"receiver-{n}:9971"} for n in (1, 2)]
FIRST_EXPORTER, FIRST_RECEIVER = EXPORTERS[0], RECEIVERS[0]
TARGETS = ("slack-payments", "slack-ops", "pagerduty", "mail-finance")
AWAY = (110 * MINUTE, 65 * MINUTE)
"""When slack-ops could not be reached, in seconds before now."""
DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
RULES = {
    "checkouts": ("payments", "shop", 1.4),
    "logins": ("accounts", "accounts", 3.1),
    "searches": ("search", "shop", 9.0),
}
"""Each usage rule: (owner, service, events a second at noon)."""


def busy(rate: float, broken: float = 1.0) -> Course:
    """A rate that follows the day, and what the deploy left of it."""
    return lambda ago: rate * day(ago) * (broken if ago < DEPLOYED else 1) * (1 + 0.08 * noise(str(rate), ago))


def processes(epoch: float) -> Iterator[Past]:
    """What each process shows of itself; `epoch` is now, in seconds since the epoch."""
    for labels in (*EXPORTERS, *RECEIVERS):
        service, key = labels["job"].replace("-", "_"), labels["instance"]
        restarted = key.startswith("exporter-2")
        yield level("up", _up(restarted), **labels)
        yield level("scrape_duration_seconds", _about(0.04 + len(key) / 900, key), **labels)
        yield level("process_resident_memory_bytes", _about(9.1e7 + 1e6 * len(key), key, 0.02), **labels)
        yield level("process_start_time_seconds", epoch - (2.9 * HOUR if restarted else 6 * DAY), **labels)
        yield counter("process_cpu_seconds_total", busy(0.11), **labels)
        yield level(f"{service}_build_info", 1, version="0.9.0", **labels)
        yield level(f"{service}_config_last_reload_successful", 1, **labels)
        yield level(f"{service}_config_last_reload_success_timestamp_seconds", epoch - 2 * DAY, **labels)
        yield counter(
            f"{service}_storage_errors_total", lambda ago: during(5.2 * HOUR, 5.15 * HOUR, ago, 0.02), **labels
        )


def _up(restarted: bool) -> Course:
    return lambda ago: 1 - during(3 * HOUR, 2.9 * HOUR, ago) if restarted else 1.0


def _about(value: float, key: str, spread: float = 0.2) -> Course:
    return lambda ago: value * (1 + spread * noise(key, ago))


def counted() -> Iterator[Past]:
    """Usage rules and what they count."""
    for rule, (owner, service, rate) in RULES.items():
        own = {**FIRST_EXPORTER, "rule": rule}
        yield level("usage_rule_info", 1, owner=owner, service=service, metric=f"shop_{rule}_total", **own)
        yield counter("usage_rule_events_total", busy(rate, 0.42 if rule == "checkouts" else 1), since=LONG, **own)
        yield level("usage_rule_series", {"checkouts": 84.0, "logins": 40.0, "searches": 200.0}[rule], **own)
        yield level("usage_rule_series_limit", 200, **own)
        yield counter("usage_rule_overflows_total", 0.004 if rule == "searches" else 0, **own)
    yield level("usage_rule_minimum_events_per_second", 1.0, rule="checkouts", **FIRST_EXPORTER)
    for rule, keys in (("orders-paid", 210.0), ("quiet-tenants", 6.0)):
        yield level("tocsin_exporter_sequence_keys", _about(keys, rule, 0.1), rule=rule, **FIRST_EXPORTER)
    silent = level(
        "tocsin_exporter_sequence_silent_keys",
        lambda ago: float(ago < 2 * HOUR),
        rule="quiet-tenants",
        **FIRST_EXPORTER,
    )
    yield silent


def ingested(epoch: float) -> Iterator[Past]:
    """Events, log lines and sources."""
    own = FIRST_EXPORTER
    outcomes = {
        "matched": busy(13.5, 0.9),
        "unmatched": busy(1.2),
        "unknown": lambda ago: 0.3 * (ago < DEPLOYED),
        "rejected": lambda ago: 0.05 + 0.5 * (ago < DEPLOYED),
    }
    for outcome, rate in outcomes.items():
        yield counter("tocsin_exporter_events_total", rate, outcome=outcome, **own)
    reasons = {
        "missing": lambda ago: 0.45 * (ago < DEPLOYED),
        "late": busy(0.03),
        "not_json": 0.004,
        "wrong_type": 0.02,
        "ahead": 0.002,
    }
    for reason, much in reasons.items():
        yield counter("tocsin_exporter_rejects_total", much, reason=reason, **own)
    for handler, code, share in (
        ("/v1/events", "200", 2.0),
        ("/v1/logs", "200", 0.5),
        ("/v1/track", "200", 0.3),
        ("/v1/events", "401", 0.02),
    ):
        yield counter("tocsin_exporter_http_requests_total", busy(share), handler=handler, code=code, **own)
    for outcome in ("matched", "unmatched"):
        yield counter(
            "tocsin_exporter_log_lines_total", busy(1.5 if outcome == "matched" else 2.8), outcome=outcome, **own
        )
    yield from _kafka(epoch)
    yield level(
        "tocsin_exporter_sql_last_success_timestamp_seconds",
        lambda ago: epoch - ago - 30 - 25 * noise("sql", ago),
        source="billing-db",
        metric="invoices",
        **own,
    )
    yield counter(
        "tocsin_exporter_sql_errors_total", 0.0006, source="billing-db", metric="invoices", reason="timeout", **own
    )
    yield counter("tocsin_exporter_file_errors_total", 0.0, source="nginx", reason="permission", **own)
    yield level("tocsin_exporter_file_files", 3, source="nginx", **own)
    yield level("tocsin_exporter_file_lag_bytes", _about(40000, "nginx", 0.5), source="nginx", **own)
    yield from histogram("tocsin_exporter_commit_seconds", 4.0, lambda ago: 0.009 + 0.004 * day(ago), DURATIONS, **own)
    for labels in EXPORTERS:
        yield from histogram("tocsin_exporter_probe_schedule_delay_seconds", 0.2, lambda _: 0.004, DURATIONS, **labels)


def _kafka(epoch: float) -> Iterator[Past]:
    """One topic of two partitions that stood still for a while after the restart."""
    source = {**FIRST_EXPORTER, "source": "orders"}
    yield counter("tocsin_exporter_kafka_messages_total", busy(8.0), **source)
    yield counter(
        "tocsin_exporter_kafka_errors_total",
        lambda ago: during(3 * HOUR, 2.8 * HOUR, ago, 0.01),
        reason="transport",
        **source,
    )
    yield level("tocsin_exporter_kafka_catching_up", lambda ago: during(2.9 * HOUR, 2.5 * HOUR, ago), **source)
    for partition in ("0", "1"):
        place = {**source, "topic": "shop.orders", "partition": partition}
        yield level("tocsin_exporter_kafka_lag_messages", _behind, **place)
        yield level(
            "tocsin_exporter_kafka_last_message_timestamp_seconds",
            lambda ago: epoch - ago - 3 - _behind(ago) / 10,
            **place,
        )


def _behind(ago: float) -> float:
    """A heap that grew while nobody read, and was worked off."""
    heap = max(0.0, 9000 - abs(ago - 2.9 * HOUR) * (8 if ago < 2.9 * HOUR else 25))
    return heap + 20 + 15 * noise("lag", ago)


def delivered(epoch: float) -> Iterator[Past]:
    """The receiver's outbox and its channels."""
    own = FIRST_RECEIVER
    waiting = {
        "planned": lambda ago: 1 + noise("p", ago),
        "sending": lambda ago: float(noise("s", ago) > 0.4),
        "failed": lambda ago: during(*AWAY, ago, 14 * (AWAY[0] - ago) / AWAY[0]),
        "unknown": 0,
        "dead": 0,
        "sent": 310,
    }
    for state, many in waiting.items():
        yield level("tocsin_receiver_outbox", many, state=state, **own)
    yield level(
        "tocsin_receiver_outbox_oldest_timestamp_seconds",
        lambda ago: epoch - during(*AWAY, ago, AWAY[0], 0) if during(*AWAY, ago) else 0.0,
        **own,
    )
    for state, incidents in (("open", 1), ("acknowledged", 2), ("reopened", 0), ("resolved", 41)):
        yield level("tocsin_receiver_incidents", incidents, state=state, **own)
    for target in TARGETS:
        yield from _channel(target)
    yield from histogram(
        "tocsin_receiver_receipt_to_delivery_seconds", 0.02, lambda ago: 0.8 + during(*AWAY, ago, 3.0), DURATIONS, **own
    )
    for reason, rate in (("opened", 0.0012), ("joined", 0.003), ("resolved", 0.0011), ("repeat", 0.004)):
        yield counter("tocsin_receiver_incident_decisions_total", _about(rate, reason, 0.6), reason=reason, **own)
    for reason in ("step_due", "acknowledged", "exhausted"):
        yield counter(
            "tocsin_receiver_escalations_total",
            lambda ago, r=reason: 0.0009 * (noise(r, ago) > 0.2),
            reason=reason,
            **own,
        )
    yield counter("tocsin_receiver_enrichment_failures_total", 0.0004, enricher="logs", reason="timeout", **own)


def _channel(target: str) -> Iterator[Past]:
    """A target's attempts; one of them was away for a while."""
    away = target == "slack-ops"
    own = {**FIRST_RECEIVER, "target": target}

    def sent(ago: float) -> float:
        return 0.0 if away and during(*AWAY, ago) else 0.004 + 0.003 * noise(target, ago)

    yield counter("tocsin_receiver_deliveries_total", sent, since=LONG, result="sent", **own)
    for result, rate in (("failed", 0.03), ("unknown", 0.004), ("dead", 0.0)):
        yield counter(
            "tocsin_receiver_deliveries_total",
            lambda ago, r=rate: r * away * during(*AWAY, ago),
            since=LONG,
            result=result,
            **own,
        )
    yield counter("tocsin_receiver_fallbacks_total", lambda ago: 0.004 * away * during(*AWAY, ago), since=LONG, **own)
    yield level("tocsin_receiver_target_circuit_open", lambda ago: away * during(*AWAY, ago), **own)
    yield from histogram(
        "tocsin_receiver_delivery_duration_seconds", 0.01, lambda _: 0.1 + len(target) / 60, DURATIONS, **own
    )


def watched(epoch: float) -> Iterator[Past]:
    """Whether anybody would hear of the receiver's own trouble."""
    for labels in RECEIVERS:
        yield level(
            "tocsin_receiver_watchdog_last_seen_timestamp_seconds",
            lambda ago: epoch - ago - 30 - 25 * noise("dog", ago),
            **labels,
        )
    own = FIRST_RECEIVER
    yield counter("tocsin_receiver_heartbeats_total", 1 / MINUTE, result="sent", **own)
    yield counter("tocsin_receiver_reconciliations_total", 1 / MINUTE, result="ok", **own)
    yield level("tocsin_receiver_audit_findings", 0, finding="rows_overdue", **own)
    yield level(
        "tocsin_receiver_last_change_timestamp_seconds",
        epoch - DEPLOYED,
        since=DEPLOYED,
        service="shop",
        kind="deploy",
        **own,
    )
    yield level(
        "tocsin_receiver_last_change_timestamp_seconds",
        epoch - 4.4 * HOUR,
        since=4.4 * HOUR,
        service="accounts",
        kind="flag",
        **own,
    )


def services(epoch: float) -> Iterator[Past]:
    """All of it."""
    for part in (processes(epoch), counted(), ingested(epoch), delivered(epoch), watched(epoch)):
        yield from part
