"""What the exporter shows of events, log lines and their sources."""

from collections.abc import Iterator, Mapping

from tests.support.imagined.making import DEPLOYED, HOUR, LONG, Course, counter, day, during, histogram, level, noise
from tests.support.imagined.places import DURATIONS, FIRST_EXPORTER, RESTARTED, about, behind_now, busy
from tests.support.prometheuses import Past

RULES = {
    "checkouts": ("payments", "shop", 1.4, 84.0),
    "logins": ("accounts", "accounts", 3.1, 40.0),
    "searches": ("search", "shop", 9.0, 200.0),
}
"""Each usage rule: (owner, service, events a second at noon, series)."""
POSTS = (("/v1/events", "200", 2.0), ("/v1/logs", "200", 0.5), ("/v1/track", "200", 0.3), ("/v1/events", "401", 0.02))
"""(handler, answer, requests a second at noon)."""


def ingestion(epoch: float) -> Iterator[Past]:
    """All of it; `epoch` is now, in seconds since the epoch."""
    yield from _counted()
    yield from _arrived()
    yield from _kafka(epoch)
    yield from _other_sources(epoch)


def _counted() -> Iterator[Past]:
    """Usage rules, and rules about keys."""
    for rule, (owner, service, rate, series) in RULES.items():
        own = {**FIRST_EXPORTER, "rule": rule}
        yield level("usage_rule_info", 1, {**own, "owner": owner, "service": service, "metric": f"shop_{rule}_total"})
        left = 0.42 if rule == "checkouts" else 1.0
        yield counter("usage_rule_events_total", busy(rate, left), own, since=LONG)
        yield level("usage_rule_series", series, own)
        yield level("usage_rule_series_limit", 200, own)
        yield counter("usage_rule_overflows_total", 0.004 if rule == "searches" else 0.0, own)
    yield level("usage_rule_minimum_events_per_second", 0.7, {**FIRST_EXPORTER, "rule": "checkouts"})
    quiet = {**FIRST_EXPORTER, "rule": "quiet-tenants"}
    yield level("tocsin_exporter_sequence_keys", about(210, "orders", 0.1), {**FIRST_EXPORTER, "rule": "orders-paid"})
    yield level("tocsin_exporter_sequence_keys", 6, quiet)
    yield level("tocsin_exporter_sequence_silent_keys", lambda ago: float(ago < 2 * HOUR), quiet)


def _arrived() -> Iterator[Past]:
    """Events by what became of them. Since the deploy some lack a field, and some have a name that nobody declared."""
    broken = _since_the_deploy
    outcomes: Mapping[str, Course] = {
        "matched": busy(13.5, 0.9),
        "unmatched": busy(1.2),
        "unknown": broken(0.3),
        "rejected": broken(0.5, 0.05),
    }
    for outcome, rate in outcomes.items():
        yield counter("tocsin_exporter_events_total", rate, {**FIRST_EXPORTER, "outcome": outcome})
    reasons: Mapping[str, Course | float] = {
        "missing": broken(0.45),
        "late": busy(0.03),
        "not_json": 0.004,
        "wrong_type": 0.02,
        "ahead": 0.002,
    }
    for reason, much in reasons.items():
        yield counter("tocsin_exporter_rejects_total", much, {**FIRST_EXPORTER, "reason": reason})
    for handler, code, many in POSTS:
        labels = {**FIRST_EXPORTER, "handler": handler, "code": code}
        yield counter("tocsin_exporter_http_requests_total", busy(many), labels)
    for outcome, lines in (("matched", 1.5), ("unmatched", 2.8)):
        yield counter("tocsin_exporter_log_lines_total", busy(lines), {**FIRST_EXPORTER, "outcome": outcome})
    commits = "tocsin_exporter_commit_seconds"
    yield from histogram(commits, 4.0, lambda ago: 0.009 + 0.004 * day(ago), DURATIONS, FIRST_EXPORTER)


def _since_the_deploy(rate: float, before: float = 0.0) -> Course:
    return lambda ago: before + rate * (ago < DEPLOYED)


def _kafka(epoch: float) -> Iterator[Past]:
    """One topic of two partitions, which nobody read during the restart."""
    source = {**FIRST_EXPORTER, "source": "orders"}
    yield counter("tocsin_exporter_kafka_messages_total", busy(8.0), source)
    trouble = {**source, "reason": "transport"}
    yield counter("tocsin_exporter_kafka_errors_total", lambda ago: during(RESTARTED, 2.8 * HOUR, ago, 0.01), trouble)
    yield level("tocsin_exporter_kafka_catching_up", lambda ago: during(2.9 * HOUR, 2.5 * HOUR, ago), source)
    for partition in ("0", "1"):
        place = {**source, "topic": "shop.orders", "partition": partition}
        yield level("tocsin_exporter_kafka_lag_messages", _behind, place)
        last = "tocsin_exporter_kafka_last_message_timestamp_seconds"
        yield level(last, lambda ago: epoch - ago - 3 - _behind(ago) / 10, place)


def _behind(ago: float) -> float:
    """A heap of messages that grew while nobody read, and was worked off."""
    heap = max(0.0, 9000 - abs(ago - 2.9 * HOUR) * (8 if ago < 2.9 * HOUR else 25))
    return float(round(heap + 20 + 15 * noise("lag", ago)))


def _other_sources(epoch: float) -> Iterator[Past]:
    """A database that is asked, and log files that are read."""
    billing = {**FIRST_EXPORTER, "source": "billing-db", "metric": "invoices"}
    yield level("tocsin_exporter_sql_last_success_timestamp_seconds", behind_now(epoch, "sql"), billing)
    yield counter("tocsin_exporter_sql_errors_total", 0.0006, {**billing, "reason": "timeout"})
    nginx = {**FIRST_EXPORTER, "source": "nginx"}
    yield counter("tocsin_exporter_file_errors_total", 0.0, {**nginx, "reason": "permission"})
    yield level("tocsin_exporter_file_files", 3, nginx)
    yield level("tocsin_exporter_file_lag_bytes", about(40000, "nginx", 0.5), nginx)
