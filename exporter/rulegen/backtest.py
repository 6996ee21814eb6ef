"""What a file of signals would have told of a past that was read, held against what really happened. Pure.

Episodes count by their begin: what fired before the time that is judged was told before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exporter.rulegen import conditions, told
from exporter.rulegen.conditions import Watched
from exporter.rulegen.episodes import Episode, Incident, Judged, judge
from exporter.rulegen.history import Grid, History
from exporter.rulegen.model import BUDGET, DAY, LEARN_LAG, QUIET, STANDARD, STEP, WEEK
from exporter.rulegen.moments import Mask, Moments, moments
from exporter.rulegen.settings import Sensitivity, Signal, Signals
from exporter.rulegen.signals import DRIFT_SHADOW, sensitivity_of
from exporter.rulegen.told import Teller, Told

WARM_UP = 4 * WEEK + 2 * WEEK + LEARN_LAG + DAY
"""Seconds of history before the time that is judged: the oldest day that a normal looks back to, from the beginning of
what its band is learnt from."""
TELLING = DRIFT_SHADOW + 2 * DAY
"""What happened longer before doesn't change what is told: no alert waits, is kept or hides another for so long."""
GRACE = 3600.0
"""An episode that begins within an hour after an incident is about it: a level is the mean of an hour."""
FACTORS = (0.8, 0.9, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0)
HOLDS = (0.0, 900.0, 1800.0, 2700.0, 3600.0)


@dataclass(frozen=True)
class Span:
    """The time that is judged (Unix seconds)."""

    start: float
    end: float

    def has(self, at: float) -> bool:
        """Whether an instant lies in it."""
        return self.start <= at <= self.end


@dataclass(frozen=True)
class Past:
    """What was read: the series of each signal, by its name, on one grid; and where any of the file's `unless` returned
    something. Values are finite, or NaN where there is none."""

    grid: Grid
    signals: Mapping[str, History]
    hidden: Mask


@dataclass(frozen=True)
class Trial:
    """How a signal would have done with a factor of standard's band and a `hold` (seconds). `sensitivity` is what the
    file would have to say for that; None where it can't."""

    factor: float
    hold: float
    sensitivity: Sensitivity | None
    judged: Judged


@dataclass(frozen=True)
class Advice:
    """The sensitivity that finds most within a budget; where none `fits`, the one that is told least."""

    trial: Trial
    fits: bool


@dataclass(frozen=True)
class Backtested:
    """A signal's past: its series, what was told of it and which incidents were its own, in the time that is judged.

    `judged` has every alert but SignalGone, which is about data that is missing and true by itself.
    """

    signal: Signal
    series: tuple[Watched, ...]
    told: tuple[Told, ...]
    incidents: tuple[Incident, ...]
    judged: Judged
    by_alert: Mapping[str, Judged]
    trials: tuple[Trial, ...]
    advice: Advice | None


def backtest(
    file: Signals,
    past: Past,
    span: Span,
    incidents: Sequence[Incident],
    budget: float = BUDGET,
    factors: Sequence[float] = FACTORS,
) -> list[Backtested]:
    """Every signal of the file that has a past, in the file's order. `budget`: false alarms per series and week. Other
    sensitivities are tried for these `factors`; without any there is no advice."""
    at = moments(file, past.grid.times())
    return [
        _Case(signal, file, past, at, span, incidents).backtested(budget, factors)
        for signal in file.signals
        if past.signals.get(signal.name)
    ]


