"""Whether the source of the alerts, Prometheus, is silent: then a resolve is no evidence that anything ended. Pure.

A Prometheus that dies no longer says that an alert fires, and after some four minutes Alertmanager takes it for
resolved. The Watchdog, which fires always, goes the same way, and Alertmanager's API tells when it last heard of it.
"""

SILENT_SECONDS = 180.0
"""Prometheus says again that an alert fires at least every 75 s (its resend delay and an evaluation), and our poll of
Alertmanager is up to a minute old."""


def is_silent(now: float, told: float | None, ended: float | None, held: float | None) -> bool:
    """Whether nothing is heard of the source any more. Times are seconds since the epoch; None is "never".

    `told`: the Watchdog's last firing that reached us, `ended` its last resolve; `held`: when an Alertmanager last
    heard of it, as far as one could be asked. Who never heard of a Watchdog can't miss it.
    """
    if held is not None:
        return now - held > SILENT_SECONDS
    if told is None:
        return False
    return now - told > SILENT_SECONDS or (ended is not None and ended >= told)
