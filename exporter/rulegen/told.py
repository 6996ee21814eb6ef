"""What the alerts of a signal would have told of its past. Pure.

Outages come first: for a while one keeps the alert on too little from being told as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def told(signal: Signal, series: Sequence[Watched], around: Circumstances, edge: Edge | None = None) -> list[Told]:
    """Every alert of a signal over all of its series; `edge` stands in for the file's, to try another."""
    outages = [_outages(signal, one, around) for one in series]
    shadows = _shadows(signal, series, outages, around)
    found = [alert for one, outage in zip(series, outages, strict=True) for alert in outage]
    for one, shadow in zip(series, shadows, strict=True):
        found += _levels(signal, one, around, edge or edge_of(signal), shadow)
    missing = conditions.gone(series, len(around.times))
    return [*found, Told(GONE, "ticket", (), _episodes(missing, around))]


def _outages(signal: Signal, one: Watched, around: Circumstances) -> list[Told]:
    if signal.stops_as is None:
        return []
    found = _episodes(conditions.stopped(signal, one, around), around)
    return [Told(STOPPED, signal.stops_as, one.labels, found)]


def _shadows(
    signal: Signal, series: Sequence[Watched], outages: Sequence[Sequence[Told]], around: Circumstances
) -> list[Mask]:
    """Where each series is in the shadow of an outage: its own, or that of any it shares the labels of `by` with."""
    keys = [tuple((name, value) for name, value in one.labels if name in signal.by) for one in series]
    are_told: dict[Labels, Mask] = {key: np.zeros(len(around.times), dtype=np.bool_) for key in keys}
    for key, outage in zip(keys, outages, strict=True):
        for alert in outage:
            are_told[key] = are_told[key] | firing(around.times, alert.episodes)
    found = {key: conditions.shadow(one) for key, one in are_told.items()}
    return [found[key] for key in keys]


def _levels(signal: Signal, one: Watched, around: Circumstances, edge: Edge, shadow: Mask) -> Iterator[Told]:
    if signal.direction != "up":
        condition = conditions.below(signal, one, around, edge, shadow)
        yield Told(BELOW, signal.severity, one.labels, _episodes(condition, around))
    if signal.direction != "down":
        condition = conditions.above(signal, one, around, edge)
        yield Told(ABOVE, signal.severity, one.labels, _episodes(condition, around))
    if signal.drift:
        yield Told(DRIFTED, "ticket", one.labels, _episodes(conditions.drifted(signal, one), around))


def _episodes(condition: Condition, around: Circumstances) -> tuple[Episode, ...]:
    return tuple(episodes(around.times, condition.is_true, condition.score, condition.hold, condition.keep))
