"""What one target is told of one incident, in tables, and whatever happens."""

import random
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from receiver.alerts import Status
from receiver.delivery.outbox import FURTHEST_SECONDS, UNFINISHED, Claimed, Receipt, Result, State, after
from receiver.delivery.turn import PACE_SECONDS, Row, Turn, choose
from receiver.message import Message

NOW = 1000.0
AGO = NOW - 10
"""A moment within the pace."""


def firing(state: State = "planned", **more: float | bool | str) -> Row:
    return row("firing", state, **more)


def warned() -> Row:
    return firing("sent", finished_at=AGO, severity="warning")


def rose() -> Row:
    return firing(severity="critical")


def ended(state: State = "planned", **more: float | bool | str) -> Row:
    return row("resolved", state, **more)


def row(status: Status, state: State, **more: float | bool | str) -> Row:
    """A row whose place in its history gives it its id and revision."""
    done = None if state in UNFINISHED else NOW - 500
    unknown = replace(Row(0, 0, status, state, state == "unknown", NOW - 500, NOW - 500, done))
    return replace(unknown, **more)  # type: ignore[arg-type]  # the tests name fields of Row


HISTORIES: list[tuple[str, list[Row], str, int | None, tuple[int, ...], str]] = [
    # name, rows from the oldest to the newest, reason, id that is sent, ids that are replaced, marks
    ("nothing", [], "nothing", None, (), ""),
    ("the first message", [firing()], "due", 1, (), ""),
    ("an end after its beginning", [firing("sent"), ended()], "due", 2, (), ""),
    ("nothing while another is under way", [firing("sending"), ended()], "in_flight", None, (), ""),
    ("a failed one waits for its time", [firing("failed", next_attempt_at=NOW + 5)], "not_due", 1, (), ""),
    ("a clock set back a day holds nothing up", [firing("failed", next_attempt_at=NOW + 86400)], "due", 1, (), ""),
    ("a newer one replaces what failed", [firing("failed", next_attempt_at=NOW + 5), firing()], "due", 2, (1,), ""),
    (
        "a newer one that waits replaces too",
        [firing("unknown"), firing("failed", next_attempt_at=NOW + 5)],
        "not_due",
        2,
        (1,),
        "repeat",
    ),
    ("an end replaces its untold beginning and says so", [firing("failed"), ended()], "due", 2, (1,), "untold"),
    ("an end replaces what was never tried and says so", [firing(), ended()], "due", 2, (1,), "untold"),
    ("an end replaces what may have arrived and says so", [firing("unknown"), ended()], "due", 2, (1,), "untold"),
    ("an end whose beginning was given up says so", [firing("dead"), ended()], "due", 2, (), "untold"),
    ("an end tried once may be a repeat", [firing("sent"), ended("unknown")], "due", 2, (), "repeat"),
    ("a lost firing before a newer one makes it a repeat", [firing("unknown"), firing()], "due", 2, (1,), "repeat"),
    (
        "so does one that was replaced long ago",
        [firing("superseded", may_repeat=True), firing()],
        "due",
        2,
        (),
        "repeat",
    ),
    (
        "not one before what was surely heard",
        [firing("superseded", may_repeat=True), ended("sent"), firing()],
        "due",
        3,
        (),
        "",
    ),
    (
        "an unheard flap after an end is not told",
        [firing("sent"), ended("sent"), firing(), ended()],
        "told_already",
        None,
        (3, 4),
        "",
    ),
    ("nor a second end", [firing("sent"), ended("sent"), ended()], "told_already", None, (3,), ""),
    (
        "but a long one that could not be told is",
        [firing("sent"), ended("sent"), firing("failed", planned_at=AGO - 600), ended()],
        "due",
        4,
        (3,),
        "untold",
    ),
    (
        "and one that may have arrived is",
        [firing("sent"), ended("sent"), firing("unknown"), ended()],
        "due",
        4,
        (3,),
        "untold",
    ),
    ("an unheard end between two firings is left out", [firing("sent"), ended("failed"), firing()], "due", 3, (2,), ""),
    ("a firing within the pace waits for it", [firing("sent", finished_at=AGO), firing()], "paced", 2, (), ""),
    ("an end does not", [firing("sent", finished_at=AGO), firing(), ended()], "due", 3, (2,), ""),
    ("nor what has become worse", [warned(), rose()], "due", 2, (), ""),
    ("nor what came after that", [warned(), rose(), rose()], "due", 3, (2,), ""),
    ("but what is no worse does", [warned(), firing(severity="warning")], "paced", 2, (), ""),
    (
        "one that is held waits for its time",
        [firing(next_attempt_at=NOW + 86400, held_until=NOW + 86400)],
        "not_due",
        1,
        (),
        "",
    ),
    (
        "one that was held by a clock a year ahead holds nothing up",
        [firing(planned_at=NOW + 2 * 86400, next_attempt_at=NOW + 3 * 86400, held_until=NOW + 3 * 86400)],
        "due",
        1,
        (),
        "",
    ),
    (
        "one that is not held any more replaces what is",
        [firing(next_attempt_at=NOW + 86400, held_until=NOW + 86400), firing()],
        "due",
        2,
        (1,),
        "",
    ),
    (
        "one that comes back after an end that was told does not either",
        [firing("sent", finished_at=AGO), ended("sent"), firing()],
        "due",
        3,
        (),
        "",
    ),
    (
        "a firing sent tomorrow, by a wrong clock, holds nothing up",
        [firing("sent", finished_at=NOW + 86400), firing()],
        "due",
        2,
        (),
        "",
    ),
    (
        "an older one that comes after a newer was sent is left out",
        [firing(), firing("sent")],
        "newer_told",
        None,
        (1,),
        "",
    ),
]


