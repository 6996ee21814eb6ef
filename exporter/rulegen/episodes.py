"""An alert's course over a history, as Prometheus would have had it, and how that compares with real incidents. Pure.

Times are Unix seconds. An episode is one alert from firing to resolved: one message to somebody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import numpy as np
from numpy.typing import NDArray

WEEK_SECONDS = 604_800


@dataclass(frozen=True)
class Episode:
    """One alert: when it began to fire, when it was resolved, and the highest score between (NaN where none is known).

    One that isn't over still fires at the last evaluation, its `end`.
    """

    start: float
    end: float
    peak: float
    is_over: bool = True


@dataclass(frozen=True)
class Incident:
    """What really happened, from an operator's list; `signal` is empty where it concerns all."""

    start: float
    end: float
    signal: str = ""
    name: str = ""


@dataclass(frozen=True)
class Judged:
    """How an alert's episodes meet the incidents."""

    episodes: int
    true_episodes: int
    incidents: int
    found: int
    delays: tuple[float, ...]
    """Seconds from an incident's start to the first message about it."""
    series_weeks: float

    @property
    def precision(self) -> float | None:
        """The share of episodes that meet an incident; None without episodes."""
        return self.true_episodes / self.episodes if self.episodes else None

    @property
    def recall(self) -> float | None:
        """The share of incidents that were told of; None without incidents."""
        return self.found / self.incidents if self.incidents else None

    @property
    def noise(self) -> float:
        """Episodes that meet no incident, per series and week."""
        return (self.episodes - self.true_episodes) / self.series_weeks if self.series_weeks else 0.0

    @property
    def delay_median(self) -> float | None:
        """The median delay in seconds."""
        return median(self.delays) if self.delays else None

    @property
    def delay_p75(self) -> float | None:
        """Three of four were faster (seconds)."""
        return quantiles(self.delays, n=4)[2] if len(self.delays) > 1 else self.delay_median

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(
            self.episodes + other.episodes,
            self.true_episodes + other.true_episodes,
            self.incidents + other.incidents,
            self.found + other.found,
            self.delays + other.delays,
            self.series_weeks + other.series_weeks,
        )


NOTHING = Judged(0, 0, 0, 0, (), 0.0)


def episodes(
    times: NDArray[np.float64], is_true: NDArray[np.bool_], scores: NDArray[np.float64], hold: float, keep: float
) -> list[Episode]:
    """What Prometheus makes of an expression that `is_true` at evaluations at `times` (ascending), with `for: hold` and
    `keep_firing_for: keep` (seconds; AlertingRule.Eval in its rules/alerting.go)."""
    found: list[Episode] = []
    firing: tuple[int, int] | None = None
    for first, last in _runs(is_true):
        if firing is not None and _resolved(times, firing[1], keep) >= first:
            firing = (firing[0], last)  # it still fired: it goes on, with no waiting
            continue
        if firing is not None:
            found.append(_episode(times, scores, firing, keep))
            firing = None
        start = first + int(np.searchsorted(times[first : last + 1], times[first] + hold))
        if start <= last:
            firing = (start, last)
    if firing is not None:
        found.append(_episode(times, scores, firing, keep))
    return found


def _runs(is_true: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """The first and the last place of each run of truths."""
    places = np.flatnonzero(is_true)
    if not len(places):
        return ()
    ends = np.flatnonzero(np.diff(places) > 1)
    firsts, lasts = places[np.concatenate(([0], ends + 1))], places[np.concatenate((ends, [-1]))]
    return zip(firsts.tolist(), lasts.tolist(), strict=True)


def _resolved(times: NDArray[np.float64], last: int, keep: float) -> int:
    """The evaluation that resolves an alert whose expression was true at `last` for the last time: so long after the
    first that wasn't true. Beyond the last evaluation where it still fires."""
    gone = last + 1
    return int(np.searchsorted(times, times[gone] + keep)) if gone < len(times) else gone


def _episode(times: NDArray[np.float64], scores: NDArray[np.float64], firing: tuple[int, int], keep: float) -> Episode:
    start, last = firing
    resolved = _resolved(times, last, keep)
    is_over = resolved < len(times)
    peak = np.fmax.reduce(scores[start : last + 1])
    return Episode(float(times[start]), float(times[resolved if is_over else -1]), float(peak), is_over)


def firing(times: NDArray[np.float64], episodes: Iterable[Episode]) -> NDArray[np.bool_]:
    """At which of the evaluations any of them fires."""
    found = np.zeros(len(times), dtype=np.bool_)
    for one in episodes:
        found |= (times >= one.start) & ((times < one.end) | (not one.is_over))
    return found


def judge(episodes: Sequence[Episode], incidents: Sequence[Incident], seconds: float, grace: float) -> Judged:
    """How the episodes of one series, watched for so many seconds, meet its incidents. An episode belongs to an
    incident during which it fires, or after whose end it begins within `grace`."""
    true = [one for one in episodes if any(_meets(one, incident, grace) for incident in incidents)]
    delays = []
    for incident in incidents:
        starts = [one.start for one in episodes if _meets(one, incident, grace)]
        if starts:
            delays.append(max(0.0, min(starts) - incident.start))
    return Judged(len(episodes), len(true), len(incidents), len(delays), tuple(delays), seconds / WEEK_SECONDS)


def _meets(episode: Episode, incident: Incident, grace: float) -> bool:
    return episode.start <= incident.end + grace and episode.end >= incident.start
