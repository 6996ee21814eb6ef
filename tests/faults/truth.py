"""What truly fires, told to a receiver in any order: a history of alerts, and what may be known of it."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SERVICES = {"web": ("db",), "shop": ("db", "cache"), "app": ("cache",), "db": (), "cache": ()}
"""What each needs: two causes, and one service that stands on both."""


@dataclass(frozen=True)
class Alert:
    """Its name is its fingerprint too."""

    name: str
    service: str
    severity: str = "warning"


ALERTS = (
    Alert("WebSlow", "web"),
    Alert("WebDown", "web", "critical"),
    Alert("ShopDown", "shop"),
    Alert("AppDown", "app"),
    Alert("DbDown", "db", "critical"),
    Alert("CacheDown", "cache"),
)


@dataclass(frozen=True)
class Event:
    """That an alert fires since `starts_at`, or did until `ends_at`, in seconds since the epoch."""

    alert: Alert
    starts_at: float
    ends_at: float | None = None

    @property
    def status(self) -> str:
        """`firing` or `resolved`."""
        return "firing" if self.ends_at is None else "resolved"

    @property
    def key(self) -> tuple[str, float, str, float]:
        """What tells it from another, as in the table `events`."""
        return self.alert.name, self.starts_at, self.status, self.ends_at or 0.0


class Truth:
    """A history, which its owner writes: no two occurrences of an alert overlap."""

    def __init__(self, time: float) -> None:
        self.time, self.history = time, list[Event]()
        self.firing: dict[Alert, float] = {}

    def turn(self, alert: Alert) -> Event:
        """`alert` begins to fire, or ends, a second later."""
        self.time += 1
        began = self.firing.pop(alert, None)
        if began is None:
            began = self.firing[alert] = self.time
            event = Event(alert, began)
        else:
            event = Event(alert, began, self.time)
        self.history.append(event)
        return event


Key = tuple[str, float, str, float]
Occurrence = tuple[str, float]


def firing(heard: Collection[Key]) -> set[Occurrence]:
    """What fires for one who has heard these events of a history, in whatever order.

    Of an alert the latest occurrence counts, and it fires until its end is heard.
    """
    latest: dict[str, float] = {}
    for name, starts_at, _, _ in heard:
        latest[name] = max(starts_at, latest.get(name, starts_at))
    begun = {(name, at) for name, at, status, _ in heard if status == "firing"}
    ended = {(name, at) for name, at, status, _ in heard if status == "resolved"}
    return {occurrence for occurrence in latest.items() if occurrence in begun - ended}


def webhook(events: Iterable[Event]) -> bytes:
    """The body that Alertmanager would post of these together."""
    return json.dumps({"version": "4", "alerts": [_posted(event) for event in events]}).encode()


def _posted(event: Event) -> dict[str, Any]:
    alert = event.alert
    return {
        "status": event.status,
        "labels": {"alertname": alert.name, "service": alert.service, "severity": alert.severity},
        "annotations": {"summary": f"{alert.name} it is"},
        "startsAt": _rfc3339(event.starts_at),
        "endsAt": _rfc3339(event.ends_at or 0.0),
        "fingerprint": alert.name,
    }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
