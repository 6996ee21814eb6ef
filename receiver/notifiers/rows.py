"""The words as rows, most useful kept: for channels that show a message from top to bottom. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from receiver.notifiers.words import Fact, Words, clip

FIRST_VIEW = 11
"""Rows that are read without scrolling; the title is one more."""
_RANKS = (
    "First step",
    "",
    "Since",
    "Measured now",
    "Impact",
    "Owner",
    "Acknowledge",
    "Changed",
    "If that fails",
    "Probable cause",
    "Runbook",
    "Acknowledged",
    "You are told because",
    "Not known",
    "Next",
    "Incident",
    "Alerts",
    "Pays",
    "Then",
    "Dashboard",
    "Query",
)
"""By label, the most useful first; what isn't named comes after. The lead has no label."""


@dataclass(frozen=True)
class Row:
    """One fact. `rank` 0 is kept longest."""

    fact: Fact
    rank: int


def view(said: Words) -> tuple[list[Row], list[Row]]:
    """(the first view, what follows it), each in reading order."""
    first = [_row(fact) for fact in _first(said)]
    spilled = sorted(first, key=lambda row: row.rank)[FIRST_VIEW:]
    rest = [_row(fact) for fact in _rest(said)]
    return [row for row in first if row not in spilled], [row for row in first if row in spilled] + rest


def fit(rows: Sequence[tuple[Row, str]], limit: int) -> list[str]:
    """The texts of the rows in at most `limit` characters with a line end after each, whole rows only: those of the
    highest rank go first. Of the last one that is left the beginning is kept, where it alone is too long."""
    kept = dict(enumerate(rows))
    least_useful = sorted(kept, key=lambda place: (-rows[place][0].rank, -place))
    while sum(len(text) + 1 for _, text in kept.values()) > limit and len(kept) > 1:
        del kept[least_useful.pop(0)]
    return [clip(text, limit) if len(kept) == 1 else text for _, text in kept.values()]


def _row(fact: Fact) -> Row:
    return Row(fact, _RANKS.index(fact.label) if fact.label in _RANKS else len(_RANKS))


def _first(said: Words) -> Iterator[Fact]:
    if said.lead:
        yield Fact("", said.lead)
    yield from said.facts
    if said.steps:
        yield Fact("First step", said.steps[0])
    if said.fallback:
        yield Fact("If that fails", said.fallback)
    yield from (Fact(link.label, "", (link,)) for link in said.actions[:1])
    if said.unknown:
        yield Fact("Not known", said.unknown)


def _rest(said: Words) -> Iterator[Fact]:
    yield from (Fact("Then", step) for step in said.steps[1:])
    yield from said.more
    yield from (Fact(link.label, "", (link,)) for link in (*said.actions[1:], *said.links))
