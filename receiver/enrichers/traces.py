"""A link to a trace behind the alert, from an exemplar of the metric that it measures."""

import re
from collections.abc import Iterable, Mapping
from string import Template

from receiver.alerts import AlertEvent
from receiver.enrichers.absence import Absent
from receiver.enrichers.expression import MAX_QUERY, expression_in
from receiver.enrichers.settings import TRACE_ID, Traces
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.clock import Now
from toolkit.prometheus import Exemplar, Prometheus, QueryFailed

NAME = "traces"
BEFORE_SECONDS = 900.0
LONGEST_SECONDS = 6 * 3600.0
_LABELS = ("trace_id", "traceID", "traceId", "TraceID")
"""OpenTelemetry's name, and the others in use."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class TracesEnricher:
    """Asks one Prometheus."""

    def __init__(self, prometheus: Prometheus, settings: Traces, now: Now) -> None:
        self._prometheus, self._settings, self._now = prometheus, settings, now

    async def __call__(self, incident: Incident) -> Found | None:
        """The newest trace of the alert's own series while it fires; None when its metric has no exemplars. Raises
        Absent."""
        alert = incident.leading
        query = self._query(alert)
        if not query or len(query) > MAX_QUERY or not incident.firing:
            return None
        end = self._now()
        try:
            start = max(alert.starts_at - BEFORE_SECONDS, end - LONGEST_SECONDS)
            exemplars = await self._prometheus.exemplars(query, min(start, end - BEFORE_SECONDS), end)
        except QueryFailed as error:
            raise Absent(NAME, error.reason, str(error)) from None
        trace = newest(exemplars, alert.labels)
        return {"trace_url": Template(self._settings.url).substitute({TRACE_ID: trace})} if trace else None

    def _query(self, alert: AlertEvent) -> str | None:
        if self._settings.query is not None:
            return self._settings.query.fill(alert.labels)
        return alert.annotations.get("value_query", "") or expression_in(alert.generator_url)


def newest(exemplars: Iterable[Exemplar], labels: Mapping[str, str]) -> str:
    """The id of the newest trace among exemplars of series that do not contradict the alert's `labels`, or nothing."""
    own = [one for one in exemplars if _trace(one) and all(labels.get(k, v) == v for k, v in one.series.items())]
    return _trace(max(own, key=lambda one: one.at)) if own else ""


def _trace(exemplar: Exemplar) -> str:
    """The trace's id; nothing for what is none, for it becomes part of a link."""
    return next((value for name in _LABELS if _ID.fullmatch(value := exemplar.labels.get(name, ""))), "")
