"""What a rule takes of a group of events: sums, histograms, last values, identities. Pure."""

import datetime
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from exporter.usage.book import Exemplar
from exporter.usage.contract import Event
from exporter.usage.kinds import sketch
from exporter.usage.settings import UsageRule

Measure = Callable[[Sequence[Event], float], tuple[Any, int]]
"""(events, now) -> (the delta, or None where no event had a usable value; how many had none)."""
Scale = tuple[int, int]
"""What one of the field's unit is in the metric's: (times, divided by)."""
Exemplary = Callable[[Sequence[Event], float], Exemplar | None]
"""(events, now) -> one of them to show, the last that names its trace."""
MAX_TRACE_CHARACTERS = 100
"""OpenMetrics lets the labels of an exemplar have 128."""
MOST = 1e18
"""A value beyond this, or none at all (NaN), is not taken: sums of a few could leave the range of numbers."""
_NUMBERS = frozenset({int, float})


def measure_of(rule: UsageRule, read: Callable[[Event], Any], time: Callable[[Event], Any] | None = None) -> Measure:
    """What `rule` takes; `read` reads the field, and `time` when an event happened, if it says so."""
    scale = rule.value.scale if rule.value else (1, 1)
    if rule.kind == "sum":
        return lambda events, _: _sum(_numbers(read, events, least=0.0), events, scale)
    if rule.kind == "histogram":
        return lambda events, _: _histogram(_numbers(read, events), events, scale, rule.bounds)
    if rule.kind == "last":
        return lambda events, now: _last([(_when(time, event, now), read(event)) for event in events], scale)
    return lambda events, now: _distinct(read, events, now)


def exemplary_of(rule: UsageRule, column: Callable[[str], Callable[[Event], Any]]) -> Exemplary:
    """What picks the exemplars of `rule`; `column` gives what reads a field."""
    trace, value = column(rule.exemplar), column(rule.value.field) if rule.value else None
    scale = rule.value.scale if rule.value else (1, 1)

    def pick(events: Sequence[Event], now: float) -> Exemplar | None:
        for event in reversed(events):
            name, measured = trace(event), value(event) if value else 1
            if type(name) is str and 0 < len(name) <= MAX_TRACE_CHARACTERS and _is_usable(measured):
                return Exemplar(name, _scaled(measured, scale), now)
        return None

    return pick


def _sum(values: list[float], events: Sequence[Event], scale: Scale) -> tuple[Any, int]:
    return (_scaled(math.fsum(values), scale) if values else None), len(events) - len(values)


def _histogram(values: list[float], events: Sequence[Event], scale: Scale, bounds: Sequence[float]) -> tuple[Any, int]:
    if not values:
        return None, len(events)
    times, divided_by = scale
    scaled = values if times == divided_by else [value * times / divided_by for value in values]
    inside = Counter([bisect_left(bounds, value) for value in scaled])
    total = _scaled(math.fsum(values), scale)
    return [*(inside[place] for place in range(len(bounds) + 1)), total], len(events) - len(values)


def _last(stamped: list[tuple[float, Any]], scale: Scale) -> tuple[Any, int]:
    """The newest; of those at one time the greatest, however they came."""
    usable = [(at, value) for at, value in stamped if _is_usable(value)]
    if not usable:
        return None, len(stamped)
    at, value = max(usable)
    return (at, _scaled(value, scale)), len(stamped) - len(usable)


def _when(time: Callable[[Event], Any] | None, event: Event, now: float) -> float:
    at = time(event) if time else None
    return at.timestamp() if isinstance(at, datetime.datetime) else now


def _distinct(read: Callable[[Event], Any], events: Sequence[Event], now: float) -> tuple[Any, int]:
    values = [value for value in map(read, events) if type(value) in (str, int)]
    identities = [str(value) for value in set(values)]
    return (sketch(identities, now) if identities else None), len(events) - len(values)


def _is_usable(value: Any) -> bool:
    return type(value) in _NUMBERS and -MOST <= value <= MOST


def _numbers(read: Callable[[Event], Any], events: Sequence[Event], least: float | None = None) -> list[float]:
    """The numbers among the values that add up; without those below `least`."""
    values = list(map(read, events))
    if not set(map(type, values)) <= _NUMBERS:
        values = [value for value in values if type(value) in _NUMBERS]
    values = [value for value in values if -MOST <= value <= MOST]
    if least is not None and values and min(values) < least:
        values = [value for value in values if value >= least]
    return values


def _scaled(value: float, scale: Scale) -> float:
    times, divided_by = scale
    return value * times / divided_by
