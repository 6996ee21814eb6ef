"""What Alertmanager holds against what we hold: the resolves that never reached us, the alerts left out. Pure.

Alertmanager forgets in a crash that it had told us of an alert. If the alert ended meanwhile, its resolve never comes,
and the incident would stay open for ever. So an alert that no Alertmanager holds any more has ended.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from receiver.alerts import AlertEvent, Notification
from receiver.upkeep.source import Heard
from toolkit.alertmanager import Holdings

POLL_SECONDS = 60.0
SETTLED_SECONDS = 300.0
"""An alert counts as gone once it was missing for this long, so that its own resolve, which waits for a group's
interval, comes first. And an Alertmanager that started less than this ago has not heard everything again."""


@dataclass(frozen=True)
class Held:
    """An alert that fires in one of our open incidents, and when we heard of it (seconds since the epoch)."""

    event: AlertEvent
    heard_at: float


@dataclass(frozen=True)
class Missing:
    """Since which good poll each fingerprint has been missing."""

    since: Mapping[str, float] = field(default_factory=dict)


def vanished(
    held: Collection[Held], polled: Sequence[Holdings | None], missing: Missing, now: float
) -> tuple[list[AlertEvent], Missing]:
    """The ends of alerts that are gone, and what to remember until the next poll.

    All of one source: `polled` has what each of its Alertmanagers holds, None for one that can't be reached: then
    nothing is gone, and nothing begins to be, for that one may know.
    """
    settled = [one for one in polled if one is not None and now - one.up_since >= SETTLED_SECONDS]
    if not polled or len(settled) < len(polled):
        return [], Missing()
    alive = {alert.fingerprint for one in settled for alert in one.alerts}
    gone = [one for one in held if one.event.fingerprint not in alive]
    since = {one.event.fingerprint: missing.since.get(one.event.fingerprint, now) for one in gone}
    ends = [
        replace(one.event, status="resolved", ends_at=max(now, one.event.starts_at + 1), origin="reconciled")
        for one in gone
        if now - max(since[one.event.fingerprint], one.heard_at) >= SETTLED_SECONDS
    ]
    return ends, Missing(since)


def left_out(notification: Notification, polled: Sequence[Holdings | None]) -> list[AlertEvent]:
    """The alerts of a truncated notification's group that Alertmanager holds, those that were in it included.

    Only what is active and goes to the same receiver counts: what is silenced or inhibited was not meant for us.
    """
    found: dict[str, AlertEvent] = {}
    for holdings in polled:
        for alert in holdings.alerts if holdings is not None else ():
            ours = alert.active and notification.receiver in alert.receivers
            if ours and all(alert.labels.get(name, "") == value for name, value in notification.group_labels.items()):
                found[alert.fingerprint] = AlertEvent(
                    fingerprint=alert.fingerprint,
                    status="firing",
                    starts_at=alert.starts_at,
                    ends_at=None,
                    labels=alert.labels,
                    annotations=alert.annotations,
                    generator_url=alert.generator_url,
                    origin="filled_in",
                    source=notification.source,
                )
    return list(found.values())


def last_heard(
    polled: Sequence[Holdings | None],
    is_watchdog: Callable[[Mapping[str, str]], bool],
    before: Heard | None,
    now: float,
) -> Heard | None:
    """When an Alertmanager last heard of the Watchdog, seconds since the epoch; `before` is what the last poll gave.

    None when none of them can say: not reached, or not up for long enough to have heard everything again.
    """
    settled = [one for one in polled if one is not None and now - one.up_since >= SETTLED_SECONDS]
    if not settled:
        return None
    heard = [
        Heard(alert.updated_at, max(alert.ends_at - alert.updated_at, 0.0))
        for one in settled
        for alert in one.alerts
        if is_watchdog(alert.labels)
    ]
    return max([*heard, *([before] if before is not None else [])], key=lambda one: one.at, default=None)
