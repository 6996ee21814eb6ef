"""What the generated rules record of a signal, computed here from its values, equal to Prometheus's own. Pure.

`evaluate` has the order of the rules, and names things as they do. A series is an array on one grid, `STEP` seconds
apart and beginning at a multiple of it; NaN is no sample (`signal:value` has no NaN and no Inf). What is expected and
what summarises weeks is evaluated at every multiple of `FORECAST_STEP` and of `PAST_STEP`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen import sliding
from exporter.rulegen.model import (
    AHEAD,
    DRIFT_SPAN,
    ENOUGH_WEEKS,
    FAINT,
    FAST_QUANTILE,
    FAST_SAMPLES,
    FORECAST_KEPT,
    FORECAST_STEP,
    LEARN,
    LEARN_LAG,
    LEAST_LEARNT,
    LEVEL_SAMPLES,
    OTHER_SIDE,
    PAST_KEPT,
    PAST_STEP,
    RELATIVE,
    STEP,
    STRAY_POWER,
    WEEK,
    WEEKLY_SHARE,
    WHOLE_WEEK,
    YOUNG,
    Model,
)
from exporter.rulegen.sliding import Places, Values

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """How far something may be off, or was, up and down."""

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
class Clock:
    """For each place of a grid: how many seconds ago the clocks of a zone had changed, and by how many seconds."""

    ago: Values
    by: Places


@dataclass(frozen=True)
class Signal:
    """A signal's values, the first at `start` (Unix seconds); where they are learnt from (everywhere if None: neither
    holidays nor planned work), and the clocks that people live by (always the same if None)."""

    values: Values
    start: int
    learnt: Mask | None = None
    clock: Clock | None = None


def evaluate(signal: Signal, model: Model) -> Evaluation:
    """The rules over a signal."""
    times = _Times(signal.start, len(signal.values))
    level = _mean(signal.values, LEVEL_SAMPLES)
    learnt = level if signal.learnt is None else np.where(signal.learnt, level, np.nan)
    week = sliding.mean(learnt, WEEK // STEP, times.pasts)
    seen = _Seen(signal, level, learnt, times.expected(times.latest(week)))
    expected = _expected(seen, week, times, model)
    normal = times.held(expected.forecast)
    upper, lower = normal + times.held(expected.reach.up), normal - times.held(expected.reach.down)
    return Evaluation(
        level,
        normal,
        upper,
        lower,
        (level - normal) / (upper - normal),
        (normal - level) / (normal - lower),
        _fast_score(seen, expected, normal, times, model) if model.kind == "count" else np.full_like(level, np.nan),
        times.latest(_drift(_whole_week(learnt, times.pasts))),
        times.latest(week),
    )


class _Times:
    """When each group of rules is evaluated, as places of the grid: `forecasts` and `pasts`."""

    def __init__(self, start: int, size: int) -> None:
        self._places = np.arange(size)
        self.forecasts = self._every(FORECAST_STEP, start)
        self.pasts = self._every(PAST_STEP, start)

    def _every(self, step: int, start: int) -> Places:
        return np.arange(-(start // STEP) % (step // STEP), len(self._places), step // STEP)

    def expected(self, values: Values) -> Values:
        """What the grid has at each evaluation of what is expected."""
        return values[self.forecasts]

    def held(self, forecast: Values) -> Values:
        """The newest of what is expected, at each place of the grid."""
        return _newest(forecast, self.forecasts, self._places, FORECAST_KEPT)

    def latest(self, recorded: Values) -> Values:
        """The newest of what summarises weeks, at each place of the grid."""
        return _newest(recorded, self.pasts, self._places, PAST_KEPT)

    def learnt(self, recorded: Values) -> Values:
        """The newest of what summarises weeks, at each evaluation of what is expected."""
        return _newest(recorded, self.pasts, self.forecasts, PAST_KEPT)

    def span(self) -> Places:
        """Where the forecasts end that each summary learns from, among the forecasts."""
        every = FORECAST_STEP // STEP
        first = int(self.forecasts[0]) if len(self.forecasts) else 0
        ends: Places = (self.pasts - LEARN_LAG // STEP - first) // every
        return ends


def _newest(recorded: Values, places: Places, wanted: Places, kept: int) -> Values:
    """`last_over_time`, over `kept` seconds, of what was recorded at some `places` of the grid, at those `wanted`."""
    had = np.flatnonzero(~np.isnan(recorded))
    if not len(had):
        return np.full(len(wanted), np.nan)
    newest = np.searchsorted(places[had], wanted, side="right") - 1
    age = wanted - places[had][newest]
    return np.where((newest >= 0) & (age < kept // STEP), recorded[had][newest], np.nan)


@dataclass(frozen=True)
class _Seen:
    """A signal, its level and what of that is learnt from, on the grid; `week` where what is expected is evaluated."""

    signal: Signal
    level: Values
    learnt: Values
    week: Values


@dataclass(frozen=True)
class _Expected:
    """The group of rules about what is expected, at each of its evaluations."""

    unit: Values
    forecast: Values
    reach: Sides


def _mean(values: Values, samples: int) -> Values:
    return sliding.mean(values, samples, np.arange(len(values)))


def _expected(seen: _Seen, week: Values, times: _Times, model: Model) -> _Expected:
    unit, forecast, stray = (_of_two if model.lookbacks else _of_the_week)(seen, times, model)
    factor, least = _factor(seen.level, week, times.pasts, model), _least(forecast, model.sensitivity.factor)
    up, down = (times.learnt(factor * side) * unit + least for side in (stray.up, stray.down))
    return _Expected(unit, forecast, Sides(up, down))


def _of_the_week(seen: _Seen, times: _Times, model: Model) -> tuple[Values, Values, Sides]:
    """The unit, the forecast and how far it strayed, where no hours are looked back to."""
    unit = _unit((1 + WEEKLY_SHARE) * seen.week, model)
    deviation = (times.expected(seen.learnt) - seen.week) / unit
    stray, enough = _stray(times, deviation, model.sensitivity.quantile), _enough(times, deviation)
    known = Sides(np.where(enough, stray.up, np.nan), np.where(enough, stray.down, np.nan))
    return unit, np.where(np.isnan(times.learnt(known.up)), np.nan, seen.week), known


def _of_two(seen: _Seen, times: _Times, model: Model) -> tuple[Values, Values, Sides]:
    """The same of two forecasts: this hour on other days and weeks, and the week."""
    learnt, season = times.expected(seen.learnt), _season(seen, times.forecasts, model)
    unit = _unit(season + WEEKLY_SHARE * seen.week, model)
    week, hour = (_stray(times, (learnt - one) / unit, model.sensitivity.quantile) for one in (seen.week, season))
    share = 1 / (1 + ((hour.up + hour.down + FAINT) / (week.up + week.down + FAINT)) ** 2)
    share = np.where(_enough(times, learnt - season), share, np.nan)
    stray = Sides(share * hour.up + (1 - share) * week.up, share * hour.down + (1 - share) * week.down)
    return unit, seen.week + times.learnt(share) * (season - seen.week), stray


def _least(forecast: Values, factor: float) -> Values:
    """How far a band reaches at least."""
    return round(factor * RELATIVE, 6) * np.abs(forecast) + FAINT


def _season(seen: _Seen, places: Places, model: Model) -> Values:
    """`signal:season`: the median of the hours that the model looks back to, by the clock on the wall."""
    clock, rows = seen.signal.clock, []
    for back in model.lookbacks:
        read = places - (back - AHEAD) // STEP
        if clock is not None and back % WEEK == 0:
            read = read + np.where(clock.ago < back, clock.by, 0)[places] // STEP
        rows.append(np.where(read >= 0, seen.learnt[np.maximum(read, 0)], np.nan))
    hours = np.stack(rows)
    if model.weeks_outvote:
        is_week = np.array([back % WEEK == 0 for back in model.lookbacks])
        weeks = np.count_nonzero(~np.isnan(hours[is_week]), axis=0)
        hours[np.ix_(~is_week, (weeks > 0) & (weeks < ENOUGH_WEEKS))] = np.nan
    return sliding.median(hours)


def _unit(mean: Values, model: Model) -> Values:
    """`signal:unit`: what deviations are measured in."""
    if model.kind == "gauge":
        return np.ones_like(mean)
    unit: Values = np.maximum(mean, FAINT) ** STRAY_POWER
    return unit


def _factor(level: Values, week: Values, places: Places, model: Model) -> Values:
    """`signal:factor`: wider while there is nothing from a week ago."""
    factor = model.sensitivity.factor
    is_old = sliding.count(level, PAST_STEP // STEP, places - (WEEK - PAST_STEP) // STEP) > 0
    return np.where(np.isnan(week), np.nan, np.where(is_old, factor, round(factor * YOUNG[model.kind], 4)))


def _stray(times: _Times, deviation: Values, quantile: float) -> Sides:
    """How far up and down deviations went, each at least `OTHER_SIDE` of the other."""
    width, ends = LEARN // FORECAST_STEP, times.span()
    up, down = (np.maximum(sliding.high_quantile(one, quantile, width, ends), 0.0) for one in (deviation, -deviation))
    return Sides(np.maximum(up, OTHER_SIDE * down), np.maximum(down, OTHER_SIDE * up))


def _enough(times: _Times, deviation: Values) -> Mask:
    """Nothing is told of the deviations of less than two days."""
    early = times.span() - LEAST_LEARNT // FORECAST_STEP
    return sliding.count(deviation, WEEK // FORECAST_STEP, early) > 0


def _fast_score(seen: _Seen, expected: _Expected, normal: Values, times: _Times, model: Model) -> Values:
    values = seen.signal.values
    whole = sliding.count(values, FAST_SAMPLES, np.arange(len(values))) >= FAST_SAMPLES
    fast = np.where(whole, _mean(values, FAST_SAMPLES), np.nan)
    deviation = (times.expected(fast) - expected.forecast) / expected.unit
    if seen.signal.learnt is not None:
        deviation = np.where(seen.signal.learnt[times.forecasts], deviation, np.nan)
    factor = model.sensitivity.fast_factor
    stray = factor * _stray(times, deviation, FAST_QUANTILE).down
    stray = times.learnt(np.where(_enough(times, deviation), stray, np.nan))
    reach = stray * expected.unit + _least(expected.forecast, factor)
    return np.maximum((normal - fast) / times.held(reach), 0.0)


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
