"""After A expect B within a time: a round begins with the first A, and B or the end of the time ends it. Pure."""

from typing import ClassVar

from exporter.usage.sequences.rule import NO_TIME, Labels, Memory, Moment, Rule, Turn
from exporter.usage.sequences.settings import ExpectSettings

AFTER = 0
"""The place of A among the rule's events; the other is B."""
NOTHING, OPEN, MISSED, DONE = range(4)
"""No round; A came; A came and the time is over; B came."""


class Round(Memory, frozen=True, array_like=True, gc=False):
    """How a key's round stands. `since` is when A came, or once it is done, when B came (Unix time)."""

    stage: int = NOTHING
    since: float = 0.0


class Expect(Rule):
    """Outcomes: `completed` (with the seconds from A to B), `missed`, `late` (B came after it was missed, with the
    seconds), `unexpected` (B without A). More As in a round and more Bs after it change nothing; an A after the time
    or after B begins the next round."""

    blank: ClassVar[Memory] = Round()
    own: ClassVar[tuple[str, ...]] = ("completed", "missed", "late", "unexpected")
    timed: ClassVar[tuple[str, ...]] = ("completed", "late")
    by_absence: ClassVar[frozenset[str]] = frozenset({"unexpected"})

    def __init__(self, settings: ExpectSettings) -> None:
        super().__init__(settings)
        self._within, self._forget = settings.within, settings.forget
        self.horizon = self._within + self._forget

    def look(self, memory: Round, moment: Moment) -> Turn:
        """A begins a round unless one is open; B ends it."""
        if moment.event == AFTER:
            return Turn(memory if memory.stage == OPEN else _round(moment.labels, OPEN, moment.time))
        if memory.stage in {OPEN, MISSED}:
            outcome = "completed" if memory.stage == OPEN else "late"
            return Turn(_round(memory.labels, DONE, moment.time), outcome, moment.time - memory.since)
        if memory.stage == NOTHING:
            return Turn(_round(moment.labels, DONE, moment.time), "unexpected")
        return Turn(memory)

    def due(self, memory: Round) -> float:
        """The end of the time for B, else of what is remembered."""
        if memory.stage == NOTHING:
            return NO_TIME
        if memory.stage == OPEN:
            return memory.since + self._within
        return memory.since + self._forget + (self._within if memory.stage == MISSED else 0.0)

    def lapse(self, memory: Round) -> Turn:
        """An open round is missed; any other is forgotten."""
        if memory.stage == OPEN:
            return Turn(_round(memory.labels, MISSED, memory.since), "missed")
        return Turn(self.blank)


def _round(labels: Labels, stage: int, since: float) -> Round:
    return Round((), labels, stage, since)
