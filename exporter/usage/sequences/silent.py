"""Silent for a time: a key from which events came, and none come any more. Pure."""

from typing import ClassVar

from exporter.usage.sequences.rule import NO_TIME, Memory, Moment, Rule, Turn
from exporter.usage.sequences.settings import SilentSettings


class Life(Memory, frozen=True, array_like=True, gc=False):
    """When a key's last event came (Unix time; -infinity for none), and whether it counts as silent since."""

    last: float = -NO_TIME
    silent: bool = False


class Silent(Rule):
    """Outcomes: `silent` (once for each silence), `back` (with the seconds that it was silent for), `forgotten` (it
    stayed silent for `for` and then `forget`)."""

    blank: ClassVar[Memory] = Life()
    own: ClassVar[tuple[str, ...]] = ("silent", "back", "forgotten")
    timed: ClassVar[tuple[str, ...]] = ("back",)
    knows_silence: ClassVar[bool] = True

    def __init__(self, settings: SilentSettings) -> None:
        super().__init__(settings)
        self._for, self._forget = settings.duration, settings.forget
        self.horizon = self._for + self._forget

    def look(self, memory: Life, moment: Moment) -> Turn:
        """A sign of life."""
        life = Life((), memory.labels or moment.labels, moment.time)
        return Turn(life, "back", moment.time - memory.last) if memory.silent else Turn(life)

    def due(self, memory: Life) -> float:
        """When it becomes silent, else when it is forgotten."""
        if memory.last == -NO_TIME:
            return NO_TIME
        return memory.last + (self.horizon if memory.silent else self._for)

    def lapse(self, memory: Life) -> Turn:
        """It fell silent, or stayed so."""
        if memory.silent:
            return Turn(self.blank, "forgotten")
        return Turn(Life((), memory.labels, memory.last, silent=True), "silent")

    def is_silent(self, memory: Life) -> bool:
        """Whether it is."""
        return memory.silent

    def wait(self, waiting: tuple[Moment, ...], at: int) -> tuple[Moment, ...]:
        """An event whose neighbours are at most `for` apart ends no silence and begins none: a key that never stops
        keeps two."""
        for place in (at, at - 1, at + 1):
            if 0 < place < len(waiting) - 1 and waiting[place + 1].time - waiting[place - 1].time <= self._for:
                return (*waiting[:place], *waiting[place + 1 :])
        return waiting
