"""The score of the Numenta Anomaly Benchmark, standard profile, from its public definition.

A detection within a window earns up to 1, the more the earlier; only the window's best counts. One outside costs up to
0.11, the less the sooner it follows a window. A window without any costs 1. Over a corpus, 0 is to say nothing and 100
is to say it at each window's first row.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.nab.corpus import Labelled

MISSED = 1.0
FALSE = 0.11
FAR = 3.0
"""Windows' widths after which a false alarm costs all of FALSE."""


@dataclass(frozen=True)
class Tally:
    """What detections earn. `true` and `false` are counts of detections, `found` of windows."""

    points: float = 0.0
    windows: int = 0
    found: int = 0
    true: int = 0
    false: int = 0
    weeks: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.points + other.points,
            self.windows + other.windows,
            self.found + other.found,
            self.true + other.true,
            self.false + other.false,
            self.weeks + other.weeks,
        )

    @property
    def score(self) -> float:
        """0 for silence, 100 for perfection."""
        return 100.0 * (self.points + self.windows * MISSED) / (self.windows * (1.0 + MISSED))

    @property
    def precision(self) -> float:
        """The share of detections that lie in a window."""
        return self.true / (self.true + self.false) if self.true + self.false else 0.0

    @property
    def recall(self) -> float:
        """The share of windows with a detection."""
        return self.found / self.windows if self.windows else 0.0

    @property
    def noise(self) -> float:
        """False alarms per series and week."""
        return self.false / self.weeks if self.weeks else 0.0


def total(tallies: Iterable[Tally]) -> Tally:
    """Of a corpus."""
    return sum(tallies, Tally())


def tally(series: Labelled, rows: Sequence[int]) -> Tally:
    """What detections at these rows earn."""
    best: dict[int, float] = {}
    points, true, false = 0.0, 0, 0
    for row in (row for row in rows if row >= series.probation):
        inside = _window(series, row)
        if inside is None:
            points, false = points + FALSE * _falseness(series, row), false + 1
        else:
            true += 1
            best[inside] = max(best.get(inside, -math.inf), _earned(series.windows[inside], row))
    points += sum(best.values()) - MISSED * (len(series.windows) - len(best))
    return Tally(points, len(series.windows), len(best), true, false, series.weeks)


def _window(series: Labelled, row: int) -> int | None:
    return next((number for number, (first, last) in enumerate(series.windows) if first <= row <= last), None)


def _earned(window: tuple[int, int], row: int) -> float:
    first, last = window
    return _sigmoid(-(last - row + 1) / (last - first + 1)) / _sigmoid(-1.0)


def _falseness(series: Labelled, row: int) -> float:
    """Between -1 and 0: how far after the window before it."""
    earlier = [window for window in series.windows if window[1] < row]
    if not earlier:
        return -1.0
    first, last = earlier[-1]
    return _sigmoid((row - last) / (last - first))


def _sigmoid(position: float) -> float:
    """1 well before a window's end (position -1), 0 at it, -1 well after."""
    return -1.0 if position >= FAR else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0
