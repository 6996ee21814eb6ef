"""The audit: timelines of what it sees each minute, and what it then says."""

import pytest

from receiver.upkeep.audit import MAY_STAND_SECONDS, Mark, Queue, Seen, audit, of_queues

EVENT = Mark("events_unprocessed", "1")
OTHER = Mark("events_unprocessed", "2")


def chat(attempts: int = 0, unfinished: int = 3) -> Mark:
    return Mark("rows_overdue", "chat", (unfinished, attempts), unfinished)


def lease(until: float) -> Mark:
    return Mark("lease_expired", "7", (until, "us"))


Look = tuple[float, list[Mark]]
TIMELINES: list[tuple[str, list[Look], dict[str, int]]] = [
    ("nothing waits", [(0, []), (60, [])], {}),
    ("an event that waits for a minute", [(0, [EVENT]), (60, [EVENT])], {}),
    ("an event that waits for two minutes", [(0, [EVENT]), (60, [EVENT]), (120, [EVENT])], {"events_unprocessed": 1}),
    ("another event at each look: it is worked off", [(0, [EVENT]), (60, [EVENT, OTHER]), (120, [OTHER])], {}),
    ("an event that was worked off in the end", [(0, [EVENT]), (120, [EVENT]), (180, [])], {}),
    ("a queue that is tried again and again", [(0, [chat(1)]), (300, [chat(2)]), (600, [chat(3)]), (900, [chat(4)])], {}),
    ("a queue that grows and shrinks", [(0, [chat(1, 3)]), (300, [chat(1, 4)]), (600, [chat(1, 3)])], {}),
    ("a queue that nobody touches for five minutes", [(0, [chat()]), (300, [chat()])], {}),
    ("a queue that nobody touches for ten, all its messages", [(0, [chat()]), (300, [chat()]), (600, [chat()])], {"rows_overdue": 3}),
    ("a lease that is renewed", [(0, [lease(30)]), (60, [lease(90)]), (120, [lease(150)]), (180, [lease(210)])], {}),
    ("a lease that stands still", [(0, [lease(30)]), (60, [lease(30)]), (120, [lease(30)]), (180, [lease(30)])], {"lease_expired": 1}),
    ("a store that can't be read, at once", [(0, [Mark("store_unreadable", "")])], {"store_unreadable": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("looks", "found"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES])
def test_what_stands_still_for_too_long(looks: list[Look], found: dict[str, int]) -> None:
    seen: Seen = {}
    last: object = None
    for at, marks in looks:
        seen, last = audit(seen, marks, at)
    assert last == found


def test_every_finding_has_its_time() -> None:
    assert set(MAY_STAND_SECONDS) == {mark.finding for mark in (EVENT, chat(), lease(0))} | {
        "incident_without_alert",
        "notice_without_rows",
        "rows_unserved",
        "store_unreadable",
    }


def queue(target: str = "chat", due: int = 0, put_off: int = 0) -> Queue:
    return Queue(target, 4, due, put_off, 2)


QUEUES = [
    ("one that is due", queue(due=3), [Mark("rows_overdue", "chat", (4, 2))]),
    ("one that is being sent", queue(), []),
    ("one that is to be tried again later, and the rest waits for that", queue(due=3, put_off=1), []),
    ("one that nobody serves, due or not", queue("gone", put_off=1), [Mark("rows_unserved", "gone")]),
]


@pytest.mark.parametrize(("given", "marks"), [row[1:] for row in QUEUES], ids=[row[0] for row in QUEUES])
def test_what_is_marked_of_the_outbox(given: Queue, marks: list[Mark]) -> None:
    assert of_queues([given], ["chat"]) == marks
