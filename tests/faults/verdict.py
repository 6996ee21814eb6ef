"""What was told against what should have been: lost, repeated without a word, out of order. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.receivers import Row
from tests.support.sink import Told

Event = tuple[str, str]
"""(the alert's name, `firing` or `resolved`)."""
_TITLE = re.compile(r"\[(?:\w+ )?(FIRING|RESOLVED)\] ([\w-]+)")


@dataclass(frozen=True)
class Verdict:
    """What went wrong on one channel; nothing, where all is empty. `duplicates` and `gaps` are only counted."""

    lost: Sequence[Event]
    """told nobody, nor superseded by a resolve that was told"""
    unmarked: Sequence[Event]
    """told again without the mark, or with the mark and no record of a lost outcome"""
    overtaken: Sequence[str]
    """alerts whose firing came after their resolve"""
    unasked: Sequence[Event]
    """told, and never expected"""
    duplicates: int
    """copies after the first"""
    gaps: int
    """messages whose outcome was lost at least once"""

    @property
    def faults(self) -> str:
        """What is wrong, in words; empty when nothing is."""
        found = {"lost": self.lost, "unmarked": self.unmarked, "overtaken": self.overtaken, "unasked": self.unasked}
        return "; ".join(f"{name}: {list(events)}" for name, events in found.items() if events)


def judge(expected: Iterable[Event], told: Iterable[Told], rows: Iterable[Row]) -> Verdict:
    """`told` is what one channel was told, in order, and `rows` are the outbox's for it."""
    wanted, rows = set(expected), list(rows)
    copies: dict[Event, list[Told]] = {}
    for one in told:
        if one.behaviour.takes:
            copies.setdefault(event_of(one), []).append(one)
    uncertain = {(row.alert, row.status) for row in rows if row.may_repeat}
    superseded = {(row.alert, row.status) for row in rows if row.state == "superseded"}
    return Verdict(
        lost=sorted(event for event in wanted - set(copies) if not _excused(event, superseded, copies)),
        unmarked=sorted(event for event, found in copies.items() if not _honest(event, found, uncertain)),
        overtaken=sorted(name for name, status in copies if status == "firing" and _overtaken(name, copies)),
        unasked=sorted(set(copies) - wanted),
        duplicates=sum(len(found) - 1 for found in copies.values()),
        gaps=len(uncertain),
    )


def event_of(told: Told) -> Event:
    """What a message is about. Raises AssertionError for a title that says nothing of the kind."""
    found = _TITLE.match(told.title)
    assert found, f"this title names no alert: {told.title}"
    return found[2], found[1].lower()


def _excused(event: Event, superseded: set[Event], copies: Mapping[Event, Sequence[Told]]) -> bool:
    """A firing may be left out where its resolve could be told in its place."""
    name, status = event
    return status == "firing" and event in superseded and (name, "resolved") in copies


def _honest(event: Event, copies: Sequence[Told], uncertain: set[Event]) -> bool:
    marked = [one for one in copies if one.may_be_a_repeat]
    return all(one.may_be_a_repeat for one in copies[1:]) and (not marked or event in uncertain)


def _overtaken(name: str, copies: Mapping[Event, Sequence[Told]]) -> bool:
    resolves = copies.get((name, "resolved"), ())
    return bool(resolves) and resolves[0].at < copies[name, "firing"][0].at
