"""What the rules would find if it happened: drops, outages, surges and drifts put into a signal's own past. Pure.

What is injected isn't learnt from, so that many fit into one past and each is met as the only one: a band learns no
sooner than six hours later in any case. A drift is learnt from, for that is what is hard about it: one in each series.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from exporter.rulegen import conditions, evaluate
from exporter.rulegen.backtest import GRACE, Past, Span
from exporter.rulegen.conditions import Circumstances, Watched
from exporter.rulegen.history import Labels
from exporter.rulegen.model import DAY, LEVEL_SAMPLES, STEP, WEEK
from exporter.rulegen.moments import Mask, Moments, moments
from exporter.rulegen.settings import Signal, Signals
from exporter.rulegen.signals import least, model_of
from exporter.rulegen.sliding import Values
from exporter.rulegen.told import DRIFTED, Teller

Kind = Literal["drop", "outage", "surge", "drift"]
HOUR = 3600
APART = 26 * HOUR
"""Seconds from one to the next: more than a day, so that they come at every hour."""
DRIFT_SLOPE = 2 * WEEK
"""So long a drift takes; then it stays."""
DRIFT_TOLD = 4 * WEEK


@dataclass(frozen=True)
class Case:
    """What is multiplied by `factor` for so many seconds."""

    kind: Kind
    factor: float
    seconds: int

    @property
    def is_down(self) -> bool:
        """Whether it falls."""
        return self.factor < 1


CASES = (
    Case("drop", 0.7, 4 * HOUR),
    Case("drop", 0.5, HOUR),
    Case("drop", 0.5, 2 * HOUR),
    Case("drop", 0.2, HOUR),
    Case("drop", 0.2, 2 * HOUR),
    Case("outage", 0.0, HOUR // 2),
    Case("outage", 0.0, 2 * HOUR),
    Case("surge", 1.5, 4 * HOUR),
    Case("surge", 2.0, HOUR),
    Case("surge", 2.0, 2 * HOUR),
    Case("surge", 3.0, HOUR),
    Case("drift", 0.6, DRIFT_SLOPE),
    Case("drift", 1.5, DRIFT_SLOPE),
)


@dataclass(frozen=True)
class Outcome:
    """How many of a case were injected and found, and the delays of those (seconds from the begin to the message)."""

    case: Case
    injected: int
    delays: tuple[float, ...]

    @property
    def recall(self) -> float | None:
        """The share found; None where there was no room for one."""
        return len(self.delays) / self.injected if self.injected else None

    @property
    def delay_median(self) -> float | None:
        """Seconds; None where none was found."""
        return median(self.delays) if self.delays else None


def simulate(file: Signals, past: Past, span: Span, seed: int) -> Mapping[str, list[Outcome]]:
    """What each signal's alerts make of every case that its direction watches for. `seed` says where they are put."""
    at = moments(file, past.grid.times())
    return {
        signal.name: _Simulation(signal, file, past, at, span).outcomes(np.random.default_rng([seed, place]))
        for place, signal in enumerate(file.signals)
        if past.signals.get(signal.name)
    }


