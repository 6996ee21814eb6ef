"""Which message of one incident a target is told next: a newer one takes the place of those not yet sent. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from receiver.alerts import Status
from receiver.delivery.outbox import FURTHEST_SECONDS, UNFINISHED, State
from receiver.incidents import weight

PACE_SECONDS = 60.0
"""Of an incident that grows all the time a target is told once in this time at most, but of its end, of its coming
back, and of its becoming worse, at once. What began and ended within it unheard, after the target was told of an end,
is not told at all."""

Reason = Literal[
    "due",  # it is to be sent now
    "not_due",  # it was tried, and waits for its next attempt
    "paced",  # the last that was sent, a moment ago, says that it fires as well
    "in_flight",  # another message of the incident is being sent to the target
    "newer_told",  # the target was told something newer meanwhile
    "told_already",  # it ended, and the last that the target heard is that it has ended
    "part_of_ended",  # it fired, in an incident that is part of another by now, and that one has ended
    "acknowledged",  # it calls somebody, and somebody else has the incident by now
    "never_called",  # it ended, and the target would have been called, but was not needed before it was
    "nothing",  # nothing waits
]

CALLS = frozenset({"escalated", "reminder", "assigned", "acknowledged"})
"""The reasons of messages that keep no pace: the time for them has come, or a person waits to see what they did."""


@dataclass(frozen=True)
class Row:
    """A row of the outbox, as far as it matters here. Times are seconds since the epoch; `held_until` is when it is to
    be told, where that is later than at once. `why` is the message's reason, `severity` how bad it says that it is."""

    id: int
    revision: int
    status: Status
    state: State
    may_repeat: bool
    planned_at: float
    next_attempt_at: float
    finished_at: float | None
    held_until: float | None = None
    why: str = ""
    severity: str = ""


@dataclass(frozen=True)
class Turn:
    """What is to be done with the rows of one incident and target, and why.

    `row` is the one that is sent, at `at`; None when none is. `replaced` are the ids of those that will not be sent,
    because the row `by` says it in their place. `may_repeat` and `untold` are said in the message.
    """

    reason: Reason
    row: Row | None = None
    at: float = 0.0
    replaced: tuple[int, ...] = ()
    by: int | None = None
    may_repeat: bool = False
    untold: bool = False


def choose(rows: Iterable[Row], now: float, over: bool = False, taken: bool = False) -> Turn:
    """Whose turn it is of all the rows that one incident has for one target, finished ones included.

    The newest speaks for all, since it tells how things are. One that may have arrived is replaced like the others:
    the newest is then marked as a possible repeat when both say the same. An end whose beginning was never told is
    told all the same, marked `untold`, unless it was over within PACE_SECONDS and the last word was an end already.
    `over`: the incident is part of another by now, which has ended; whoever knows of this one is told of that end.
    `taken`: somebody has acknowledged it, so nobody else is called any more.
    """
    ordered = sorted(rows, key=lambda row: row.revision)
    waiting = [row for row in ordered if row.state in UNFINISHED]
    if not waiting:
        return Turn("nothing")
    if any(row.state == "sending" for row in waiting):
        return Turn("in_flight")
    newest, heard = waiting[-1], _last_heard(ordered)
    unheard = [row for row in ordered if row is not newest and (heard is None or row.revision > heard.revision)]
    needless = _needless(waiting, unheard, heard, over, taken)
    if needless is not None:
        by = heard.id if heard is not None and needless in ("newer_told", "told_already") else None
        return Turn(needless, replaced=_ids(waiting), by=by)
    reason, at = _when(newest, waiting, ordered, now)
    return Turn(
        reason,
        newest,
        at,
        replaced=_ids(waiting[:-1]),
        by=newest.id,
        may_repeat=newest.may_repeat or any(row.may_repeat and row.status == newest.status for row in unheard),
        untold=newest.status == "resolved" and (heard is None or heard.status == "resolved"),
    )


def _needless(
    waiting: Sequence[Row], unheard: Sequence[Row], heard: Row | None, over: bool, taken: bool
) -> Reason | None:
    """Why none of those that wait is sent; None when the newest is. `unheard` came after `heard`."""
    newest = waiting[-1]
    if over and newest.status == "firing":
        return "part_of_ended"
    if taken and all(row.why == "escalated" for row in (*unheard, newest)):
        return "acknowledged"
    if heard is None:
        spared = newest.status == "resolved" and unheard and all(map(_was_not_needed, unheard))
        return "never_called" if spared else None
    if heard.revision > newest.revision:
        return "newer_told"
    return "told_already" if _is_told_already(newest, heard, unheard) else None


def _ids(rows: Iterable[Row]) -> tuple[int, ...]:
    return tuple(row.id for row in rows)


def _last_heard(ordered: Sequence[Row]) -> Row | None:
    """The newest row that was surely delivered."""
    return next((row for row in reversed(ordered) if row.state == "sent"), None)


def _is_told_already(newest: Row, heard: Row, unheard: Sequence[Row]) -> bool:
    """Whether an end needs no telling: an end is the last that was heard, nothing since can have arrived, and what
    began since was over at once."""
    if newest.status != "resolved" or heard.status != "resolved":
        return False
    if newest.may_repeat or any(row.may_repeat for row in unheard):
        return False
    began = min((row.planned_at for row in unheard if row.status == "firing"), default=newest.planned_at)
    return newest.planned_at - began < PACE_SECONDS


def _was_not_needed(row: Row) -> bool:
    """Whether the row would have called somebody, and cannot have."""
    return row.why == "escalated" and row.state == "superseded" and not row.may_repeat


def _when(newest: Row, waiting: Sequence[Row], ordered: Sequence[Row], now: float) -> tuple[Reason, float]:
    # what was planned in the future was planned by a clock that has been set back, and so was its hold
    held = newest.held_until or 0.0 if newest.planned_at <= now + FURTHEST_SECONDS else 0.0
    if now < newest.next_attempt_at <= max(now + FURTHEST_SECONDS, held):
        return "not_due", newest.next_attempt_at
    heard = _last_heard(ordered)
    told = heard.finished_at or 0.0 if heard is not None and heard.status == "firing" else 0.0
    calls = any(row.why in CALLS for row in waiting)
    is_worse = heard is not None and weight(newest.severity) > weight(heard.severity)
    if newest.status == "firing" and not calls and not is_worse and told <= now < told + PACE_SECONDS:
        return "paced", told + PACE_SECONDS
    return "due", now
