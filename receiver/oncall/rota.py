"""Who is on call at an instant, and where nobody is. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from receiver.oncall.settings import WEEKDAYS, Layer, Rota
from receiver.oncall.windows import stretch
from receiver.oncall.zones import instant, local_day

Reason = Literal[
    "turn",  # it is the person's turn
    "override",  # the person has taken the layer over
    "not_started",  # a gap: the layer's first turn is yet to come
    "outside_hours",  # a gap: the layer has hours, and these are others
]
GAPS: dict[Reason, str] = {"not_started": "it has not started yet", "outside_hours": "outside its hours"}
"""Why nobody is on call, in words."""


@dataclass(frozen=True)
class Shift:
    """A piece of a layer's time line: `since` <= t < `until`, in seconds since the epoch; `since` is 0 for what was
    always so. `person` is None in a gap, and `reason` says why.

    Shifts of a layer follow one another without a hole: one's `until` is the next one's `since`.
    """

    layer: str
    person: str | None
    reason: Reason
    since: float
    until: float


def on_call(rota: Rota, at: float) -> tuple[Shift, ...]:
    """The shift of each layer at an instant (seconds since the epoch, from 1970 on), in the rota's order."""
    return tuple(_shift(rota, layer, at) for layer in rota.layers)


def shifts(rota: Rota, layer: Layer, since: float, until: float) -> Iterator[Shift]:
    """The shifts of a layer that are under way at some time of `since` <= t < `until`, in order."""
    at = since
    while at < until:
        found = _shift(rota, layer, at)
        yield found
        at = found.until


def gaps(rota: Rota, since: float, until: float) -> Iterator[Shift]:
    """When a layer has nobody, within `since` <= t < `until`: layer by layer, in order."""
    for layer in rota.layers:
        for shift in shifts(rota, layer, since, until):
            if shift.person is None:
                yield replace(shift, since=max(shift.since, since), until=min(shift.until, until))


def nobody(rota: Rota, since: float, until: float) -> Iterator[tuple[float, float]]:
    """When no layer has anybody, within `since` <= t < `until`: (since, until), in order."""
    began: float | None = None
    at = since
    while at < until:
        found = on_call(rota, at)
        manned = any(shift.person is not None for shift in found)
        if manned and began is not None:
            yield began, at
        began = None if manned else at if began is None else began
        at = min(shift.until for shift in found)
    if began is not None:
        yield began, until


def _shift(rota: Rota, layer: Layer, at: float) -> Shift:
    """An override before anything else; between two of them what the layer says."""
    found = _by_plan(rota, layer, at)
    for override in rota.overrides:
        if override.layer != layer.name:
            continue
        begins, ends = rota.instant(override.from_), rota.instant(override.to)
        if begins <= at < ends:
            return Shift(layer.name, override.person, "override", begins, ends)
        if ends <= at:
            found = replace(found, since=max(found.since, ends))
        else:
            found = replace(found, until=min(found.until, begins))
    return found


def _by_plan(rota: Rota, layer: Layer, at: float) -> Shift:
    begins = _handover(rota, layer, 0)
    if at < begins:
        return Shift(layer.name, None, "not_started", 0.0, begins)
    turn = _turn(rota, layer, at)
    if not layer.hours:
        return turn
    now = stretch(layer.hours, rota.timezone, at)
    if now.inside:
        return replace(turn, since=max(turn.since, now.since), until=min(turn.until, now.until))
    return Shift(layer.name, None, "outside_hours", max(begins, now.since), now.until)


def _turn(rota: Rota, layer: Layer, at: float) -> Shift:
    """The turn at an instant after the layer's start."""
    days = (local_day(at, rota.timezone) - layer.starts).days
    number = max(0, days // (7 if layer.handover.every == "week" else 1) - 1)
    while _handover(rota, layer, number + 1) <= at:
        number += 1
    person = layer.people[number % len(layer.people)]
    return Shift(layer.name, person, "turn", _handover(rota, layer, number), _handover(rota, layer, number + 1))


def _handover(rota: Rota, layer: Layer, number: int) -> float:
    """When turn `number` begins: 0 on the day that the layer starts, each other at the next handover."""
    day = layer.starts
    if number and layer.handover.every == "day":
        day += timedelta(days=number)
    elif number:
        to_first = (WEEKDAYS.index(layer.handover.on) - day.weekday() - 1) % 7 + 1
        day += timedelta(days=to_first + 7 * (number - 1))
    return instant(day, layer.handover.at, rota.timezone)
