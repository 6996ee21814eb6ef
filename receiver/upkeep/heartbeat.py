"""Whether to beat: to tell somebody outside, at each interval, that alerts would reach people. Pure."""

from collections.abc import Mapping
from typing import Literal

from receiver.upkeep.audit import Finding

Beat = Literal["beat"]
Silence = Literal["watchdog_missing", "audit_failed"]

WATCHDOG_SECONDS = 180.0
"""The Watchdog comes each 30 to 60 s: one that is silent for this long has missed three."""
GRACE_SECONDS = 300.0
"""What the first Watchdog after a start may take."""


def beat(now: float, watchdog_seen: float | None, findings: Mapping[Finding, int], started: float) -> Beat | Silence:
    """Whether to beat, or why not.

    `watchdog_seen` is when the Watchdog last came (None: never), `started` when this process began; both, like `now`,
    in seconds since the epoch. A time that lies as far in the future is as wrong as one in the past.
    """
    if findings:
        return "audit_failed"
    if watchdog_seen is not None and abs(now - watchdog_seen) <= WATCHDOG_SECONDS:
        return "beat"
    heard_since_start = watchdog_seen is not None and watchdog_seen >= started
    if not heard_since_start and abs(now - started) <= GRACE_SECONDS:
        return "beat"
    return "watchdog_missing"
