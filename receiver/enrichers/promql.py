"""The measured value, queried when the message is written: the one in an annotation is stale by the resolve.

An alert's annotation `value_query` is an instant query that returns one sample, `value_unit` what the number is
("% of calls unpaid": a leading `%` makes a ratio a percentage), `normal` what it ought to be.
"""

from receiver.enrichers.absence import Absent
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.prometheus import Prometheus, QueryFailed

MAX_QUERY = 4000


class PromqlEnricher:
    """Asks one Prometheus."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    async def __call__(self, incident: Incident) -> Found | None:
        """The leading alert's value now; None when it has no query. Raises Absent."""
        annotations = incident.leading.annotations
        query = annotations.get("value_query", "")
        if not query or len(query) > MAX_QUERY:
            return None
        try:
            samples = await self._prometheus.query(query)
        except QueryFailed as error:
            raise Absent("value", error.reason, str(error)) from None
        if len(samples) != 1:
            raise Absent("value", "no_data", f"the query returned {len(samples)} samples, not one")
        measured = wording(samples[0].value, annotations.get("value_unit", ""))
        return {"measured": measured, "normal": annotations.get("normal", "")}


def wording(value: float, unit: str) -> str:
    """A number and what it is: (0.987, "% of calls") -> `"98.7 % of calls"`, (3.0, "a minute") -> `"3 a minute"`."""
    if unit.startswith("%"):
        value *= 100
    return f"{value:,.3g} {unit}".strip() if abs(value) < 1000 else f"{value:,.0f} {unit}".strip()
