"""Alerts as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["firing", "resolved"]
Origin = Literal["webhook", "reconciled", "filled_in", "source_lost", "by_hand"]
Occurrence = tuple[str, float]
"""(fingerprint, starts_at): one time that one alert fired."""


def identity(source: str, fingerprint: str) -> str:
    """What tells an alert from all others: two clusters may have alerts of equal labels, so of equal fingerprints."""
    return f"{source}/{fingerprint}" if source else fingerprint


@dataclass(frozen=True)
class AlertEvent:
    """What Alertmanager said of one alert. Times are seconds since the epoch; `ends_at` is None while it fires.

    `fingerprint` tells it from every other alert: Alertmanager's own, after that of its `source`, where one is named.
    `origin` says how we know: a webhook; that no Alertmanager holds the alert any more; that one holds it and left it
    out of a webhook; a resolve that came while the source of the alerts was silent; or that a person said so. `kind` is
    its class; `given` are the labels that it came with, where the operator's vocabulary made others of them.
    """

    fingerprint: str
    status: Status
    starts_at: float
    ends_at: float | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    origin: Origin = "webhook"
    source: str = ""
    kind: str = ""
    given: Mapping[str, str] | None = None

    @property
    def own_labels(self) -> Mapping[str, str]:
        """The labels that Alertmanager knows it by."""
        return self.given if self.given is not None else self.labels

    @property
    def occurrence(self) -> Occurrence:
        """Which time this alert fired."""
        return self.fingerprint, self.starts_at

    @property
    def name(self) -> str:
        """The alert's name; an alert may lack one."""
        return self.labels.get("alertname", "unnamed alert")

    @property
    def service(self) -> str:
        """The service it is about, or nothing. A NUL, which PostgreSQL does not keep, is U+FFFD here."""
        return self.labels.get("service", "").replace("\0", "\ufffd")


@dataclass(frozen=True)
class StoredEvent:
    """An event that is not processed yet, and when it was received."""

    id: int
    received_at: float
    event: AlertEvent


@dataclass(frozen=True)
class Notification:
    """One webhook body: its alerts, how many of the group Alertmanager left out (`max_alerts`), which group, and the
    `source` that the Alertmanagers of one cluster name in their webhook's URL; "" where there is but one."""

    alerts: tuple[AlertEvent, ...]
    truncated: int
    external_url: str
    receiver: str = ""
    group_labels: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