@pytest.mark.parametrize(
    ("rows", "reason", "sent", "replaced", "marks"), [one[1:] for one in HISTORIES], ids=[one[0] for one in HISTORIES]
)
def test_whose_turn_it_is(
    rows: list[Row], reason: str, sent: int | None, replaced: tuple[int, ...], marks: str
) -> None:
    numbered = [replace(row, id=number, revision=number) for number, row in enumerate(rows, start=1)]
    random.Random(4).shuffle(numbered)
    turn = choose(numbered, NOW)
    assert (turn.reason, turn.row.id if turn.row else None, turn.replaced) == (reason, sent, replaced)
    assert {name for name in ("repeat", "untold") if getattr(turn, {"repeat": "may_repeat"}.get(name, name))} == set(
        marks.split()
    )


def test_what_is_paced_is_due_when_the_pace_allows_it() -> None:
    turn = choose(
        [replace(firing("sent", finished_at=AGO), id=1, revision=1), replace(firing(), id=2, revision=2)], NOW
    )
    assert turn.at == AGO + PACE_SECONDS


def test_of_a_part_of_what_has_ended_only_the_end_is_told() -> None:
    first = replace(firing("sent"), id=1, revision=1)
    late, end = replace(firing("unknown"), id=2, revision=2), replace(ended(), id=2, revision=2)
    assert choose([first, late], NOW, over=True) == Turn("part_of_ended", replaced=(2,))
    assert choose([first, replace(late, state="sending")], NOW, over=True).reason == "in_flight"
    assert choose([first, end], NOW, over=True).row == end


def call(state: State = "planned", **more: float | bool) -> Row:
    return replace(firing(state, **more), why="escalated")


CALLS: list[tuple[str, list[Row], bool, str, int | None, tuple[int, ...]]] = [
    # name, rows from the oldest to the newest, whether somebody has acknowledged, reason, id that is sent, replaced
    ("a call keeps no pace", [firing("sent", finished_at=AGO), call()], False, "due", 2, ()),
    ("nor what takes the place of one", [firing("sent", finished_at=AGO), call(), firing()], False, "due", 3, (2,)),
    ("a call that waits is dropped once somebody has it", [firing("sent"), call("failed")], True, "acknowledged", None, (2,)),
    ("also one to somebody who has heard nothing", [call("failed"), call()], True, "acknowledged", None, (1, 2)),
    ("but not one that took the place of news", [firing("superseded"), call("failed")], True, "due", 2, ()),
    ("nor news", [firing("sent"), call(), firing()], True, "due", 3, (2,)),
    ("who was never called hears of no end", [call("superseded"), ended()], True, "never_called", None, (2,)),
    ("who may have been called does", [call("superseded", may_repeat=True), ended()], True, "due", 2, ()),
    ("who was to be told of news does", [firing("superseded"), call("superseded"), ended()], True, "due", 3, ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "taken", "reason", "sent", "replaced"), [one[1:] for one in CALLS], ids=[one[0] for one in CALLS]
)
def test_whose_turn_it_is_when_somebody_is_called(
    rows: list[Row], taken: bool, reason: str, sent: int | None, replaced: tuple[int, ...]
) -> None:
    numbered = [replace(row, id=number, revision=number) for number, row in enumerate(rows, start=1)]
    turn = choose(numbered, NOW, taken=taken)
    assert (turn.reason, turn.row.id if turn.row else None, turn.replaced) == (reason, sent, replaced)


@dataclass(frozen=True)
class Heard:
    """A message as the sink got it."""

    row: int
    status: Status
    may_repeat: bool
    untold: bool


