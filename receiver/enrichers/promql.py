"""What the alert measures: its value now, its normal, how far they are apart, and its course as a line and a chart.

Queried when the message is written: the value in an annotation is stale by the resolve. The alert's annotation
`value_query` says what to ask; without it the alert's own expression is asked, without its comparison.
"""

import asyncio
import math
from dataclasses import dataclass

from receiver.alerts import AlertEvent
from receiver.enrichers.absence import Absent
from receiver.enrichers.course import SPAN_SECONDS, STEP_SECONDS, Course, course, left_normal, sparkline
from receiver.enrichers.expression import MAX_QUERY, Expression, Threshold, expression_in, understand
from receiver.enrichers.series import NoneOwn, only, own
from receiver.enrichers.tokens import Unreadable
from receiver.enrichers.wording import alerts, factor, number_in, scaled, wording
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.clock import Now, format_utc
from toolkit.prometheus import Prometheus, QueryFailed, Sample

NAME = "value"
COURSE_UNTIL_SECONDS = 2.5
"""So long after the first question the value is told without its course."""
_FIRST_MOMENT, _LAST_MOMENT = 1e9, 1e10
"""Seconds since the epoch: from 2001 to 2286."""


@dataclass(frozen=True)
class Normal:
    """What a value ought to be: in words, and as the number that is shown; None where the words hold none."""

    words: str
    number: float | None = None


class PromqlEnricher:
    """Asks one Prometheus."""

    def __init__(self, prometheus: Prometheus, now: Now) -> None:
        self._prometheus, self._now = prometheus, now

    async def __call__(self, incident: Incident) -> Found | None:
        """The leading alert's value now, its normal and its course. Raises Absent, which holds the value where only the
        course could not be had."""
        alert, begun = incident.leading, asyncio.get_running_loop().time()
        try:
            asked = await self._asked(alert)
            samples = await self._prometheus.query(asked.measured)
        except QueryFailed as error:
            raise Absent(NAME, error.reason, str(error)) from None
        if asked.of_absence:
            return {
                "measured": "the series that it needs is missing" if samples else "the series that it needs is there"
            }
        if not samples and _ended(incident, asked):
            return None
        sample = _chosen(samples, alert)
        moment = _moment(asked.measured, sample.value)
        if moment:
            return {"measured": moment}
        stated = await self._stated(alert)
        told = _told(sample.value, stated or _limit(asked.threshold, _unit(alert)), _unit(alert))
        known = await self._course(asked.measured, sample, told, begun + COURSE_UNTIL_SECONDS)
        return await _with_course(told, known, sample.value, stated, asked.threshold, alert)

    async def _asked(self, alert: AlertEvent) -> Expression:
        """What to ask Prometheus for. Raises Absent or QueryFailed."""
        query = alert.annotations.get("value_query", "").strip()
        written = _understood(expression_in(alert.generator_url))
        if len(query) > MAX_QUERY:
            raise Absent(NAME, "refused", f"value_query is longer than {MAX_QUERY} characters")
        if query:
            is_own = written is not None and written.measured.split() == query.split()
            return Expression(query, written.threshold if written is not None and is_own else None)
        return written or await self._rule(alert.name)

    async def _rule(self, name: str) -> Expression:
        """What the rule of that name measures, as Prometheus has it."""
        queries = await self._prometheus.alert_queries(name)
        if len(queries) != 1:
            how_many = f"{len(queries)} rules" if queries else "no rule"
            raise Absent(NAME, "no_data", f"the alert tells no query, and Prometheus has {how_many} of its name")
        expression = _understood(next(iter(queries)))
        if expression is None:
            raise Absent(NAME, "unreadable", "what its rule measures can't be told; give it a value_query")
        return expression

    async def _stated(self, alert: AlertEvent) -> Normal | None:
        """The normal that the rule states, in words or as a query; None when it states none that can be had."""
        words = alert.annotations.get("normal", "")
        query = alert.annotations.get("normal_query", "").strip()
        if words or not query or len(query) > MAX_QUERY:
            return Normal(words, number_in(words)) if words else None
        try:
            value = _chosen(await self._prometheus.query(query), alert).value
        except (QueryFailed, Absent):
            return None  # the value's past tells its normal as well
        return Normal(wording(value, _unit(alert)), scaled(value, _unit(alert)))

    async def _course(self, query: str, sample: Sample, told: Found, until: float) -> Course:
        """The course up to `sample`, waited for until the loop's time `until`. Raises Absent, with what is `told`."""
        now = self._now()
        try:
            async with asyncio.timeout_at(until):
                series = await self._prometheus.query_range(
                    only(query, sample.labels), now - SPAN_SECONDS, now, STEP_SECONDS
                )
        except TimeoutError:
            raise Absent(NAME, "timeout", f"its course: no answer within {COURSE_UNTIL_SECONDS:g} s", told) from None
        except QueryFailed as error:
            raise Absent(NAME, error.reason, f"its course: {error}", told) from None
        points = next((one.points for one in series if one.labels == sample.labels), None)
        if points is None:
            raise Absent(NAME, "no_data", "its course: Prometheus has no values of the last days", told)
        return course([*points, (now, sample.value)], now)


