"""What the alerts of a signal would have told of its past. Pure.

Outages come first: for a while one keeps the alert on too little from being told as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exporter.rulegen import conditions
from exporter.rulegen.conditions import Circumstances, Condition, Edge, Watched, edge_of
from exporter.rulegen.episodes import Episode, episodes, firing
from exporter.rulegen.history import Labels
from exporter.rulegen.moments import Mask
from exporter.rulegen.settings import Severity, Signal

BELOW, ABOVE, STOPPED = "SignalBelowNormal", "SignalAboveNormal", "SignalStopped"
DRIFTED, GONE = "SignalDrifted", "SignalGone"


@dataclass(frozen=True)
class Told:
    """One alert of one series, and when it fired. SignalGone is about all series: it has no labels."""

    alert: str
    severity: Severity
    labels: Labels
    episodes: tuple[Episode, ...]


class Teller:
    """What a signal's alerts would have told, with its edge at a score (1 is the file's)."""

    def __init__(self, signal: Signal, series: Sequence[Watched], around: Circumstances, edge: float = 1.0) -> None:
        self._signal, self._series, self._around, self._edge = signal, series, around, edge
        self._outages = list(self._stopped())
        self._shadows = self._shadowed()
        self._levels = [self._leveled(one, shadow) for one, shadow in zip(series, self._shadows, strict=True)]
        self._drifts = [conditions.drifting(signal, one) for one in series]
        self._gone = Told(GONE, "ticket", (), self._episodes(conditions.gone(series, len(around.times))))

    def told(self, hold: float | None = None) -> list[Told]:
        """Every alert of every series; `hold` (seconds) stands in for the sensitivity's, to try another."""
        edge = edge_of(self._signal, self._edge)
        levels = list(self._told(edge if hold is None else replace(edge, hold=hold)))
        return [*self._outages, *levels, *(self._drifted(levels) if self._signal.drift else ()), self._gone]

    def _stopped(self) -> Iterator[Told]:
        if self._signal.stops_as is None:
            return
        for one in self._series:
            condition = conditions.stopped(self._signal, one, self._around, self._edge)
            yield Told(STOPPED, self._signal.stops_as, one.labels, self._episodes(condition))

    def _shadowed(self) -> list[Mask]:
        """Where each series is in the shadow of an outage: its own, or of any it shares the labels of `by` with."""
        found = {key: conditions.shadow(is_told) for key, is_told in self._firing(self._outages).items()}
        return [found.get(self._key(one.labels), self._never()) for one in self._series]

    def _firing(self, alerts: Sequence[Told]) -> dict[Labels, Mask]:
        """Where any of these fired, by the labels of `by`."""
        found: dict[Labels, Mask] = {}
        for one in alerts:
            key = self._key(one.labels)
            found[key] = found.get(key, self._never()) | firing(self._around.times, one.episodes)
        return found

    def _never(self) -> Mask:
        return np.zeros(len(self._around.times), dtype=np.bool_)

    def _key(self, labels: Labels) -> Labels:
        return tuple((name, value) for name, value in labels if name in self._signal.by)

    def _leveled(self, one: Watched, shadow: Mask) -> dict[str, conditions.Level]:
        found = {}
        if self._signal.direction != "up":
            found[BELOW] = conditions.below(self._signal, one, self._around, shadow)
        if self._signal.direction != "down":
            found[ABOVE] = conditions.above(self._signal, one, self._around)
        return found

    def _told(self, edge: Edge) -> Iterator[Told]:
        for one, levels in zip(self._series, self._levels, strict=True):
            for alert, level in levels.items():
                yield Told(alert, self._signal.severity, one.labels, self._episodes(level.at(edge)))

    def _drifted(self, levels: Sequence[Told]) -> Iterator[Told]:
        firing = [self._firing([one for one in levels if one.alert == alert]) for alert in (BELOW, ABOVE)]
        for one, drift in zip(self._series, self._drifts, strict=True):
            below, above = (found.get(self._key(one.labels), self._never()) for found in firing)
            condition = conditions.untold(drift, one, below, above) if drift.is_true.any() else drift
            yield Told(DRIFTED, "ticket", one.labels, self._episodes(condition))

    def _episodes(self, condition: Condition) -> tuple[Episode, ...]:
        times = self._around.times
        return tuple(episodes(times, condition.is_true, condition.score, condition.hold, condition.keep))
