"""What a rule takes of a group of events: sums, histograms, last values, identities. Pure."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from exporter.usage.contract import Event
from exporter.usage.kinds import sketch
from exporter.usage.settings import UsageRule

Measure = Callable[[Sequence[Event], float], tuple[Any, int]]
"""(events, now) -> (the delta, or None where no event had a usable value; how many had none)."""
_NUMBERS = frozenset({int, float})


def measure_of(rule: UsageRule, read: Callable[[Event], Any]) -> Measure:
    """What `rule` takes; `read` reads the field."""
    scale = rule.value.scale if rule.value else (1, 1)
    if rule.kind == "sum":
        return lambda events, _: _sum(_numbers(read, events, scale, least=0.0), events)
    if rule.kind == "histogram":
        return lambda events, _: _histogram(_numbers(read, events, scale), events, rule.bounds)
    if rule.kind == "last":
        return lambda events, now: _last(_numbers(read, events, scale), events, now)
    return lambda events, now: _distinct(read, events, now)


def _sum(values: list[float], events: Sequence[Event]) -> tuple[Any, int]:
    return (math.fsum(values) if values else None), len(events) - len(values)


def _histogram(values: list[float], events: Sequence[Event], bounds: Sequence[float]) -> tuple[Any, int]:
    if not values:
        return None, len(events)
    inside = Counter([bisect_left(bounds, value) for value in values])
    return [*(inside[place] for place in range(len(bounds) + 1)), math.fsum(values)], len(events) - len(values)


def _last(values: list[float], events: Sequence[Event], now: float) -> tuple[Any, int]:
    return ((now, values[-1]) if values else None), len(events) - len(values)


def _distinct(read: Callable[[Event], Any], events: Sequence[Event], now: float) -> tuple[Any, int]:
    values = [value for value in map(read, events) if type(value) in (str, int)]
    identities = [str(value) for value in set(values)]
    return (sketch(identities, now) if identities else None), len(events) - len(values)


def _numbers(
    read: Callable[[Event], Any], events: Sequence[Event], scale: tuple[int, int], least: float | None = None
) -> list[float]:
    """The numbers among the values, in the metric's unit; without those below `least`."""
    values = list(map(read, events))
    if not set(map(type, values)) <= _NUMBERS:
        values = [value for value in values if type(value) in _NUMBERS]
    if least is not None and values and min(values) < least:
        values = [value for value in values if value >= least]
    times, divided_by = scale
    return values if times == divided_by else [value * times / divided_by for value in values]
