"""Drops and outages put into synthetic usage: how many the generated rules find, how soon, and at what noise.

Usage has a daily course, quieter weekends, days that differ by 5 %, a slow noise of 5 % besides Poisson's, and grows by
half a percent a week. Eight weeks of it, in samples of five minutes; the last three weeks are judged. A drop's delay is
told from its begin, five minutes before the first sample that shows it, to the evaluation that alerts. What is said is what the rules say as shipped, watching for drops
(`direction: down`); the baseline, the last ten minutes against the same of last week, gets the threshold with which it
is as noisy as the bar allows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from exporter.rulegen import sliding
from exporter.rulegen.evaluate import Signal, evaluate
from exporter.rulegen.model import FAST_SAMPLES, STANDARD, STAY, STEP, WEEK, Model
from tests.bench.figure import Bench, Figure
from tests.bench.nab.onsets import onsets

START = 1_767_571_200
"""A Monday."""
WEEKS, JUDGED = 8, 3
SERIES = 60
PER_WEEK, PER_DAY = WEEK // STEP, 86_400 // STEP
NOISE = 0.25
"""False alarms per series and week that the bar allows."""
Values = NDArray[np.float64]
Alarms = list[int]
Detector = Callable[[Values], Alarms]
"""Events in each five minutes -> the evaluations at which an alert begins to fire."""


@dataclass(frozen=True)
class Drop:
    """A share of the events is lost for so many samples; it must be found within so many minutes of its begin."""

    share: float
    samples: int
    within: float


HALF = Drop(0.5, 24, 130.0)
OUTAGE = Drop(1.0, 6, 10.0)


@dataclass(frozen=True)
class Found:
    """The share of drops found in time, and the median delay in minutes (Inf where most weren't)."""

    recall: float
    delay: float


def usage(chance: np.random.Generator, mean: float) -> Values:
    """The expected events of each five minutes."""
    places = np.arange(WEEKS * PER_WEEK)
    angle = places % PER_DAY / PER_DAY * 2 * math.pi + chance.uniform(0, 2 * math.pi)
    course = np.exp(0.7 * np.cos(angle) + 0.15 * np.cos(2 * angle + chance.uniform(0, 2 * math.pi)))
    weekend = places // PER_DAY % 7 >= 5
    course *= np.where(weekend, chance.uniform(0.5, 0.9), 1.0)
    days = np.exp(chance.normal(0, 0.05, WEEKS * 7)).repeat(PER_DAY)
    growth = 1.005 ** (places / PER_WEEK)
    found: Values = mean * course / course.mean() * days * growth * np.exp(0.05 * _slow(chance, len(places)))
    return found


def _slow(chance: np.random.Generator, size: int) -> Values:
    """Noise of deviation 1 that is forgotten in an hour."""
    kept = math.exp(-STEP / 3600)
    steps, found = chance.normal(0, math.sqrt(1 - kept**2), size), np.empty(size)
    last = 0.0
    for place, step in enumerate(steps.tolist()):
        last = kept * last + step
        found[place] = last
    return found


def dropped(chance: np.random.Generator, events: Values, drop: Drop) -> tuple[Values, int]:
    """The events with a drop in the judged weeks, cut off some hours after it, and the sample after which it begins."""
    begins = int(chance.integers((WEEKS - JUDGED) * PER_WEEK, len(events) - PER_DAY))
    lost = np.zeros(begins + drop.samples + PER_DAY // 2)
    lost[begins + 1 : begins + 1 + drop.samples] = drop.share
    kept = chance.binomial(events[: len(lost)].astype(np.int64), 1 - lost)
    return kept.astype(np.float64), begins


def ours(events: Values) -> Alarms:
    """The alert on a count that falls below its normal, as shipped."""
    found = evaluate(Signal(events / STEP, START), Model("count"))
    low = _held(found.below > 1, STANDARD.hold) | (found.fast_score > 1)
    return onsets(low, 0, int(STAY) // STEP)


def last_week(factor: float) -> Detector:
    """Ten minutes that are less than a share of the same a week ago."""

    def alarms(events: Values) -> Alarms:
        fast = sliding.mean(events, FAST_SAMPLES, np.arange(len(events)))
        return onsets(fast * factor < sliding.before(fast, PER_WEEK), 0, int(STAY) // STEP)

    return alarms


def _held(is_true: NDArray[np.bool_], seconds: float) -> NDArray[np.bool_]:
    """That it was true at every evaluation of a time."""
    samples = round(seconds / STEP) + 1
    return np.convolve(is_true, np.ones(samples))[: len(is_true)] >= samples - 0.5


def _noise(clean: Sequence[Values], detector: Detector) -> float:
    first = (WEEKS - JUDGED) * PER_WEEK
    alarms = sum(sum(place >= first for place in detector(events)) for events in clean)
    return alarms / (len(clean) * JUDGED)


def _tuned(clean: Sequence[Values]) -> Detector:
    """The baseline at the noise that the bar allows."""
    for factor in np.geomspace(1.05, 20, 80):
        if _noise(clean, last_week(factor)) <= NOISE:
            return last_week(factor)
    return last_week(20.0)


def _found(cases: Sequence[tuple[Values, int]], drop: Drop, detector: Detector) -> Found:
    delays = []
    for events, begins in cases:
        after = [place for place in detector(events) if begins < place <= begins + drop.samples + 2]
        delays.append((after[0] - begins) * STEP / 60 if after else math.inf)
    return Found(float(np.mean(np.array(delays) <= drop.within)), float(np.median(delays)))


def _figures(mean: int) -> list[Figure]:
    chance = np.random.default_rng(mean)
    clean: list[Values] = []
    cases: dict[Drop, list[tuple[Values, int]]] = {HALF: [], OUTAGE: []}
    for _ in track(range(SERIES), description=f"usage of {mean} events/5m", transient=True):
        events = chance.poisson(usage(chance, mean)).astype(np.float64)
        clean.append(events)
        for drop, given in cases.items():
            given.append(dropped(chance, events, drop))
    noise, plain = _noise(clean, ours), _tuned(clean)
    half, outage = (_found(given, drop, ours) for drop, given in cases.items())
    plain_half, plain_outage = (_found(given, drop, plain) for drop, given in cases.items())
    least = 0.9 if mean >= 1000 else 0.8
    late = mean >= 1000 and half.delay > OUTAGE.within
    return [
        _figure(
            f"half lost for 2 h, {mean}/5m",
            half,
            plain_half,
            f"{half.recall:.0%} found, median delay {half.delay:.0f} min, {noise:.2f} false alarms per series-week",
            half.recall < least or late or noise > NOISE,
        ),
        _figure(
            f"all lost for 30 min, {mean}/5m",
            outage,
            plain_outage,
            f"{outage.recall:.0%} within {OUTAGE.within:.0f} min, median delay {outage.delay:.0f} min",
            outage.recall < 0.95,
        ),
    ]


def _figure(name: str, ours: Found, plain: Found, text: str, missed: bool) -> Figure:
    ratio = ours.recall / plain.recall if plain.recall else None
    return Figure(name, ratio, f"last week's ten minutes ({plain.recall:.0%}, {plain.delay:.0f} min)", text, missed)


async def _run(_: Path) -> Sequence[Figure]:
    return [figure for mean in (1000, 50) for figure in _figures(mean)]


BENCH = Bench("drops", "drops and outages in synthetic usage, by the generated rules", _run, shows_progress=True)