class OneTarget(RuleBasedStateMachine):
    """One incident, one target: rows are planned, claimed and sent, senders die, clocks leap."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.chance = 1_000_000.0, random.Random(7)
        self.rows: dict[int, Row] = {}
        self.attempts: dict[int, int] = {}
        self.heard: list[Heard] = []
        self.flying: tuple[Row, Turn] | None = None
        self.taken_for_dead: set[int] = set()
        self.leapt = False

    @initialize()
    def opens(self) -> None:
        self.plans("firing")

    @rule(status=st.sampled_from(["firing", "resolved"]))
    def plans(self, status: Status) -> None:
        number = len(self.rows) + 1
        self.rows[number] = Row(number, number, status, "planned", False, self.now, self.now, None)
        self.attempts[number] = 0

    @rule(seconds=st.sampled_from([0.5, 5.0, 59.0, 61.0, 3000.0, 90000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(days=st.sampled_from([-1, 1]))
    def the_clock_leaps(self, days: int) -> None:
        self.now += days * 86400
        self.leapt = True

    @precondition(lambda self: self.flying is None)
    @rule()
    def claims(self) -> None:
        if not any(row.state in UNFINISHED and self.is_due(row) for row in self.rows.values()):
            return
        turn = choose(self.rows.values(), self.now)
        for number in turn.replaced:
            assert self.rows[number].state in UNFINISHED
            self.change(number, state="superseded", finished_at=self.now)
        if turn.row is None:
            return
        if turn.reason != "due":
            self.change(turn.row.id, next_attempt_at=turn.at)
            return
        self.attempts[turn.row.id] += 1
        self.change(turn.row.id, state="sending", may_repeat=turn.may_repeat)
        self.flying = (self.rows[turn.row.id], turn)

    def is_due(self, row: Row) -> bool:
        return row.next_attempt_at <= self.now or row.next_attempt_at > self.now + FURTHEST_SECONDS

    def change(self, number: int, **values: object) -> None:
        self.rows[number] = replace(self.rows[number], **values)  # type: ignore[arg-type]  # fields of Row

    @precondition(lambda self: self.flying is not None)
    @rule(result=st.sampled_from(["sent", "failed", "unknown"]), arrives=st.booleans())
    def the_send_ends(self, result: Result, arrives: bool) -> None:
        row, turn = self.land()
        if result == "sent" or (result == "unknown" and arrives):
            self.arrive(row, turn)
        message = Message(
            incident=1, revision=row.revision, status=row.status, reason="", severity="", alert="", summary="", since=0
        )
        claimed = Claimed(row.id, "me", 1, row.revision, "t", message, self.attempts[row.id], False, 0, row.planned_at)
        following = after(claimed, Receipt(result, ""), self.now, self.chance)
        self.change(row.id, state=following.state, may_repeat=row.may_repeat or result == "unknown")
        if following.at is None:
            self.change(row.id, finished_at=self.now)
        else:
            self.change(row.id, next_attempt_at=following.at)

    @precondition(lambda self: self.flying is not None)
    @rule(arrives=st.booleans())
    def the_sender_is_taken_for_dead(self, arrives: bool) -> None:
        row, turn = self.land()
        if arrives:
            self.arrive(row, turn)
            self.taken_for_dead.add(row.id)
        self.change(row.id, state="unknown", may_repeat=True, next_attempt_at=self.now)

    @precondition(lambda self: self.taken_for_dead)
    @rule()
    def the_sender_comes_back(self) -> None:
        number = self.taken_for_dead.pop()
        if self.rows[number].state in ("planned", "failed", "unknown"):
            self.change(number, state="sent", finished_at=self.now)

    def land(self) -> tuple[Row, Turn]:
        assert self.flying is not None
        flying, self.flying = self.flying, None
        return flying

    def arrive(self, row: Row, turn: Turn) -> None:
        told = Heard(row.id, row.status, turn.may_repeat, turn.untold)
        if any(one.row == told.row for one in self.heard):
            assert told.may_repeat, "a repeat is marked"
        if told.status == "resolved":
            before = self.heard[-1].status if self.heard else None
            assert before == "firing" or told.untold or (before and told.may_repeat), "an end comes after its beginning"
        self.heard.append(told)

    @invariant()
    def firing_messages_keep_the_pace(self) -> None:
        if self.leapt:
            return
        told = [row for _, row in sorted(self.rows.items()) if row.state == "sent"]
        # one that was sent by a sender taken for dead was sent before it is on record
        if not self.taken_for_dead:
            for earlier, later in pairwise(told):
                if earlier.status == later.status == "firing":
                    assert (later.finished_at or 0) - (earlier.finished_at or 0) >= PACE_SECONDS

    def teardown(self) -> None:
        """Once everything goes well again, the target knows how things are."""
        for _ in range(20):
            if self.flying is not None:
                self.the_send_ends("sent", arrives=True)
            self.claims()
            self.now += 1800
        assert self.flying is None
        assert not [row for row in self.rows.values() if row.state in UNFINISHED]
        newest = self.rows[len(self.rows)] if self.rows else None
        if newest is not None and newest.state != "dead":
            assert self.heard[-1].status == newest.status


TestOneTarget = OneTarget.TestCase
TestOneTarget.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
