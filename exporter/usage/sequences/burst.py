"""More than N events of a key within a time. Pure."""

from typing import ClassVar

from exporter.usage.sequences.rule import NO_TIME, Memory, Moment, Rule, Turn
from exporter.usage.sequences.settings import BurstSettings

BEFORE_ALL = float("-inf")


class Recent(Memory, frozen=True, array_like=True, gc=False):
    """The times of a key's last events, at most N and none older than the time, and when there was last one too many
    (Unix time)."""

    times: tuple[float, ...] = ()
    exceeded: float = BEFORE_ALL


class Burst(Rule):
    """The outcome is `burst`. An event is one too many when N others came in the time up to it; a burst begins with
    such an event, and ends once the time goes by without one.

    Two events of a key at one time are two. So an event that comes twice is counted twice here.
    """

    blank: ClassVar[Memory] = Recent()
    own: ClassVar[tuple[str, ...]] = ("burst",)

    def __init__(self, settings: BurstSettings) -> None:
        super().__init__(settings)
        self._most, self.horizon = settings.more_than, settings.within

    def look(self, memory: Recent, moment: Moment) -> Turn:
        """One more; perhaps one too many."""
        at = moment.time
        times = tuple(time for time in memory.times if at - time <= self.horizon)
        labels = memory.labels if times else moment.labels
        if len(times) < self._most:
            return Turn(Recent((), labels, (*times, at), memory.exceeded))
        recent = Recent((), labels, (*times[1:], at), at)
        return Turn(recent, "burst" if at - memory.exceeded > self.horizon else "")

    def due(self, memory: Recent) -> float:
        """When its last event is too old to matter."""
        return memory.times[-1] + self.horizon if memory.times else NO_TIME

    def lapse(self, memory: Recent) -> Turn:  # noqa: ARG002 - however many
        """It is forgotten."""
        return Turn(self.blank)

    def wait(self, waiting: tuple[Moment, ...], at: int) -> tuple[Moment, ...]:
        """An event with N before it and N after it, all within the time, makes no difference: those after it are too
        many without it, whatever else comes. So what is kept does not grow with how many come."""
        for place in (at, at - self._most, at + self._most):
            first, last = place - self._most, place + self._most
            if first >= 0 and last < len(waiting) and waiting[last].time - waiting[first].time <= self.horizon:
                return (*waiting[:place], *waiting[place + 1 :])
        return waiting

    def repeats(self, waiting: tuple[Moment, ...], moment: Moment) -> bool:  # noqa: ARG002 - see the class
        """Never known."""
        return False
