"""What a source of events hands over, and what it is told: the seam between the sources and the counting."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import msgspec

from exporter.bodies import Reject

OWN = ""
"""The part of all that comes in no parts: over HTTP, from files. Its keys need a ledger that nobody shares."""


@dataclass(frozen=True)
class Position:
    """How far one part of a stream was read: stored in the transaction that stores what was counted up to there.

    `stream` is the source's name, `part` a partition or a file of it. `before` is what the ledger must hold for this to
    count, the empty text for a part that it does not know; `after` is what it holds from then on. `told` says for
    people where that begins.
    """

    stream: str
    part: str
    before: str
    after: str
    told: str = ""

    @property
    def begin(self) -> str:
        """Where what is counted begins, for people."""
        return self.told or f"{self.part} at {self.before or 'its beginning'}"


@dataclass
class Hold:
    """What a source reads of its stream: parts whose keys nobody else remembers meanwhile.

    The source's thread sets `until`, whole; the counting sets `lost`. Each only reads what the other sets.
    """

    parts: frozenset[str] = frozenset()
    watched: bool = False
    """Whether there are rules that remember keys, so that anybody asks for `until`."""
    until: Mapping[str, float] = field(default_factory=dict)
    """By part: all that was sent before this time (Unix) was delivered. A part that is not there stands still."""
    lost: bool = False
    """Somebody else has taken a part up, or rules about keys are new: `Partitioned.hold` has to be asked again."""


class Fenced(Exception):
    """The ledger's position of a part is not what the source believed: somebody else has read on, or holds its keys.
    Nothing was counted; the source has to begin anew from `Intake.positions`."""

    def __init__(self, stream: str, part: str) -> None:
        self.stream, self.part = stream, part
        super().__init__(f"{stream}: somebody else has read on in {part}")


class Taken(msgspec.Struct, frozen=True):
    """What became of a delivery. Every number counts events; `rejects` names the first of the rejected."""

    events: int
    matched: int
    rejected: int
    rejects: tuple[Reject, ...]
    lines: int = 0
    """Entries of a log that were read; most are no event."""
    defects: int = 0
    """Of the rejected, those that a defect of the exporter kept from being counted."""

    @property
    def unmatched(self) -> int:
        """Events that no rule counted."""
        return self.events - self.matched

    @property
    def is_refused(self) -> bool:
        """Whether nothing was counted, and that was the exporter's fault: it may be sent again to one without it."""
        return self.defects > 0 and not self.events


Format = Literal["json", "ndjson", "records", "lines"]
"""One JSON object or an array of them; one object a line; one object a record; lines of a log."""


class Delivery(NamedTuple):
    """What a source handed over: its name, the bytes, what they are, which entry of `usage.logs` reads lines, and what
    `Partitioned.take` tells of a part."""

    source: str
    body: bytes | Sequence[bytes]
    form: Format
    log: str = ""
    part: str = OWN
    sent: Sequence[float] = ()

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.body) if isinstance(self.body, bytes) else sum(map(len, self.body))


class Intake(Protocol):
    """Where sources deliver. What is delivered is counted and durable, with its positions, when `take` returns."""

    async def take(
        self, source: str, body: bytes | Sequence[bytes], form: Format, positions: Sequence[Position] = ()
    ) -> Taken:
        """Counts `body`, which came from `source` (a name in the configuration): `records` as a sequence, `lines` as a
        piece or as a sequence of messages that each stand alone, whatever else as a piece. Raises Fenced, or
        StorageUnavailable: then nothing was counted, and it may be tried again."""

    async def positions(self, stream: str) -> Mapping[str, str]:
        """How far each part of `stream` was read, by part."""


class Partitioned(Intake, Protocol):
    """Where sources deliver whose streams are divided, each part being read by one process at a time."""

    async def take(
        self,
        source: str,
        body: bytes | Sequence[bytes],
        form: Format,
        positions: Sequence[Position] = (),
        *,
        part: str = "",
        sent: Sequence[float] = (),
    ) -> Taken:
        """As Intake.take, of one `part` that is held. `sent` says when each record, or message of lines, was sent (Unix
        time)."""

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        """From now on these parts of `stream` are read here, and no others: what is remembered of their keys is taken
        up. Raises Fenced when somebody else takes them at this moment, or StorageUnavailable."""

    def release(self, stream: str) -> None:
        """Nothing of `stream` is read here any more. Nothing is stored. From the event loop's thread only."""
