"""A value's course over the last hours, and what it is at this hour on other days. Pure.

Everything stands on one grid of STEP_SECONDS that ends now, so that one query serves the sparkline, the chart and the
normal. A place on the grid without a finite value is None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.prometheus import Point

STEP_SECONDS = 300.0
WINDOW_SECONDS = 3 * 3600.0
DAYS = 7
LEAST_DAYS = 2
"""With fewer days behind it a value has no normal yet."""
SPARKS = 24
_DAY = round(86400 / STEP_SECONDS)
_WINDOW = round(WINDOW_SECONDS / STEP_SECONDS)
_NEAR = round(1800 / STEP_SECONDS)
"""An hour is half an hour to either side."""
_LAST = DAYS * _DAY + _WINDOW + _NEAR
SPAN_SECONDS = _LAST * STEP_SECONDS
"""How far back the grid reaches."""
_LARGEST = 1e300
_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = "·"


@dataclass(frozen=True)
class Band:
    """What a value is at one time of the day: a tenth of the values lie below `low`, a tenth above `high`."""

    low: float
    middle: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` is as it mostly is, with a margin for chance."""
        margin = max((self.high - self.low) / 2, abs(self.middle) / 10)
        return self.low - margin <= value <= self.high + margin


@dataclass(frozen=True)
class Course:
    """The last WINDOW_SECONDS, oldest first: the times, the values and the bands of the grid. `days`: how many days the
    band of now rests on."""

    times: tuple[float, ...]
    values: tuple[float | None, ...]
    bands: tuple[Band | None, ...]
    days: int

    @property
    def normal(self) -> float | None:
        """What the value is at this hour; None when too little is known."""
        band = self.bands[-1]
        return band.middle if band is not None else None

    @property
    def known(self) -> int:
        """How many values there are."""
        return sum(value is not None for value in self.values)


def course(points: Sequence[Point], now: float) -> Course:
    """What `points` (of a query with step STEP_SECONDS that ended at `now`) tell."""
    grid = _grid(points, now)
    window = range(_LAST - _WINDOW, _LAST + 1)
    others = [_others(grid, place) for place in window]
    return Course(
        times=tuple(now - (_LAST - place) * STEP_SECONDS for place in window),
        values=tuple(grid[place] for place in window),
        bands=tuple(_band(days) for days in others),
        days=len(others[-1]),
    )


def _grid(points: Sequence[Point], now: float) -> list[float | None]:
    grid: list[float | None] = [None] * (_LAST + 1)
    for at, value in points:
        steps = (at - now) / STEP_SECONDS
        place = _LAST + round(steps) if abs(steps) <= _LAST else -1
        if 0 <= place <= _LAST and math.isfinite(value) and abs(value) < _LARGEST:
            grid[place] = value
    return grid


def _others(grid: Sequence[float | None], place: int) -> list[list[float]]:
    """The values of the other days near this time of the day, a list for each day that has any."""
    hours = [range(place - day * _DAY - _NEAR, place - day * _DAY + _NEAR + 1) for day in range(1, DAYS + 1)]
    days = [[value for at in hour if at >= 0 and (value := grid[at]) is not None] for hour in hours]
    return [values for values in days if values]


def _band(days: Sequence[Sequence[float]]) -> Band | None:
    if len(days) < LEAST_DAYS:
        return None
    values = sorted(value for day in days for value in day)
    last = len(values) - 1
    return Band(values[last // 10], values[(last + 1) // 2], values[last - last // 10])


def left_normal(found: Course) -> float | None:
    """When the value left its normal, to STEP_SECONDS; None when it has not, or did before the course begins."""
    left = None
    for at, value, band in zip(reversed(found.times), reversed(found.values), reversed(found.bands), strict=True):
        if value is None:
            continue
        if band is None or band.holds(value):
            return left
        left = at
    return None


def sparkline(values: Sequence[float | None]) -> str:
    """The values in SPARKS block characters; nothing when fewer than two are known."""
    wide = len(values) / SPARKS
    means = [
        _mean(values[int(part * wide) : max(int((part + 1) * wide), int(part * wide) + 1)]) for part in range(SPARKS)
    ]
    known = [mean for mean in means if mean is not None]
    if len(known) < 2:
        return ""
    return "".join(_GAP if mean is None else _block(mean, min(known), max(known)) for mean in means)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _block(value: float, low: float, high: float) -> str:
    if high == low:
        return _BLOCKS[3]
    return _BLOCKS[min(int((value - low) / (high - low) * len(_BLOCKS)), len(_BLOCKS) - 1)]