def _understood(query: str) -> Expression | None:
    try:
        return understand(query)
    except Unreadable:
        return None


def _ended(incident: Incident, asked: Expression) -> bool:
    """Whether it is only natural that the expression returns nothing: asked with its comparisons, it has ended."""
    return not incident.firing and asked.threshold is None and "value_query" not in incident.leading.annotations


def _moment(query: str, value: float) -> str:
    """A value that is a time and not how long ago one was, as that time; nothing for any other."""
    is_time = "_timestamp_seconds" in query and "time()" not in query and _FIRST_MOMENT < value < _LAST_MOMENT
    return format_utc(value) if is_time else ""


def _unit(alert: AlertEvent) -> str:
    return alert.annotations.get("value_unit", "")


def _chosen(samples: list[Sample], alert: AlertEvent) -> Sample:
    """The alert's own sample. Raises Absent."""
    try:
        # who writes a query for an alert knows whose value it returns
        is_stated = len(samples) == 1 and "value_query" in alert.annotations
        sample = samples[0] if is_stated else own(samples, alert.labels)
    except NoneOwn as error:
        raise Absent(NAME, "no_data", str(error)) from None
    if math.isnan(sample.value):
        raise Absent(NAME, "no_data", "the query returned NaN, not a number")
    return sample


def _limit(threshold: Threshold | None, unit: str) -> Normal | None:
    """The threshold in a normal's place."""
    return Normal(alerts(threshold, unit)) if threshold is not None else None


def _usual(known: Course, unit: str) -> Normal | None:
    """What the value is at this hour on other days."""
    if known.normal is None:
        return None
    words = f"{wording(known.normal, unit)} at this hour, median of {known.days} days"
    return Normal(words, scaled(known.normal, unit))


def _told(value: float, normal: Normal | None, unit: str) -> Found:
    """The value beside its normal."""
    found: Found = {"measured": wording(value, unit)}
    if normal is not None:
        found["normal"] = normal.words
        shown = scaled(value, unit)
        if normal.number is not None and math.isfinite(shown) and math.isfinite(normal.number):
            found["factor"] = factor(shown, normal.number)
    return found


async def _with_course(
    told: Found, known: Course, value: float, stated: Normal | None, threshold: Threshold | None, alert: AlertEvent
) -> Found:
    """What is told, and the course."""
    unit = _unit(alert)
    normal = stated or _usual(known, unit)
    found = _told(value, normal, unit) if normal is not None else told
    left = left_normal(known)
    if left is not None and stated is None and found.get("factor"):
        found["factor"] += f" since {format_utc(left, '%H:%M UTC')}"
    found["sparkline"] = sparkline(known.values)
    found["chart"] = await asyncio.to_thread(_chart, known, unit.startswith("%"), threshold, alert.starts_at)
    return found


def _chart(course: Course, is_ratio: bool, threshold: Threshold | None, started: float) -> bytes:
    # imported at the first chart, in a thread: it takes a tenth of a receiver's start
    from receiver.enrichers.chart import Picture, draw  # noqa: PLC0415

    return draw(Picture(course, "%" if is_ratio else "", threshold, started))
