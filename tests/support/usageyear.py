"""A year of the usage of a made-up product: what a year does to twenty metrics, and twelve incidents that are real.

Each metric has a daily course, another on weekends, days that differ by 3 %, a slow noise of 3 % besides Poisson's,
growth of -10 to 80 % in the year, and holidays that cost 20 to 70 %. The year has two changes of the clocks, a week of
data that is missing, and a price that doubles.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen.backtest import Past, Span
from exporter.rulegen.episodes import Incident
from exporter.rulegen.history import Grid, History
from exporter.rulegen.model import STEP
from exporter.rulegen.moments import Moments, moments
from exporter.rulegen.settings import Signals

ZONE = "Europe/Berlin"
BEGINS = datetime.datetime(2025, 9, 1, tzinfo=ZoneInfo(ZONE))
DAYS, LEARN_DAYS = 365, 43
METRICS, INCIDENTS = 20, 12
PER_DAY = 86_400 // STEP
REVENUE, DOUBLED = (4, 9, 14, 19), (4, 9)
"""Which metrics are revenue, and whose price doubles."""
KINDS = ("drop", "outage", "surge", "drop", "outage", "drop")
QUIETEST = 40.0
"""Events in five minutes below which nothing of note can happen to them."""
MIDNIGHT = 4 * 3600
"""Seconds in which one kind of day becomes another: no town goes to bed at the stroke of twelve."""
HOLIDAYS = (
    "2025-10-03",
    {"from": "2025-12-24", "to": "2025-12-26"},
    "2025-12-31",
    "2026-01-01",
    "2026-04-03",
    "2026-04-06",
    "2026-05-01",
    "2026-05-14",
    "2026-05-25",
)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Year:
    """A file of signals, its past, the time that is judged, and what really happened."""

    file: Signals
    past: Past
    span: Span
    incidents: Sequence[Incident]


@dataclass(frozen=True)
class _Event:
    metric: int
    kind: str
    first: int
    samples: int
    factor: float


def file(sensitivity: str | float = "quiet") -> Signals:
    """The signals of all metrics."""
    signals = [
        {
            "name": _name(place),
            "query": _name(place),
            "kind": "count",
            "sensitivity": sensitivity,
            **({"outage": "none", "unit": "EUR/s"} if place in REVENUE else {}),
        }
        for place in range(METRICS)
    ]
    return Signals.model_validate({"timezone": ZONE, "holidays": HOLIDAYS, "unless": [], "signals": signals})


def _name(place: int) -> str:
    return f"revenue-{place}" if place in REVENUE else f"usage-{place}"


def year(seed: int, signals: Signals) -> Year:
    """A year by chance, the same for the same seed."""
    chance = np.random.default_rng(seed)
    start = BEGINS.timestamp()
    grid = Grid.of(start - LEARN_DAYS * 86_400, start + DAYS * 86_400)
    at = moments(signals, grid.times())
    first = grid.place(start)
    missing = first + int(chance.integers(60, 300)) * PER_DAY
    rates = [_rate(chance, at) for _ in range(METRICS)]
    doubled = {place: first + int(chance.integers(60, 330)) * PER_DAY for place in DOUBLED}
    events = list(_events(chance, rates, at, first, missing))
    series: dict[str, History] = {}
    for place, rate in enumerate(rates):
        values = _measured(chance, place, rate, events, doubled)
        values[missing : missing + 7 * PER_DAY] = np.nan
        series[_name(place)] = {(): values}
    hidden = np.zeros(grid.size, dtype=np.bool_)
    incidents = [_incident(one, grid) for one in sorted(events, key=lambda one: one.first)]
    return Year(signals, Past(grid, series, hidden), Span(start, start + DAYS * 86_400), incidents)


def _rate(chance: np.random.Generator, at: Moments) -> Values:
    """The events expected in each five minutes."""
    hour, day = at.local % 86_400 / 3600, (at.local // 86_400).astype(np.int64)
    course = 1 + chance.uniform(0.4, 0.9) * _wave(hour, 24, chance.uniform(12, 16))
    course = np.maximum(course + chance.uniform(0, 0.25) * _wave(hour, 12, chance.uniform(0, 24)), 0.05)
    weekend = np.isin((day + 4) % 7, (0, 6))
    days = np.exp(chance.normal(0, 0.03, int(day[-1] - day[0]) + 1))[day - day[0]]
    growth = (1 + chance.uniform(-0.1, 0.8)) ** (np.arange(len(day)) / (365 * PER_DAY))
    days *= np.where(weekend, chance.uniform(0.35, 1.2), 1.0) * np.where(at.holiday, chance.uniform(0.3, 0.8), 1.0)
    mean = np.exp(chance.uniform(np.log(20), np.log(2000)))
    found: Values = mean * course * _blended(days) * growth * np.exp(0.03 * _slow(chance, len(day)))
    return found


def _blended(days: Values) -> Values:
    """One kind of day goes over into the next around midnight."""
    width = MIDNIGHT // STEP
    summed = np.cumsum(np.pad(days, (width // 2 + 1, width - width // 2), mode="edge"))
    found: Values = (summed[width:] - summed[:-width])[: len(days)] / width
    return found


def _wave(hour: Values, period: float, highest: float) -> Values:
    return np.cos((hour - highest) / period * 2 * np.pi)


def _slow(chance: np.random.Generator, size: int) -> Values:
    """Noise of deviation 1 that is forgotten in an hour."""
    kept = np.exp(-np.arange(60) / 12.0)
    found: Values = np.convolve(chance.normal(0, 1, size + 59), kept / np.sqrt((kept * kept).sum()), "valid")
    return found


def _events(
    chance: np.random.Generator, rates: Sequence[Values], at: Moments, first: int, missing: int
) -> Iterator[_Event]:
    """Twelve, not on holidays, not in the hole or just after it, not where nothing goes on, three weeks apart."""
    taken: list[_Event] = []
    while len(taken) < INCIDENTS:
        event = _event(chance, KINDS[len(taken) % len(KINDS)], first)
        stretch = slice(event.first, event.first + event.samples)
        near = any(one.metric == event.metric and abs(one.first - event.first) < 21 * PER_DAY for one in taken)
        in_hole = missing - 36 < event.first < missing + 8 * PER_DAY
        is_revenue = event.kind == "outage" and event.metric in REVENUE
        is_still = rates[event.metric][stretch].min() < QUIETEST
        if not (near or in_hole or is_revenue or is_still or at.holiday[event.first - 12 : stretch.stop].any()):
            taken.append(event)
            yield event


def _event(chance: np.random.Generator, kind: str, first: int) -> _Event:
    metric, place = int(chance.integers(METRICS)), first + int(chance.integers(5 * PER_DAY, 355 * PER_DAY))
    if kind == "outage":
        return _Event(metric, kind, place, int(chance.integers(6, 25)), 0.0)
    factor = chance.uniform(0.2, 0.5) if kind == "drop" else chance.uniform(2.0, 3.5)
    return _Event(metric, kind, place, int(chance.integers(24, 73)), float(factor))


def _measured(
    chance: np.random.Generator, place: int, rate: Values, events: Sequence[_Event], doubled: Mapping[int, int]
) -> Values:
    """Events per second, or revenue in five minutes."""
    lived = rate.copy()
    for one in events:
        if one.metric == place:
            lived[one.first : one.first + one.samples] *= one.factor
    counted = chance.poisson(lived).astype(np.float64)
    if place not in REVENUE:
        return counted / STEP
    price = np.full(len(rate), 19.9)
    price[doubled.get(place, len(rate)) :] *= 2
    revenue: Values = counted * price * np.exp(chance.normal(0, 0.02, len(rate)))
    return revenue / STEP


def _incident(event: _Event, grid: Grid) -> Incident:
    start = grid.start + (event.first - 1) * STEP
    return Incident(start, start + event.samples * STEP, _name(event.metric), f"{event.kind} to {event.factor:.0%}")
