"""What the generated rules record of a signal, computed here from its level: equal to Prometheus's own evaluation. Pure.

`evaluate` has the order of the rules. Every series is an array on one grid, `STEP_SECONDS` apart and beginning at a
multiple of it; NaN is no sample (the rules record no NaN and no Inf).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen import sliding
from exporter.rulegen.model import (
    FAST,
    LAG_SECONDS,
    LEAST_DEVIATIONS,
    LEAST_REACH,
    LEAST_UNIT,
    MEMORY_SECONDS,
    OF_EXPECTED,
    OF_WEEK,
    OTHER_SIDE,
    PAST_KEPT_SECONDS,
    PAST_SECONDS,
    STEP_SECONDS,
    WEEK_SECONDS,
    Model,
    Sensitivity,
)

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Server:
    """How the Prometheus at hand evaluates.

    `closed`: a range has its left edge's sample too, which is so in 2.x where evaluations and samples fall together.
    `past_first`: what summarises weeks is there for the level's evaluation at the same instant; rules of a running
    server fall together in no instant, and then it is there for the next.
    """

    closed: bool = False
    past_first: bool = False


LIVE = Server()


@dataclass(frozen=True)
class Reach:
    """How far up and down something may be, in the metric's unit."""

    up: Values
    down: Values


@dataclass(frozen=True)
class Evaluation:
    """The recorded series, each on the level's grid; `fast` is None where no fast level was given."""

    normal: Values
    upper: Values
    lower: Values
    above: Values
    """How far the level is above the normal, 1 at the band's upper edge; below 0 where it is beneath."""
    below: Values
    """The same downwards."""
    fast: Values | None
    """How far the fast level is below the normal, 1 at its own band's edge."""

    @property
    def score(self) -> Values:
        """`signal:score` of a signal whose direction is both."""
        score: Values = np.where(self.above >= 0, self.above, self.below)
        return score


class _Past(Protocol):
    """What a rule of the slow group makes of a series, at each of its evaluations."""

    def __call__(self, values: Values, ends: NDArray[np.int64]) -> Values: ...


def evaluate(level: Values, start: int, model: Model, server: Server = LIVE, fast: Values | None = None) -> Evaluation:
    """The rules over a `level` whose first place is at `start` (Unix seconds)."""
    slow = _Slow(start, len(level), server)
    expected = _expected(level, model, slow)
    unit = _unit(expected, model)
    reaches = [
        _reach((level - forecast) / unit, unit, forecast, model.sensitivity, slow) for forecast in expected.values()
    ]
    normal, band = _combined(list(expected.values()), reaches)
    quick = None if fast is None else (normal - fast) / _fast_reach(fast, normal, unit, slow)
    return Evaluation(
        normal,
        normal + band.up,
        normal - band.down,
        (level - normal) / band.up,
        (normal - level) / band.down,
        None if quick is None else np.maximum(quick, 0.0),
    )


@dataclass(frozen=True)
class _Slow:
    """The group that summarises weeks, every `PAST_SECONDS` since the epoch."""

    start: int
    size: int
    server: Server

    def samples(self, seconds: int) -> int:
        """How many samples a range of this length has."""
        return seconds // STEP_SECONDS + self.server.closed

    def held(self, rule: _Past, values: Values) -> Values:
        """`last_over_time` over what a rule recorded, at each place of the grid."""
        every = PAST_SECONDS // STEP_SECONDS
        first = -(self.start // STEP_SECONDS) % every
        ends = np.arange(first, self.size, every, dtype=np.int64)
        recorded = rule(values, ends)
        had = np.flatnonzero(~np.isnan(recorded))
        places = np.arange(self.size) - (not self.server.past_first)
        newest = np.searchsorted(ends[had], places, side="right") - 1
        age = places + (not self.server.past_first) - ends[had][np.maximum(newest, 0)] if len(had) else places
        kept = (newest >= 0) & (age < self.samples(PAST_KEPT_SECONDS))
        return np.where(kept, recorded[had][np.maximum(newest, 0)] if len(had) else np.nan, np.nan)

    def reach(self, deviation: Values, sensitivity: Sensitivity) -> Reach:
        """`signal:deviation:up` and `:down`, each at least `OTHER_SIDE` of the other."""
        width, lag = self.samples(MEMORY_SECONDS), LAG_SECONDS // STEP_SECONDS

        def enough(found: Values, ends: NDArray[np.int64]) -> Values:
            known = sliding.count(deviation, width, ends - lag) >= LEAST_DEVIATIONS
            return np.where(known, np.maximum(found, 0.0), np.nan)

        def highest(values: Values, ends: NDArray[np.int64]) -> Values:
            return enough(sliding.high_quantile(values, sensitivity.quantile, width, ends - lag), ends)

        up, down = self.held(highest, deviation), self.held(highest, -deviation)
        return Reach(np.maximum(up, OTHER_SIDE * down), np.maximum(down, OTHER_SIDE * up))


def _expected(level: Values, model: Model, slow: _Slow) -> dict[str, Values]:
    """`signal:expected`, by the label `model`."""
    width = slow.samples(WEEK_SECONDS)
    week = slow.held(lambda values, ends: sliding.mean(values, width, ends), level)
    if not model.offsets:
        return {"week": week}
    earlier = np.stack([sliding.before(level, seconds // STEP_SECONDS) for seconds in model.offsets])
    return {"season": sliding.median(earlier), "week": week}


def _unit(expected: dict[str, Values], model: Model) -> Values:
    """`signal:unit`: what deviations are measured in. Counts vary as the root of what is expected (Poisson)."""
    if model.kind == "gauge":
        return np.ones_like(expected["week"])
    season = expected.get("season", expected["week"])
    unit: Values = np.sqrt(np.maximum(season + OF_WEEK * expected["week"], LEAST_UNIT))
    return unit


def _reach(deviation: Values, unit: Values, expected: Values, sensitivity: Sensitivity, slow: _Slow) -> Reach:
    """`signal:reach`, by the label `side`."""
    own, least = slow.reach(deviation, sensitivity), OF_EXPECTED * np.abs(expected) + LEAST_REACH
    return Reach(sensitivity.factor * (own.up * unit + least), sensitivity.factor * (own.down * unit + least))


def _combined(expected: list[Values], reaches: list[Reach]) -> tuple[Values, Reach]:
    """`signal:normal` and `signal:band`: forecasts weigh by the inverse of their variance."""
    widths = [reach.up + reach.down for reach in reaches]
    normal = _total([one / width**2 for one, width in zip(expected, widths, strict=True)]) / _total(
        [1 / width**2 for width in widths]
    )
    weight = _total([1 / width for width in widths])
    up = weight / _total([1 / (reach.up * width) for reach, width in zip(reaches, widths, strict=True)])
    down = weight / _total([1 / (reach.down * width) for reach, width in zip(reaches, widths, strict=True)])
    return normal, Reach(up, down)


def _total(parts: list[Values]) -> Values:
    """`sum without (model)`: of those that there are, NaN where there is none."""
    rows = np.stack(parts)
    missing = np.isnan(rows)
    return np.where(missing.all(axis=0), np.nan, np.where(missing, 0.0, rows).sum(axis=0))


def _fast_reach(fast: Values, normal: Values, unit: Values, slow: _Slow) -> Values:
    """How far the fast level may be below the normal."""
    return _reach((fast - normal) / unit, unit, normal, FAST, slow).down
