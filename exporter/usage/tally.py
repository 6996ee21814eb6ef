"""What one delivery held: the plan of each event, what was rejected, and what of it can be shown. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from exporter.bodies import MAX_REJECTS_NAMED, Reject
from exporter.usage.book import Labels, Series
from exporter.usage.contract import Breach, CompiledContract, Event
from exporter.usage.delivery import Taken
from exporter.usage.logs.reader import Read
from exporter.usage.measures import Exemplary, Measure
from exporter.usage.rejects import MAX_SAMPLE_BYTES, MAX_SAMPLES, Sample

Watched = tuple[str, Callable[[Event], Any], Labels]
"""A rule about keys that an event is for: its name, what reads the key, the event's label values for it."""


class Plan:
    """What is to be done with every event of one key: which series count it, which measure it, or what is wrong."""

    __slots__ = (
        "breach",
        "contract",
        "counts",
        "dated",
        "exemplary",
        "matched",
        "measures",
        "pending",
        "simple",
        "unknown",
        "watched",
    )

    def __init__(self) -> None:
        self.counts: tuple[Series, ...] = ()
        self.measures: tuple[tuple[Series, Measure, str], ...] = ()
        self.exemplary: tuple[tuple[Series, Exemplary], ...] = ()
        self.watched: tuple[Watched, ...] = ()
        self.matched = False
        self.unknown = False
        """Nobody declared an event of this name."""
        self.breach: Breach | None = None
        self.contract: CompiledContract | None = None
        """Set where the events themselves have to be looked at too."""
        self.dated = False
        """Whether it matters when each of them was sent."""
        self.simple = False
        """Whether nothing of the events is needed but their number."""
        self.pending: Callable[[float], None] | None = None
        """Finds the series at a time (Unix), as long as nobody has: an event that is rejected makes none."""

    def settle(self, now: float) -> None:
        """An event counts: from now on the plan has its series."""
        if self.pending is not None:
            self.pending(now)
            self.pending = None


class Tally(msgspec.Struct):
    """What one delivery held, so far. There are thousands a second; a dataclass takes twice as long to make."""

    source: str
    now: float
    events: int = 0
    matched: int = 0
    unknown: int = 0
    numbers: list[Mapping[Plan, int]] = []
    """How many events each plan is for, by piece."""
    groups: list[tuple[Plan, list[Event]]] = []
    """The events of the plans that measure them."""
    rejected: dict[str, int] = {}
    """How many, by reason."""
    rejects: list[Reject] = []
    samples: dict[str, list[Sample]] = {}
    lines: int = 0
    """Entries of a log that were read."""
    cut: int = 0
    """Those of which only the beginning was looked at."""
    idle: int = 0
    """Those that are no event."""
    begun: int = 0
    """How many lines or records came before those of `before`."""
    before: list[bytes | Sequence[bytes]] = []
    """The pieces of the body before the one at hand, as far as nobody has asked what they hold."""
    part: str = ""
    """The part of a stream that it came in, if it came in any."""
    sent: Sequence[float] = ()
    """When each record or message was sent (Unix time), where that is known."""
    dates: dict[int, float] = {}
    """By the identity of an event, when its record or message was sent, where that is known and matters."""

    def dated(self, events: Iterable[tuple[int, Event]]) -> None:
        """Notes when these events were sent, each with the place of its record, from 1, within the piece. They stay
        until it is counted."""
        passed = self._passed()
        self.dates.update((id(event), self.sent[passed + place - 1]) for place, event in events)

    def reject(self, place: int, breach: Breach, raw: bytes) -> None:
        """One can't be counted; `place` is its line or its place in the array, from 1, within the piece."""
        self.rejected[breach.why] = self.rejected.get(breach.why, 0) + 1
        if len(self.rejects) < MAX_REJECTS_NAMED:
            self.rejects.append(Reject(self._passed() + place, breach.detail))
        self.sample(breach, place, raw)

    def sample(self, breach: Breach, place: int, raw: bytes) -> None:
        """Keeps some of those that people will want to look at."""
        kept = self.samples.setdefault(breach.why, [])
        if len(kept) < MAX_SAMPLES:
            position = self._passed() + place
            shown = raw[:MAX_SAMPLE_BYTES]
            kept.append(Sample(self.now, self.source, breach.event, breach.detail, shown, position))

    def _passed(self) -> int:
        """How many lines or records came before the piece at hand. They are counted once, when they are asked for."""
        self.begun += sum(piece.count(b"\n") if isinstance(piece, bytes) else len(piece) for piece in self.before)
        self.before.clear()
        return self.begun

    @property
    def taken(self) -> Taken:
        """What the sender is told."""
        rejected, defects = sum(self.rejected.values()), self.rejected.get("defect", 0)
        return Taken(self.events, self.matched, rejected, tuple(self.rejects), self.lines, defects)


class Places(Protocol):
    """Where the events of a piece stood in it."""

    def __getitem__(self, event: int, /) -> tuple[int, bytes]:
        """The place, from 1, and the bytes of an event by its number among the decoded ones."""

    def place(self, event: int) -> int:
        """The place alone."""


class LogRaws:
    """The lines of a log that events were made of. `numbers` has, for each that was kept, its number among all."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.numbers: list[int] = []

    def first(self, number: int) -> tuple[int, bytes]:
        """The place and the text of the line in which the entry of an event begins, by its number among all."""
        return self.shown(self._read.lines.number(self._read.starts[number]))

    def shown(self, line: int) -> tuple[int, bytes]:
        """The place and the text of a line by its number, from 1."""
        return self._read.lines.place(line), self._read.lines.text(line)

    def __getitem__(self, event: int) -> tuple[int, bytes]:
        """As `first`, by the event's number among those that were kept."""
        return self.first(self.numbers[event])

    def place(self, event: int) -> int:
        """The place alone."""
        lines = self._read.lines
        return lines.place(lines.number(self._read.starts[self.numbers[event]]))


class Raws:
    """The bytes of each event of a piece, looked for only when one has to be shown."""

    def __init__(
        self, pieces: bytes | Sequence[bytes], places: Sequence[int] | None = None, array: bool = False
    ) -> None:
        self._pieces, self._places, self._array = pieces, places, array

    def __getitem__(self, event: int) -> tuple[int, bytes]:
        """The place, from 1, and the bytes of an event by its number among the decoded ones."""
        if isinstance(self._pieces, bytes):
            split = items_of(self._pieces) if self._array else self._pieces.split(b"\n")
            self._places = [place for place, raw in enumerate(split, start=1) if raw.strip()]
            self._pieces = split
        place = self.place(event)
        return place, bytes(self._pieces[place - 1]) if place <= len(self._pieces) else b""

    def place(self, event: int) -> int:
        """The place alone, of what came as records."""
        return self._places[event] if self._places is not None else event + 1


def items_of(body: bytes) -> list[bytes]:
    """The items of a JSON array as bytes; the whole where it is none."""
    try:
        return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [body]
