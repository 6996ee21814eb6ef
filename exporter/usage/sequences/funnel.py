"""A funnel: how many keys reach each step, and how long it takes them. Pure."""

from typing import ClassVar

from exporter.usage.sequences.rule import NO_TIME, Memory, Moment, Rule, Turn
from exporter.usage.sequences.settings import FunnelSettings


class Progress(Memory, frozen=True, array_like=True, gc=False):
    """How many steps a key has reached, when it reached the first and when the last (Unix time)."""

    reached: int = 0
    first: float = 0.0
    last: float = 0.0


class Funnel(Rule):
    """The outcomes are the steps: each key counts once for each step that it reaches in their order, with the seconds
    since the step before (none for the first). A step that comes before its turn is not looked at. `within` after its
    first step a key is forgotten, and may begin again."""

    blank: ClassVar[Memory] = Progress()

    def __init__(self, settings: FunnelSettings) -> None:
        super().__init__(settings)
        self._steps, self.horizon = settings.funnel, settings.within

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The steps, and what all rules have."""
        return (*self._steps, *super().outcomes)

    def look(self, memory: Progress, moment: Moment) -> Turn:
        """The next step is reached, or nothing happens."""
        if moment.event != memory.reached:
            return Turn(memory)
        step, at = self._steps[moment.event], moment.time
        if moment.event == 0:
            return Turn(Progress((), moment.labels, 1, at, at), step)
        return Turn(Progress((), memory.labels, memory.reached + 1, memory.first, at), step, at - memory.last)

    def due(self, memory: Progress) -> float:
        """When the time for the whole is over."""
        return memory.first + self.horizon if memory.reached else NO_TIME

    def lapse(self, memory: Progress) -> Turn:  # noqa: ARG002 - however far it came
        """The key is forgotten: what it did not reach was not counted."""
        return Turn(self.blank)
