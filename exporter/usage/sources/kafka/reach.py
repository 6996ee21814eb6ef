"""How far the keys of a partition were read: whatever was sent before that time was counted. Pure.

A message's own timestamp says that while messages wait. Once none waits the broker has to be asked, for a client that
hears nothing can't tell silence from a line that is cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.usage.sources.kafka.offsets import Part


def keys_part(stream: str, partition: int, partitions: int) -> str:
    """The part to which the keys of a partition belong, of a topic with so many `partitions`: topics with equally many
    are shared out alike, so a key that is in two of them meets itself."""
    return f"{stream}/{partition} of {partitions}"


@dataclass(frozen=True)
class End:
    """A partition's end (the offset after the last message) as a broker told it when it was asked (Unix time)."""

    offset: int
    asked: float


def until(
    parts: Mapping[Part, str], read: Mapping[Part, int], ends: Mapping[Part, End], sent: Mapping[Part, float]
) -> dict[str, float]:
    """By part of the keys, how far all of its partitions were read (Unix time); without those of which that is not
    known.

    `read` are the offsets of the next messages, `sent` when the last one of each partition was sent, if any was read.
    """
    found: dict[str, float | None] = {}
    for partition, part in parts.items():
        reached = _reached(read[partition], ends.get(partition), sent.get(partition))
        before = found.get(part, reached)
        found[part] = None if reached is None or before is None else min(before, reached)
    return {part: reached for part, reached in found.items() if reached is not None}


def _reached(read: int, end: End | None, sent: float | None) -> float | None:
    return end.asked if end is not None and read >= end.offset else sent