class _Simulation:
    def __init__(self, signal: Signal, file: Signals, past: Past, at: Moments, span: Span) -> None:
        self._signal, self._at, self._span = signal, at, span
        self._past = past.signals[signal.name]
        self._learnt = at.learnt(file.holding(signal.name))
        self._around = conditions.circumstances(signal, file, at, past.hidden)
        self._clean = {labels: self._watched(labels, row, self._learnt) for labels, row in self._past.items()}

    def outcomes(self, chance: np.random.Generator) -> list[Outcome]:
        found = []
        for case in CASES:
            if not self._is_watched(case):
                continue
            one = self._drifted if case.kind == "drift" else self._sudden
            outcomes = [one(case, labels, chance) for labels in self._past]
            delays = tuple(delay for outcome in outcomes for delay in outcome.delays)
            found.append(Outcome(case, sum(outcome.injected for outcome in outcomes), delays))
        return found

    def _is_watched(self, case: Case) -> bool:
        if case.kind == "outage" and self._signal.kind == "gauge":
            return False
        if case.kind == "drift" and not self._signal.drift:
            return False
        return self._signal.direction in ("both", "down" if case.is_down else "up")

    def _watched(self, labels: Labels, values: Values, learnt: Mask) -> Watched:
        course = evaluate.Signal(values, int(self._at.times[0]), learnt, self._at.clock)
        return Watched(labels, values, evaluate.evaluate(course, model_of(self._signal)))

    def _told(self, one: Watched) -> list[float]:
        """When any alert of a series began to fire."""
        alerts = Teller(self._signal, [one], self._around).told()
        return [episode.start for alert in alerts if alert.labels == one.labels for episode in alert.episodes]

    def _sudden(self, case: Case, labels: Labels, chance: np.random.Generator) -> Outcome:
        values, injected = self._past[labels].copy(), np.zeros(len(self._at.times), dtype=np.bool_)
        begins = list(self._places(case, self._clean[labels], chance))
        length = case.seconds // STEP
        for first in begins:
            values[first : first + length] = scaled(values[first : first + length], case, self._signal, chance)
            injected[first : first + length + LEVEL_SAMPLES] = True
        told = self._told(self._watched(labels, values, self._learnt & ~injected))
        delays = _delays(told, (float(self._at.times[first]) - STEP for first in begins), case.seconds + GRACE)
        return Outcome(case, len(begins), tuple(delays))

    def _places(self, case: Case, one: Watched, chance: np.random.Generator) -> Iterator[int]:
        """Where there is a normal, where it is worth telling, and where nothing is told for half a day before."""
        fine = _can_tell(self._signal, one, self._around)
        alerts = Teller(self._signal, [one], self._around).told()
        for episode in (episode for alert in alerts if alert.alert != DRIFTED for episode in alert.episodes):
            fine &= (self._at.times < episode.start - DAY / 2) | (self._at.times > episode.end + DAY / 2)
        place = int(np.searchsorted(self._at.times, self._span.start)) + int(chance.integers(APART // STEP))
        last = len(fine) - (case.seconds + int(GRACE)) // STEP
        while place < last:
            if np.all(fine[place : place + case.seconds // STEP]):
                yield place
            place += APART // STEP + int(chance.integers(HOUR // STEP))

    def _drifted(self, case: Case, labels: Labels, _: np.random.Generator) -> Outcome:
        """From the begin of the time that is judged on, where that is long enough for it to be told."""
        if self._span.end - self._span.start < DRIFT_TOLD:
            return Outcome(case, 0, ())
        grown = np.clip((self._at.times - self._span.start) / case.seconds, 0.0, 1.0)
        values: Values = self._past[labels] * (1 + (case.factor - 1) * grown)
        before = set(self._told(self._clean[labels]))
        told = [at for at in self._told(self._watched(labels, values, self._learnt)) if at not in before]
        return Outcome(case, 1, tuple(_delays(told, [self._span.start], DRIFT_TOLD)))


def _can_tell(signal: Signal, one: Watched, around: Circumstances) -> Mask:
    normal, least_told = one.recorded.normal, least(signal)
    enough = normal >= least_told if least_told is not None else ~np.isnan(normal)
    found: Mask = enough & around.is_calm & ~np.isnan(one.values)
    return found


def scaled(values: Values, case: Case, signal: Signal, chance: np.random.Generator) -> Values:
    """What is left of values, or what they grew to; a count's own events are lost or come by chance."""
    if signal.kind == "gauge":
        return values * case.factor
    events = np.round(np.nan_to_num(values) * STEP).astype(np.int64)
    if case.is_down:
        return np.where(np.isnan(values), np.nan, chance.binomial(events, case.factor) / STEP)
    return values + chance.poisson(events * (case.factor - 1)) / STEP


def _delays(told: Sequence[float], begins: Iterable[float], seconds: float) -> Iterator[float]:
    """Of those that were told within so many seconds."""
    for begin in begins:
        after = [at - begin for at in told if begin < at <= begin + seconds]
        if after:
            yield min(after)
