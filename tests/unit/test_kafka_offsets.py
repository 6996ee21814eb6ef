"""Where reading a partition begins, what a batch of messages amounts to, and when old messages are being read."""

from dataclasses import dataclass
from typing import Literal

import pytest

from exporter.usage.sources.kafka.offsets import Beginning, Progress, begin, gather


@dataclass(frozen=True)
class Sent:
    """A message as the client library has it."""

    at: int
    body: bytes | None = b"x"
    of: int = 0
    stamp: tuple[int, int] = (1, 5_000)

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return self.of

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.body

    def timestamp(self) -> tuple[int, int]:
        return self.stamp


BEGINNINGS = [
    ("what the ledger holds counts", "7", 0, 9, "earliest", Beginning(7, "ledger")),
    ("all was read", "9", 0, 9, "earliest", Beginning(9, "ledger")),
    ("the ledger counts, also where new partitions begin at the end", "7", 0, 9, "latest", Beginning(7, "ledger")),
    ("an unknown partition begins at its first message", "", 3, 9, "earliest", Beginning(3, "start")),
    ("or after its last", "", 3, 9, "latest", Beginning(9, "start")),
    ("retention cut off what was not read yet", "7", 20, 30, "latest", Beginning(20, "cut_off", 13)),
    ("retention cut off exactly what was read", "7", 7, 30, "earliest", Beginning(7, "ledger")),
    ("the topic was made anew", "70", 0, 9, "earliest", Beginning(0, "beyond_end")),
]


@pytest.mark.parametrize(
    ("stored", "low", "high", "start", "expected"), [row[1:] for row in BEGINNINGS], ids=[row[0] for row in BEGINNINGS]
)
def test_a_partition_is_read_from(
    stored: str, low: int, high: int, start: Literal["earliest", "latest"], expected: Beginning
) -> None:
    assert begin(stored, low, high, start) == expected


FROM = {("orders", 0): 5, ("orders", 1): 0}
BATCHES = [
    ("in the order of the partition", [Sent(5, b"a"), Sent(6, b"b")], {0: (b"a", b"b")}, 0, {0: 7}),
    ("offsets have gaps", [Sent(5, b"a"), Sent(99, b"b")], {0: (b"a", b"b")}, 0, {0: 100}),
    ("a tombstone is read and is no record", [Sent(5, None), Sent(6, b"b")], {0: (b"b",)}, 1, {0: 7}),
    ("nothing but tombstones", [Sent(5, None)], {}, 1, {0: 6}),
    ("an empty value is a record", [Sent(5, b"")], {0: (b"",)}, 0, {0: 6}),
    ("what was counted before is left out", [Sent(3), Sent(4), Sent(5, b"a")], {0: (b"a",)}, 0, {0: 6}),
    ("a message that comes twice counts once", [Sent(5, b"a"), Sent(5, b"a")], {0: (b"a",)}, 0, {0: 6}),
    (
        "partitions stand apart",
        [Sent(5, b"a"), Sent(0, b"c", 1), Sent(6, b"b")],
        {0: (b"a", b"b"), 1: (b"c",)},
        0,
        {0: 7, 1: 1},
    ),
    ("a partition that is another's", [Sent(5, b"z", 2)], {}, 0, {}),
    ("nothing came", [], {}, 0, {}),
]


@pytest.mark.parametrize(
    ("messages", "records", "tombstones", "ends"), [row[1:] for row in BATCHES], ids=[row[0] for row in BATCHES]
)
def test_a_batch_holds(
    messages: list[Sent], records: dict[int, tuple[bytes, ...]], tombstones: int, ends: dict[int, int]
) -> None:
    batch = gather(messages, FROM)
    assert batch.records == {("orders", number): held for number, held in records.items()}
    assert batch.tombstones == tombstones
    assert batch.next == {("orders", number): offset for number, offset in ends.items()}


def test_the_last_timestamp_of_each_partition_is_known_where_messages_have_one() -> None:
    batch = gather([Sent(5), Sent(6, stamp=(1, 8_500)), Sent(0, of=1, stamp=(0, -1))], FROM)
    assert batch.timestamps == {("orders", 0): 8.5}
    assert batch.sent == {("orders", 0): (5.0, 8.5)}


PROGRESS = [
    ("nothing is left", Progress("orders", 0, 0, 10.0), False),
    ("what is left is old", Progress("orders", 0, 5, 10.0), True),
    ("what is left is of now", Progress("orders", 0, 5, 990.0), False),
    ("nothing was read yet of what is left", Progress("orders", 0, 5, None), True),
]


@pytest.mark.parametrize(("progress", "behind"), [row[1:] for row in PROGRESS], ids=[row[0] for row in PROGRESS])
def test_a_source_catches_up_when(progress: Progress, behind: bool) -> None:
    assert progress.is_behind(now=1000.0, seconds=60.0) is behind
