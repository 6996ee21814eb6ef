"""Where a partition's reading begins, and what a batch of messages amounts to. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Part = tuple[str, int]
"""A topic and one partition of it."""


def name_of(part: Part) -> str:
    """The partition as the ledger calls it."""
    return f"{part[0]}/{part[1]}"


@dataclass(frozen=True)
class Beginning:
    """The offset of the first message to read, and why it is that one. `lost` is how many offsets were cut off."""

    offset: int
    reason: Literal["ledger", "start", "cut_off", "beyond_end"]
    lost: int = 0


def begin(stored: str, low: int, high: int, start: Literal["earliest", "latest"]) -> Beginning:
    """Where to begin in a partition that holds the offsets from `low` up to, and without, `high`.

    `stored` is the ledger's offset of the next message, the empty text where it knows none: then `start` decides.
    """
    if not stored:
        return Beginning(low if start == "earliest" else high, "start")
    at = int(stored)
    if at < low:
        return Beginning(low, "cut_off", low - at)
    if at > high:  # the topic was made anew: its old offsets mean nothing
        return Beginning(low, "beyond_end")
    return Beginning(at, "ledger")


class Message(Protocol):
    """What we need of the client library's message."""

    def topic(self) -> str:
        """The topic."""
        ...

    def partition(self) -> int:
        """The partition's number."""
        ...

    def offset(self) -> int:
        """The place in the partition."""
        ...

    def value(self) -> bytes | None:
        """What was sent; None is a tombstone."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The timestamp's kind (0: there is none), and milliseconds since the epoch."""
        ...


@dataclass(frozen=True)
class Batch:
    """Messages to be counted together: a partition's stand one after another, in its order.

    `next` has for each partition the offset of the next message; `sent` when each record was sent or stored (of
    those partitions where every message says so), and `timestamps` when the last message was, in seconds since the
    epoch.
    """

    records: Mapping[Part, tuple[bytes, ...]]
    sent: Mapping[Part, tuple[float, ...]]
    tombstones: int
    next: Mapping[Part, int]
    timestamps: Mapping[Part, float]


def gather(messages: Iterable[Message], next_offsets: Mapping[Part, int]) -> Batch:
    """The batch that `messages` are, of those at `next_offsets` or behind.

    Offsets may have gaps: compaction removes messages, and a transaction's marker takes an offset. What is of another
    partition, or was counted before, is left out.
    """
    ends: dict[Part, int] = {}
    records: dict[Part, list[bytes]] = {}
    sent: dict[Part, list[float]] = {}
    last: dict[Part, Message] = {}
    tombstones = 0
    for message in messages:
        part, offset = (message.topic(), message.partition()), message.offset()
        if part not in next_offsets or offset < ends.get(part, next_offsets[part]):
            continue
        ends[part], last[part] = offset + 1, message
        value = message.value()
        if value is None:
            tombstones += 1
        else:
            records.setdefault(part, []).append(value)
            sent.setdefault(part, []).append(_seconds(message))
    stamps = {part: stamp for part, message in last.items() if (stamp := _seconds(message))}
    known = {part: tuple(stamps) for part, stamps in sent.items() if all(stamps)}
    return Batch({part: tuple(values) for part, values in records.items()}, known, tombstones, ends, stamps)


def _seconds(message: Message) -> float:
    """0 where it does not say."""
    kind, milliseconds = message.timestamp()
    return milliseconds / 1000 if kind else 0.0


@dataclass(frozen=True)
class Progress:
    """How far one partition was read: what is left of it in messages, and when the last one read was sent or stored (in
    seconds since the epoch; None before the first)."""

    topic: str
    partition: int
    lag: int
    timestamp: float | None

    def is_behind(self, now: float, seconds: float) -> bool:
        """Whether what is read now are messages older than `seconds`, and so no sign of what happens now."""
        return self.lag > 0 and (self.timestamp is None or now - self.timestamp > seconds)
