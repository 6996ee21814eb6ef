"""Whether everything that is stored moves. Pure.

The audit looks at what waits, each minute, and takes for stuck what stands unchanged for longer than it may. How long
that is, is measured by a clock that nobody sets: times in the store are those of whichever replica wrote them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Finding = Literal[
    "events_unprocessed",  # an alert is stored and not worked off
    "incident_without_alert",  # an incident is open, and none of its alerts fires: nothing will ever end it
    "notice_without_rows",  # somebody was to be told, and no message was written
    "rows_overdue",  # messages for a target are due, and nobody tries
    "lease_expired",  # a message is being sent by a process that is gone
    "rows_unserved",  # messages wait for a target that is not configured
    "store_unreadable",  # nobody knows
]
FINDINGS: tuple[Finding, ...] = get_args(Finding)

MAY_STAND_SECONDS: Mapping[Finding, float] = {
    "events_unprocessed": 120.0,
    "incident_without_alert": 60.0,
    "notice_without_rows": 60.0,
    # a target that fails is left alone for five minutes at most
    "rows_overdue": 600.0,
    # a lease is for half a minute, and renewed as long as its sender lives
    "lease_expired": 150.0,
    "rows_unserved": 120.0,
    "store_unreadable": 0.0,
}


@dataclass(frozen=True)
class Mark:
    """Something that waits. It is equal to that of the look before as long as it has not moved.

    `thing` says which it is and `version` how far it is; `count` is how many it stands for.
    """

    finding: Finding
    thing: str
    version: tuple[float | str | None, ...] = ()
    count: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Queue:
    """A target's unfinished messages: how many there are, are due and not being sent, are to be tried again later, and
    the attempts at all of them."""

    target: str
    unfinished: int
    due: int
    put_off: int
    attempts: int


def of_queues(queues: Iterable[Queue], served: Iterable[str]) -> list[Mark]:
    """What to mark of the outbox. A target that is left alone until a time that is on record is not overdue."""
    known, found = set(served), list[Mark]()
    for queue in queues:
        if queue.target not in known:
            found.append(Mark("rows_unserved", queue.target, count=queue.unfinished))
        elif queue.due and not queue.put_off:
            found.append(Mark("rows_overdue", queue.target, (queue.unfinished, queue.attempts), queue.due))
    return found


Seen = Mapping[Mark, float]
"""What the last look saw, and when it was first seen so, in seconds of a clock that nobody sets."""


def audit(seen: Seen, marks: Iterable[Mark], at: float) -> tuple[Seen, dict[Finding, int]]:
    """What there is now with when it was first seen, and how many stand for too long, by finding; none is well.

    `at` is the present time of the same clock as `seen`.
    """
    now_seen = {mark: seen.get(mark, at) for mark in marks}
    found: dict[Finding, int] = {}
    for mark, since in now_seen.items():
        if at - since >= MAY_STAND_SECONDS[mark.finding]:
            found[mark.finding] = found.get(mark.finding, 0) + mark.count
    return now_seen, found
