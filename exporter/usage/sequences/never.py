"""Never C before B: each key is judged once. Pure."""

from typing import ClassVar

from exporter.usage.sequences.rule import NO_TIME, Memory, Moment, Rule, Turn
from exporter.usage.sequences.settings import NeverSettings

BEFORE = 0
"""The place of B among the rule's events; the other is C."""
NOTHING, ALLOWED, JUDGED = range(3)
"""Neither came; B came, so C may; C came."""


class Order(Memory, frozen=True, array_like=True, gc=False):
    """How a key stands. `last` is when its last event came (Unix time)."""

    stage: int = NOTHING
    last: float = 0.0


class Never(Rule):
    """Outcomes: `kept` (C came after B), `violated` (C came and no B before it). What comes after the first C changes
    nothing until the key is forgotten."""

    blank: ClassVar[Memory] = Order()
    own: ClassVar[tuple[str, ...]] = ("kept", "violated")
    by_absence: ClassVar[frozenset[str]] = frozenset({"violated"})

    def __init__(self, settings: NeverSettings) -> None:
        super().__init__(settings)
        self.horizon = settings.forget

    def look(self, memory: Order, moment: Moment) -> Turn:
        """The first C is judged by whether B came."""
        labels = moment.labels if memory.stage == NOTHING else memory.labels
        if memory.stage == JUDGED or moment.event == BEFORE:
            return Turn(Order((), labels, max(memory.stage, ALLOWED), moment.time))
        return Turn(Order((), labels, JUDGED, moment.time), "violated" if memory.stage == NOTHING else "kept")

    def due(self, memory: Order) -> float:
        """When the key is forgotten."""
        return memory.last + self.horizon if memory.stage else NO_TIME

    def lapse(self, memory: Order) -> Turn:  # noqa: ARG002 - whatever it was
        """It is forgotten."""
        return Turn(self.blank)
