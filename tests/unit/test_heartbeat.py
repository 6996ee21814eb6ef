"""When to beat."""

import pytest

from receiver.upkeep.audit import Finding
from receiver.upkeep.heartbeat import beat

NOW = 10_000.0
LONG_AGO = NOW - 5_000.0
STUCK: dict[Finding, int] = {"rows_overdue": 1}

BEATS = [
    ("the Watchdog came a moment ago", NOW - 30, {}, LONG_AGO, "beat"),
    ("it came three minutes ago", NOW - 180, {}, LONG_AGO, "beat"),
    ("it came longer ago", NOW - 181, {}, LONG_AGO, "watchdog_missing"),
    ("it never came, and we have just started", None, {}, NOW - 299, "beat"),
    ("it never came, and we have had five minutes", None, {}, NOW - 301, "watchdog_missing"),
    ("it last came before we were stopped, and we have just started", NOW - 4_000, {}, NOW - 100, "beat"),
    ("it last came before we were stopped, and that was long ago", NOW - 4_000, {}, NOW - 400, "watchdog_missing"),
    ("it came once since our start and no more", NOW - 200, {}, NOW - 250, "watchdog_missing"),
    ("it came at another replica, whose clock is ahead by a minute", NOW + 60, {}, LONG_AGO, "beat"),
    ("it came when the clock was a day ahead", NOW + 86_400, {}, LONG_AGO, "watchdog_missing"),
    ("the clock was set back by a day after our start", NOW - 30 + 86_400, {}, NOW + 80_000, "watchdog_missing"),
    ("something stands still", NOW - 30, STUCK, LONG_AGO, "audit_failed"),
    ("something stands still, and we have just started", None, STUCK, NOW, "audit_failed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "findings", "started", "what"), [row[1:] for row in BEATS], ids=[row[0] for row in BEATS]
)
def test_when_to_beat(seen: float | None, findings: dict[Finding, int], started: float, what: str) -> None:
    assert beat(NOW, seen, findings, started) == what
