"""Whether the source of the alerts, Prometheus, is silent: then a resolve is no evidence that anything ended. Pure.

A Prometheus that dies no longer says that an alert fires, and after some four minutes Alertmanager takes it for
resolved. The Watchdog, which fires always, goes the same way, and Alertmanager's API tells when it last heard of it.
"""

from dataclasses import dataclass

SILENT_SECONDS = 180.0
"""Prometheus says again that an alert fires at least every 75 s (its resend delay and an evaluation), and our poll of
Alertmanager is up to a minute old."""
PATIENCE = 0.75
"""Where rules are evaluated more seldom, Prometheus gives its alerts longer to last, four times the interval: silent is
who has not spoken for this share of that."""


@dataclass(frozen=True)
class Heard:
    """When an Alertmanager last heard of the Watchdog, and for how long it takes that to hold, both in seconds."""

    at: float
    lasts: float = 0.0


def is_silent(now: float, told: float | None, ended: float | None, held: Heard | None) -> bool:
    """Whether nothing is heard of the source any more. Times are seconds since the epoch; None is "never".

    `told`: the Watchdog's last firing that reached us, `ended` its last resolve; `held`: what an Alertmanager last
    heard of it, as far as one could be asked. Who never heard of a Watchdog can't miss it.
    """
    if held is not None:
        return now - held.at > max(SILENT_SECONDS, PATIENCE * held.lasts)
    if told is None:
        return False
    return now - told > SILENT_SECONDS or (ended is not None and ended >= told)
