"""What every kind of rule is: decisions about one key's events in the order of their time. Pure.

A rule never sees events out of order, and never the clock: `keys.py` hands it one event after the other, and asks it
between them what time alone has brought about.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import msgspec

from exporter.usage.sequences.settings import COMMON, SequenceSettings

Labels = tuple[str, ...]
"""Label values, in the order of the rule's labels."""
NO_TIME = math.inf
"""When nothing is due."""
UNKNOWN = "unknown"
"""What an absence counts as while keys are evicted: the key may have been one of those."""
MOST_WAITING = 64
"""So many events of a key wait for the watermark, where a rule needs each of them."""


class Outcome(NamedTuple):
    """One thing to count: the rule's name, what happened, under which label values, and how long it took (seconds)
    where the rule measures that."""

    rule: str
    name: str
    labels: Labels
    seconds: float | None = None


class Moment(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """One event of a key: when it happened (Unix time), which of the rule's events it is, its label values.

    Moments sort by time; those of one time by the rule's order of events.
    """

    time: float
    event: int
    labels: Labels


class Memory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a key: the events that wait for the watermark, sorted, and the labels of the event with
    which what is remembered began. Each kind of rule adds its own; the defaults are those of a key without a past."""

    waiting: tuple[Moment, ...] = ()
    labels: Labels = ()


class Turn(NamedTuple):
    """What comes of an event, or of time: what is remembered now, what happened (if anything), how long it took."""

    memory: Any
    outcome: str = ""
    seconds: float | None = None


class Rule(ABC):
    """One rule. What is remembered is always a `Memory` of its `blank`'s type."""

    blank: ClassVar[Memory]
    """What is remembered of a key that nothing is remembered of."""
    own: ClassVar[tuple[str, ...]] = ()
    """The outcomes beside COMMON."""
    timed: ClassVar[tuple[str, ...]] = ()
    """Those of them that come with seconds."""
    knows_silence: ClassVar[bool] = False
    """Whether `is_silent` may be true."""
    by_absence: ClassVar[frozenset[str]] = frozenset()
    """Those that say that something did not happen before."""

    def __init__(self, settings: SequenceSettings) -> None:
        self.settings = settings
        self.name, self.lateness, self.max_keys = settings.name, settings.lateness, settings.max_keys
        self.version = settings.version()
        self.events = {event: place for place, (_, event) in enumerate(settings.mentions())}
        self.horizon = 0.0
        """How long after its last event a key may be remembered (seconds)."""

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Every outcome there can be: their series start at 0."""
        return (*self.own, *([UNKNOWN] if self.by_absence else []), *COMMON)

    @abstractmethod
    def look(self, memory: Any, moment: Moment) -> Turn:
        """An event happened, later than all before it or at the same time as the last."""

    @abstractmethod
    def due(self, memory: Any) -> float:
        """Once this time (Unix) has gone by without an event, `lapse` is to be asked. Infinity for a blank memory."""

    @abstractmethod
    def lapse(self, memory: Any) -> Turn:
        """The time `due` has gone by."""

    def is_silent(self, memory: Any) -> bool:  # noqa: ARG002 - only one kind of rule knows silence
        """Whether the key counts as silent now."""
        return False

    def wait(self, waiting: tuple[Moment, ...], at: int) -> tuple[Moment, ...] | None:  # noqa: ARG002 - see below
        """`waiting` has a new event at place `at`: what of it has to be kept, so that the same outcomes follow
        whatever else comes in between. None where that is more than fits."""
        return waiting if len(waiting) <= MOST_WAITING else None

    def repeats(self, waiting: tuple[Moment, ...], moment: Moment) -> bool:
        """Whether `moment` is an event that waits already, come a second time."""
        return moment in waiting
