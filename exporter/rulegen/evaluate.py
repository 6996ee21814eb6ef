"""What the generated rules record of a signal, computed here from its values, equal to Prometheus's own. Pure.

`evaluate` has the order of the rules, and names things as they do. A series is an array on one grid, `STEP` seconds
apart and beginning at a multiple of it; NaN is no sample (`signal:value` has no NaN and no Inf).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen import sliding
from exporter.rulegen.model import (
    AHEAD,
    DRIFT_SPAN,
    FAINT,
    FAST_QUANTILE,
    FAST_SAMPLES,
    LEARN,
    LEARN_LAG,
    LEAST_LEARNT,
    LEVEL_SAMPLES,
    LOOKBACKS,
    OTHER_SIDE,
    PAST_KEPT,
    PAST_STEP,
    RELATIVE,
    STEP,
    WEEK,
    WEEKLY_SHARE,
    WHOLE_WEEK,
    YOUNG,
    Model,
)
from exporter.rulegen.sliding import Places, Values

Mask = NDArray[np.bool_]
HOUR = 3600


@dataclass(frozen=True)
class Sides:
    """How far something may be off, up and down."""

    up: Values
    down: Values


@dataclass(frozen=True)
class Evaluation:
    """The recorded series, each on the grid of the values.

    `above` and `below` are how far the level is from its normal, 1 at the edge of the band, and below 0 on the other
    side. `fast_score` is that of ten minutes downwards, of counts only. `drift` is the ratio of the week's mean to that
    of three weeks before. `week` is the newest mean of a week, for as long as it holds.
    """

    level: Values
    normal: Values
    upper: Values
    lower: Values
    above: Values
    below: Values
    fast_score: Values
    drift: Values
    week: Values

    @property
    def score(self) -> Values:
        """`signal:score` of a signal that is watched both ways."""
        return np.where(self.above >= 0, self.above, self.below)


@dataclass(frozen=True)
class Signal:
    """A signal's values, the first at `start` (Unix seconds); where they are learnt from (everywhere if None: neither
    holidays nor planned work), and where the clocks changed in the last four weeks (nowhere if None)."""

    values: Values
    start: int
    learnt: Mask | None = None
    shifted: Mask | None = None


def evaluate(signal: Signal, model: Model) -> Evaluation:
    """The rules over a signal."""
    past = _Past(signal.start, len(signal.values))
    level = _mean(signal.values, LEVEL_SAMPLES)
    learnt = level if signal.learnt is None else np.where(signal.learnt, level, np.nan)
    week = past.recorded(lambda values, ends: sliding.mean(values, WEEK // STEP, ends), learnt)
    expected = _expected(learnt, past.latest(week), model)
    unit = _unit(expected, model)
    slope, factor = _slope(level, signal.shifted), _factor(level, model)
    reaches = []
    for one in expected:
        stray = _stray(past, (learnt - one) / unit, model.sensitivity.quantile)
        least = RELATIVE * np.abs(one) + FAINT
        reaches.append(Sides(*((side * unit + least + slope) * factor for side in (stray.up, stray.down))))
    normal, band = _combined(expected, reaches)
    return Evaluation(
        level,
        normal,
        normal + band.up,
        normal - band.down,
        (level - normal) / band.up,
        (normal - level) / band.down,
        _fast_score(signal, normal, unit, slope, past, model) if model.kind == "count" else np.full_like(level, np.nan),
        past.latest(_drift(past.recorded(_whole_week, learnt))),
        past.latest(week),
    )


class _Past:
    """The group of rules that summarises weeks, evaluated at every multiple of `PAST_STEP`."""

    def __init__(self, start: int, size: int) -> None:
        every = PAST_STEP // STEP
        self._places = np.arange(size)
        self._ends = np.arange(-(start // STEP) % every, size, every)

    def recorded(self, rule: Callable[[Values, Places], Values], values: Values) -> Values:
        """What a rule made of `values`, one for each evaluation of the group."""
        return rule(values, self._ends)

    def latest(self, recorded: Values) -> Values:
        """`last_over_time(...[7h])` of that, at each place of the grid."""
        had = np.flatnonzero(~np.isnan(recorded))
        if not len(had):
            return np.full(len(self._places), np.nan)
        newest = np.searchsorted(self._ends[had], self._places, side="right") - 1
        age = self._places - self._ends[had][newest]
        return np.where((newest >= 0) & (age < PAST_KEPT // STEP), recorded[had][newest], np.nan)


def _mean(values: Values, samples: int) -> Values:
    return sliding.mean(values, samples, np.arange(len(values)))


def _expected(learnt: Values, week: Values, model: Model) -> list[Values]:
    """`signal:expected`, of each model."""
    offsets = [(back - AHEAD) // STEP for back in LOOKBACKS[model.seasonality]]
    if not offsets:
        return [week]
    return [sliding.median(np.stack([sliding.before(learnt, steps) for steps in offsets])), week]


def _unit(expected: Sequence[Values], model: Model) -> Values:
    """`signal:unit`: what deviations are measured in. Counts stray by the root of what is expected (Poisson)."""
    if model.kind == "gauge":
        return np.ones_like(expected[0])
    season, week = expected[0], WEEKLY_SHARE * expected[-1]
    return np.sqrt(np.maximum(_total([season, week]), FAINT))


def _slope(level: Values, shifted: Mask | None) -> Values:
    """`signal:slope`: what an hour makes, for four weeks after the clocks changed."""
    none = level * 0
    if shifted is None:
        return np.zeros_like(level)
    hour = np.abs(sliding.before(level, (WEEK - HOUR) // STEP) - sliding.before(level, (WEEK + HOUR) // STEP))
    return np.where(shifted & ~np.isnan(hour), hour, none)


def _factor(level: Values, model: Model) -> Values:
    """`signal:factor`: wider while there is nothing from a week ago."""
    factor = model.sensitivity.factor
    young = np.where(np.isnan(level), np.nan, round(factor * YOUNG[model.kind], 4))
    return np.where(np.isnan(sliding.before(level, (WEEK - AHEAD) // STEP)), young, factor)


def _stray(past: _Past, deviation: Values, quantile: float) -> Sides:
    """`signal:stray`: how far up and down deviations went, each at least `OTHER_SIDE` of the other."""

    def highest(values: Values, ends: Places) -> Values:
        ends = ends - LEARN_LAG // STEP
        enough = sliding.count(values, LEARN // STEP, ends) >= LEAST_LEARNT
        found = sliding.high_quantile(values, quantile, LEARN // STEP, ends)
        return np.where(enough, np.maximum(found, 0.0), np.nan)

    up, down = past.recorded(highest, deviation), past.recorded(highest, -deviation)
    return Sides(past.latest(np.maximum(up, OTHER_SIDE * down)), past.latest(np.maximum(down, OTHER_SIDE * up)))


def _combined(expected: Sequence[Values], reaches: Sequence[Sides]) -> tuple[Values, Sides]:
    """`signal:normal` and `signal:band`: forecasts weigh by the inverse of their variance."""
    both = [reach.up + reach.down for reach in reaches]
    normal = _total([one / width**2 for one, width in zip(expected, both, strict=True)])
    normal = normal / _total([1 / width**2 for width in both])
    weight = _total([1 / width for width in both])
    up = weight / _total([1 / (reach.up * width) for reach, width in zip(reaches, both, strict=True)])
    down = weight / _total([1 / (reach.down * width) for reach, width in zip(reaches, both, strict=True)])
    return normal, Sides(up, down)


def _total(parts: Sequence[Values]) -> Values:
    """`sum without (model)`: of those that there are, NaN where there is none."""
    rows = np.stack(parts)
    missing = np.isnan(rows)
    return np.where(missing.all(axis=0), np.nan, np.where(missing, 0.0, rows).sum(axis=0))


def _fast_score(signal: Signal, normal: Values, unit: Values, slope: Values, past: _Past, model: Model) -> Values:
    places = np.arange(len(signal.values))
    whole = sliding.count(signal.values, FAST_SAMPLES, places) >= FAST_SAMPLES
    fast = np.where(whole, _mean(signal.values, FAST_SAMPLES), np.nan)
    deviation = (fast - normal) / unit
    learnt = deviation if signal.learnt is None else np.where(signal.learnt, deviation, np.nan)
    stray = _stray(past, learnt, FAST_QUANTILE).down
    reach = model.sensitivity.fast_factor * (stray * unit + RELATIVE * np.abs(normal) + FAINT + slope)
    return np.maximum((normal - fast) / reach, 0.0)


def _whole_week(learnt: Values, ends: Places) -> Values:
    """`signal:whole_week`: the mean of a week of which enough is known."""
    is_whole = sliding.count(learnt, WEEK // STEP, ends) >= WHOLE_WEEK
    return np.where(is_whole, sliding.mean(learnt, WEEK // STEP, ends), np.nan)


def _drift(week: Values) -> Values:
    """`signal:drift:ratio`, for each evaluation of the group; `week` are the whole ones."""
    then = np.full_like(week, np.nan)
    for late in range(PAST_KEPT // PAST_STEP + 1):
        then = np.where(np.isnan(then), sliding.before(week, DRIFT_SPAN // PAST_STEP + late), then)
    return week / np.where(then == 0, np.nan, then)
