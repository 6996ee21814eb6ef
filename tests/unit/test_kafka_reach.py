"""Up to when the keys of a partition were read: by messages while some wait, by the broker's word once none does."""

import pytest

from exporter.usage.sources.kafka.offsets import Part
from exporter.usage.sources.kafka.reach import End, keys_part, until

ORDERS, PAYMENTS, CLICKS = ("orders", 3), ("payments", 3), ("clicks", 3)
THREE, ELSE = "kafka:shop/3 of 12", "kafka:shop/3 of 4"
PARTS = {ORDERS: THREE, PAYMENTS: THREE, CLICKS: ELSE}

TIMELINES: list[tuple[str, dict[Part, int], dict[Part, End], dict[Part, float], dict[str, float]]] = [
    ("nothing waits: all was sent before the broker was asked", {ORDERS: 7}, {ORDERS: End(7, 100.0)}, {ORDERS: 60.0}, {THREE: 100.0}),
    ("what came since makes no difference", {ORDERS: 9}, {ORDERS: End(7, 100.0)}, {ORDERS: 101.0}, {THREE: 100.0}),
    ("an empty partition was read as soon as the broker says so", {ORDERS: 0}, {ORDERS: End(0, 100.0)}, {}, {THREE: 100.0}),
    ("messages wait: the last one's time counts", {ORDERS: 6}, {ORDERS: End(7, 100.0)}, {ORDERS: 60.0}, {THREE: 60.0}),
    ("messages wait, and none was read yet", {ORDERS: 6}, {ORDERS: End(7, 100.0)}, {}, {}),
    ("no broker has answered yet", {ORDERS: 6}, {}, {ORDERS: 60.0}, {THREE: 60.0}),
    ("of two topics the one that lags counts", {ORDERS: 7, PAYMENTS: 6}, {ORDERS: End(7, 100.0), PAYMENTS: End(7, 100.0)}, {PAYMENTS: 60.0}, {THREE: 60.0}),
    ("one of which nothing is known holds the other back", {ORDERS: 7, PAYMENTS: 6}, {ORDERS: End(7, 100.0), PAYMENTS: End(7, 100.0)}, {}, {}),
    ("and that in any order", {PAYMENTS: 6, ORDERS: 7}, {ORDERS: End(7, 100.0), PAYMENTS: End(7, 100.0)}, {}, {}),
    ("a topic with fewer partitions stands apart", {ORDERS: 7, CLICKS: 6}, {ORDERS: End(7, 100.0), CLICKS: End(7, 100.0)}, {CLICKS: 60.0}, {THREE: 100.0, ELSE: 60.0}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("read", "ends", "sent", "expected"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES]
)
def test_it_was_read(
    read: dict[Part, int], ends: dict[Part, End], sent: dict[Part, float], expected: dict[str, float]
) -> None:
    assert until({part: PARTS[part] for part in read}, read, ends, sent) == expected


def test_a_key_that_is_in_two_topics_meets_itself_where_they_have_equally_many_partitions() -> None:
    assert keys_part("kafka:shop", 3, 12) == THREE
    assert keys_part("kafka:shop", 3, 4) == ELSE
