"""Alerts as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["firing", "resolved"]
Occurrence = tuple[str, float]
"""(fingerprint, starts_at): one time that one alert fired."""


@dataclass(frozen=True)
class AlertEvent:
    """What Alertmanager said of one alert. Times are seconds since the epoch; `ends_at` is None while it fires.

    `origin`: a webhook, or that no Alertmanager holds the alert any more.
    """

    fingerprint: str
    status: Status
    starts_at: float
    ends_at: float | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    origin: Literal["webhook", "reconciled"] = "webhook"

    @property
    def occurrence(self) -> Occurrence:
        """Which time this alert fired."""
        return self.fingerprint, self.starts_at

    @property
    def name(self) -> str:
        """The alert's name; an alert may lack one."""
        return self.labels.get("alertname", "unnamed alert")


@dataclass(frozen=True)
class Notification:
    """One webhook body: the alerts in it, and how many Alertmanager left out (`max_alerts`)."""

    alerts: tuple[AlertEvent, ...]
    truncated: int
    external_url: str
