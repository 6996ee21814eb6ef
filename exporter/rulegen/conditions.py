"""When a signal's alerts are true, over what the rules record of its past: the expressions of `signals.py`. Pure.

An array has a value for each evaluation on the grid. NaN compares with nothing, as in PromQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from exporter.rulegen import evaluate, sliding
from exporter.rulegen.evaluate import Evaluation
from exporter.rulegen.history import Labels
from exporter.rulegen.model import DAY, LEVEL_SAMPLES, PAST_KEPT, STAY, STEP, WEEK
from exporter.rulegen.moments import Mask, Moments, Times
from exporter.rulegen.settings import Signal, Signals
from exporter.rulegen.signals import (
    DRIFT,
    DRIFT_HOLD,
    DRIFT_SHADOW,
    GONE_HOLD,
    HOLIDAY_SHARE,
    HOUR_SAMPLES,
    STOPPED_SETTLE,
    STOPPED_SHADOW,
    STOPPED_STAY,
    SURE,
    least,
    model_of,
    sensitivity_of,
    settling,
    stopped_edge,
)
from exporter.rulegen.sliding import Values


@dataclass(frozen=True)
class Watched:
    """A series of a signal: its labels, its values on the grid, and what the rules record of it."""

    labels: Labels
    values: Values
    recorded: Evaluation


def since(one: Watched, first: int) -> Watched:
    """A series without the evaluations before the `first`."""
    found = {each.name: getattr(one.recorded, each.name)[first:] for each in fields(one.recorded)}
    return Watched(one.labels, one.values[first:], Evaluation(**found))


@dataclass(frozen=True)
class Edge:
    """When a level is told: its score must exceed `score` (1 is the edge of the band) for `hold` seconds, or that of
    ten minutes `fast`."""

    score: float
    hold: float
    fast: float


@dataclass(frozen=True)
class Circumstances:
    """When a signal is worth telling: its outage where `is_open`, its level where `is_calm`, with no holiday or planned
    work for a while; and where it is a holiday."""

    times: Times
    is_open: Mask
    is_calm: Mask
    holiday: Mask

    def since(self, first: int) -> "Circumstances":
        """Without the evaluations before the `first`."""
        return Circumstances(self.times[first:], self.is_open[first:], self.is_calm[first:], self.holiday[first:])


@dataclass(frozen=True)
class Condition:
    """An alert's expression at each evaluation, how far beyond its edge it was, and its `for` and `keep_firing_for` in
    seconds."""

    is_true: Mask
    score: Values
    hold: float
    keep: float


def circumstances(signal: Signal, file: Signals, at: Moments, hidden: Mask) -> Circumstances:
    """The gates of a signal's alerts. `hidden`: where one of the file's `unless` returned something."""
    planned, settle = file.holding(signal.name), settling(signal)
    is_open = at.during(signal.hours) & ~hidden
    is_calm = is_open & ~lasting(at.holiday, settle) & ~at.at_work(planned, settle)
    return Circumstances(at.times, is_open & ~at.at_work(planned, STOPPED_SETTLE), is_calm, at.holiday)


def watched(signal: Signal, file: Signals, labels: Labels, values: Values, at: Moments) -> Watched:
    """What the rules record of a series, whose `values` have neither Inf nor, for what is missing, anything but NaN."""
    course = evaluate.Signal(values, int(at.times[0]), at.learnt(file.holding(signal.name)), at.clock)
    return Watched(labels, values, evaluate.evaluate(course, model_of(signal)))


def edge_of(signal: Signal, score: float = 1.0) -> Edge:
    """The edge that the file sets; with another score, to try it: that of ten minutes goes with its square, as in
    `model.scaled`."""
    return Edge(score, sensitivity_of(signal).hold, score**2)


@dataclass(frozen=True)
class Level:
    """An alert of a level, whose edge can be moved: how far the level is outside on the alert's side, and how far ten
    minutes are (NaN of a gauge); and where it may be told at all."""

    level: Values
    fast: Values
    is_open: Mask

    def at(self, edge: Edge) -> Condition:
        """The alert with this edge."""
        is_true = held(self.level > edge.score, edge.hold) | (self.fast > edge.fast)
        score = np.fmax(self.level / edge.score, self.fast / edge.fast)
        return Condition(is_true & self.is_open, score, 0.0, STAY)


def below(signal: Signal, one: Watched, around: Circumstances, shadow: Mask) -> Level:
    """SignalBelowNormal; not true in the `shadow` of an outage."""
    found = one.recorded
    is_open = _enough(signal, found.normal) & around.is_calm & ~shadow
    return Level(found.below, found.fast_score, is_open)


def above(signal: Signal, one: Watched, around: Circumstances) -> Level:
    """SignalAboveNormal."""
    found = one.recorded
    is_open = _enough(signal, found.level) & around.is_calm
    return Level(found.above, np.full_like(found.level, np.nan), is_open)


def stopped(signal: Signal, one: Watched, around: Circumstances, edge: float = 1.0) -> Condition:
    """SignalStopped; `edge` is the score that must be exceeded."""
    found = one.recorded
    at_once = (
        (one.values == 0) & (found.normal * STEP >= SURE) & (found.fast_score > stopped_edge(sensitivity_of(signal)))
    )
    is_whole = sliding.count(one.values, LEVEL_SAMPLES, np.arange(len(one.values))) >= HOUR_SAMPLES
    in_an_hour = (found.level == 0) & (found.normal * 3600 >= SURE) & (found.below > edge) & is_whole
    is_quiet_day = around.holiday & (found.normal * (HOLIDAY_SHARE * STEP) < SURE)
    is_true = (at_once | in_an_hour) & ~is_quiet_day & _enough(signal, found.normal) & around.is_open
    return Condition(is_true, np.fmax(found.below, found.fast_score) / edge, 0.0, STOPPED_STAY)


def shadow(firing: Mask) -> Mask:
    """Where an outage is told, or was not long ago."""
    return lasting(firing, STOPPED_SHADOW - STEP)


def drifting(signal: Signal, one: Watched) -> Condition:
    """SignalDrifted, whatever else was told; it asks no calendar, for it is about weeks."""
    ratio = one.recorded.drift
    is_true = np.zeros(len(ratio), dtype=np.bool_)
    if signal.direction != "up":
        is_true |= ratio < 1 - DRIFT
    if signal.direction != "down":
        is_true |= ratio > 1 + DRIFT
    is_true = is_true & _enough(signal, one.recorded.normal)
    return Condition(is_true, np.abs(ratio - 1) / DRIFT, DRIFT_HOLD, DAY)


def untold(drift: Condition, one: Watched, below: Mask, above: Mask) -> Condition:
    """SignalDrifted, where for weeks no alert told of too little (`below`) before a fall, of too much before a rise."""
    told = np.where(one.recorded.drift < 1, lasting(below, DRIFT_SHADOW - STEP), lasting(above, DRIFT_SHADOW - STEP))
    return replace(drift, is_true=drift.is_true & ~told)


def gone(series: Sequence[Watched], size: int) -> Condition:
    """SignalGone: not a single series has a value, and in the last week there was one."""
    missing, was_there = np.ones(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    for one in series:
        missing &= np.isnan(one.values)
        was_there |= lasting(~np.isnan(one.recorded.week), WEEK - PAST_KEPT)
    return Condition(missing & was_there, np.full(size, np.nan), GONE_HOLD, 0.0)


def held(is_true: Mask, seconds: float) -> Mask:
    """That it was true at every evaluation of a time, and that there were that many."""
    before = round(seconds / STEP)
    found = np.zeros(len(is_true), dtype=np.bool_)
    places = np.flatnonzero(is_true)
    # of places in their order, one that is `before` further than the one so many earlier has no gap between
    found[places[before:][places[before:] - places[: max(0, len(places) - before)] == before]] = True
    return found


def lasting(is_true: Mask, seconds: float) -> Mask:
    """That it was true at any evaluation of a time."""
    known = np.concatenate(([0], np.cumsum(is_true)))
    places = np.arange(1, len(known))
    found: Mask = known[places] > known[np.maximum(places - round(seconds / STEP) - 1, 0)]
    return found


def _enough(signal: Signal, compared: Values) -> Mask | np.bool_:
    least_told = least(signal)
    return compared >= least_told if least_told is not None else np.True_
