"""What is lost, counted by queries of the operator's: "41 checkouts an hour are missing; 2,050 EUR an hour"."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from receiver.alerts import AlertEvent
from receiver.enrichers.absence import Absent
from receiver.enrichers.series import NoneOwn, own
from receiver.enrichers.settings import Impact
from receiver.enrichers.wording import wording
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.prometheus import Prometheus, QueryFailed

NAME = "impact"
MOST = 4
"""More numbers than this in one message are read by nobody."""


class ImpactEnricher:
    """Asks one Prometheus."""

    def __init__(self, prometheus: Prometheus, impacts: Sequence[Impact]) -> None:
        self._prometheus, self._impacts = prometheus, tuple(impacts)

    async def __call__(self, incident: Incident) -> Found | None:
        """What the incident costs while it fires; None when no query is for its leading alert. Raises Absent for the
        first query that tells nothing, with what the others told."""
        alert = incident.leading
        chosen = [one for one in self._impacts if _matches(one.match, alert.labels)][:MOST] if incident.firing else []
        told = await asyncio.gather(*(self._told(impact, alert) for impact in chosen))
        words = "; ".join(one for one in told if isinstance(one, str))
        found: Found = {"impact_measured": words} if words else {}
        for one in told:
            if isinstance(one, Absent):
                raise Absent(NAME, one.reason, str(one).removeprefix(f"{NAME}: "), found)
        return found or None

    async def _told(self, impact: Impact, alert: AlertEvent) -> str | Absent | None:
        query = impact.query.fill(alert.labels)
        if query is None:
            return None
        try:
            samples = await self._prometheus.query(query)
            value = (samples[0] if len(samples) == 1 else own(samples, alert.labels)).value
        except QueryFailed as error:
            return Absent(NAME, error.reason, f"{impact.unit}: {error}")
        except NoneOwn as error:
            return Absent(NAME, "no_data", f"{impact.unit}: {error}")
        if not math.isfinite(value):
            return Absent(NAME, "no_data", f"{impact.unit}: the query returned {value}, not a number")
        return wording(value, impact.unit)


def _matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())