class _Case:
    """One signal, with the same incidents and time for every setting that is tried."""

    def __init__(
        self, signal: Signal, file: Signals, past: Past, at: Moments, span: Span, incidents: Iterable[Incident]
    ) -> None:
        self._signal, self._file, self._at, self._span = signal, file, at, span
        self._past = past.signals[signal.name]
        self._first = max(0, past.grid.place(span.start - TELLING))
        self._around = conditions.circumstances(signal, file, at, past.hidden).since(self._first)
        self._incidents = tuple(one for one in incidents if one.signal in ("", signal.name) and span.has(one.start))
        self._series = self._watched(signal)
        self._seconds = sum(self._judged_seconds(one) for one in self._series)

    def backtested(self, budget: float, factors: Sequence[float]) -> Backtested:
        """The signal as it is, and with other sensitivities."""
        found = self._within(self._teller(self._signal).told())
        trials = tuple(self._trials(factors)) if factors else ()
        settable = [one for one in trials if one.sensitivity is not None]
        return Backtested(
            self._signal,
            self._series,
            tuple(found),
            self._incidents,
            self._judge(found),
            {name: self._judge([one for one in found if one.alert == name], name) for name in _names(found)},
            trials,
            advice(settable, self._signal.sensitivity, budget) if settable else None,
        )

    def _watched(self, signal: Signal) -> tuple[Watched, ...]:
        return tuple(
            conditions.watched(signal, self._file, labels, values, self._at) for labels, values in self._past.items()
        )

    def _judged_seconds(self, one: Watched) -> float:
        """How long something could have been told of a series."""
        known = ~np.isnan(one.recorded.normal) & (self._at.times >= self._span.start)
        return float(np.count_nonzero(known)) * STEP

    def _within(self, found: Iterable[Told]) -> list[Told]:
        return [
            replace(one, episodes=tuple(episode for episode in one.episodes if self._span.has(episode.start)))
            for one in found
        ]

    def _judge(self, found: Iterable[Told], alert: str = "") -> Judged:
        episodes = [episode for one in found if alert or one.alert != told.GONE for episode in one.episodes]
        return judge(episodes, self._incidents, self._seconds, GRACE)

    def _trials(self, factors: Sequence[float]) -> Iterable[Trial]:
        standard, quiet = (self._signal.model_copy(update={"sensitivity": name}) for name in ("standard", "quiet"))
        series = self._recorded(standard)
        for factor in factors:
            teller = Teller(standard, series, self._around, factor / STANDARD.factor)
            for hold in HOLDS:
                judged = self._judge(self._within(teller.told(hold)))
                yield Trial(factor, hold, _sensitivity(factor, hold), judged)
        judged = self._judge(self._within(self._teller(quiet).told()))
        yield Trial(QUIET.factor, QUIET.hold, "quiet", judged)

    def _teller(self, signal: Signal) -> Teller:
        return Teller(signal, self._recorded(signal), self._around)

    def _recorded(self, signal: Signal) -> list[Watched]:
        is_its_own = sensitivity_of(signal) == sensitivity_of(self._signal)
        series = self._series if is_its_own else self._watched(signal)
        return [conditions.since(one, self._first) for one in series]


def _names(found: Iterable[Told]) -> list[str]:
    return list(dict.fromkeys(one.alert for one in found))


def _sensitivity(factor: float, hold: float) -> Sensitivity | None:
    if hold != STANDARD.hold:
        return None
    return "standard" if factor == STANDARD.factor else factor


def advice(trials: Sequence[Trial], now: Sensitivity, budget: float) -> Advice:
    """Of those within the budget the one that finds most, of equal ones the least noisy where there are incidents;
    without incidents the most sensitive, which tells most. Of equals the present one, else the nearest to standard."""
    fitting = [one for one in trials if one.judged.noise <= budget]
    if not fitting:
        return Advice(min(trials, key=lambda one: one.judged.noise), fits=False)
    has_incidents = bool(fitting[0].judged.incidents)
    sign = -1 if has_incidents else 1

    def worth(one: Trial) -> tuple[int, float, bool, float]:
        apart = abs(one.factor - STANDARD.factor)
        return one.judged.found, sign * one.judged.noise, one.sensitivity == now, -apart

    return Advice(max(fitting, key=worth), fits=True)


def all_of(found: Iterable[Backtested]) -> Judged:
    """All signals together."""
    total = Judged(0, 0, 0, 0, (), 0.0)
    for one in found:
        total += one.judged
    return total


def is_true(episode: Episode, incidents: Iterable[Incident]) -> bool:
    """Whether an episode is about one of the incidents."""
    return any(judge([episode], [one], 0.0, GRACE).found for one in incidents)
