"""Rules about the events of one key: each timeline is events, and what is told of them in the end."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import pytest

from exporter.usage.sequences import AnySequence, Outcome, Row, Rule, Sequences, lint, mentions, rule_of
from exporter.usage.sequences.keys import MOST_AT_ONCE
from toolkit import configfile
from toolkit.configfile import Model

START = 1_790_000_000.0
"""An instant; the tables count seconds from here."""
THE_END = START + 10**7

COMMON: dict[str, Any] = {
    "name": "it",
    "key": "id",
    "metric": "it_total",
    "help": "It.",
    "owner": "shop",
    "lateness": "10s",
}
PAID = {"after": "placed", "expect": "paid", "within": "1m", "forget": "1h"}
SHIPPED = {"never": "shipped", "before": "paid", "forget": "1h"}
SIGNUP = {"funnel": ["visited", "signed_up", "activated"], "within": "1h"}
QUIET = {"silent": ["beat", "login"], "for": "1m", "forget": "1h"}
FLOOD = {"more_than": 2, "of": "failed", "within": "1m"}

ADAPTER: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(AnySequence)


def rule(settings: dict[str, Any]) -> Rule:
    return rule_of(ADAPTER.validate_python({**COMMON, **settings}))


def sequences(*settings: dict[str, Any]) -> Sequences:
    return Sequences(rule(one) for one in settings)


def told(outcomes: Sequence[Outcome]) -> Counter[tuple[str, float | None]]:
    return Counter((one.name, one.seconds) for one in outcomes)


Came = tuple[float, str] | tuple[float, str, float]
"""(when it happened, which event), and when it came if that was not at once; seconds from START."""
BEATS: list[Came] = [(at, "beat") for at in range(0, 600, 60)]


def played(machine: Sequences, events: Sequence[Came], key: str = "k") -> list[Outcome]:
    """What is told as events come, one by one, at the time they come."""
    found: list[Outcome] = []
    for event in sorted(events, key=lambda one: one[2] if len(one) == 3 else one[0]):
        came = event[2] if len(event) == 3 else event[0]
        found += machine.feed([("it", event[1], key, (), START + event[0])], START + came)
    return found


TIMELINES: list[tuple[str, dict[str, Any], list[Came], dict[tuple[str, float | None], int]]] = [
    ("paid within the time is completed, and how long it took is told", PAID, [(0, "placed"), (30, "paid")], {("completed", 30.0): 1}),
    ("at the last moment is within the time", PAID, [(0, "placed"), (60, "paid")], {("completed", 60.0): 1}),
    ("at the same moment is after", PAID, [(0, "placed"), (0, "paid")], {("completed", 0.0): 1}),
    ("never paid is missed, once", PAID, [(0, "placed")], {("missed", None): 1}),
    ("paid after the time is missed, and late", PAID, [(0, "placed"), (61, "paid")], {("missed", None): 1, ("late", 61.0): 1}),
    ("paid without an order is unexpected, once", PAID, [(0, "paid"), (5, "paid")], {("unexpected", None): 1}),
    ("an order that comes after its payment, but happened before, is completed", PAID, [(0, "placed", 9), (5, "paid", 5)], {("completed", 5.0): 1}),
    ("an order placed twice waits from the first", PAID, [(0, "placed"), (40, "placed"), (70, "paid")], {("missed", None): 1, ("late", 70.0): 1}),
    ("a payment told three times is one", PAID, [(0, "placed"), (5, "paid"), (5, "paid", 12), (9, "paid")], {("completed", 5.0): 1}),
    ("after a payment the same key may begin again", PAID, [(0, "placed"), (5, "paid"), (100, "placed"), (110, "paid")], {("completed", 5.0): 1, ("completed", 10.0): 1}),
    ("after a miss the next order begins again", PAID, [(0, "placed"), (100, "placed"), (110, "paid")], {("missed", None): 1, ("completed", 10.0): 1}),
    ("a payment after the key was forgotten is unexpected", PAID, [(0, "placed"), (3661, "paid")], {("missed", None): 1, ("unexpected", None): 1}),
    ("and up to then it is late", PAID, [(0, "placed"), (3660, "paid")], {("missed", None): 1, ("late", 3660.0): 1}),
    ("shipped after it was paid keeps the rule", SHIPPED, [(0, "paid"), (5, "shipped")], {("kept", None): 1}),
    ("shipped without being paid violates it", SHIPPED, [(0, "shipped")], {("violated", None): 1}),
    ("shipped before it was paid violates it, once", SHIPPED, [(0, "shipped"), (5, "paid"), (9, "shipped")], {("violated", None): 1}),
    ("paid and shipped at one moment keeps it", SHIPPED, [(0, "shipped"), (0, "paid")], {("kept", None): 1}),
    ("what was paid first but told later keeps it", SHIPPED, [(0, "paid", 10), (5, "shipped", 5)], {("kept", None): 1}),
    ("paid alone says nothing", SHIPPED, [(0, "paid")], {}),
    ("a key is forgotten after its last event", SHIPPED, [(0, "paid"), (3000, "paid"), (6000, "shipped"), (9601, "shipped")], {("kept", None): 1, ("violated", None): 1}),
    ("each step counts once, with the time since the last", SIGNUP, [(0, "visited"), (9, "visited"), (20, "signed_up"), (50, "activated"), (60, "activated")], {("visited", None): 1, ("signed_up", 20.0): 1, ("activated", 30.0): 1}),
    ("a step before its turn is not looked at", SIGNUP, [(0, "activated"), (5, "visited"), (6, "activated")], {("visited", None): 1}),
    ("steps that come in disorder count in the order they happened", SIGNUP, [(0, "visited", 9), (5, "signed_up", 7), (6, "activated", 6)], {("visited", None): 1, ("signed_up", 5.0): 1, ("activated", 1.0): 1}),
    ("after the time a key begins again", SIGNUP, [(0, "visited"), (3601, "signed_up"), (3700, "visited")], {("visited", None): 2}),
    ("all steps at one moment are taken in their order", SIGNUP, [(0, "activated"), (0, "signed_up"), (0, "visited")], {("visited", None): 1, ("signed_up", 0.0): 1, ("activated", 0.0): 1}),
    ("a key that goes on is not silent", QUIET, [*BEATS, (600, "login")], {("silent", None): 1, ("forgotten", None): 1}),
    ("a pause longer than the time is silence, and its end is told", QUIET, [(0, "beat"), (61, "login")], {("silent", None): 2, ("back", 61.0): 1, ("forgotten", None): 1}),
    ("a key that nobody ever heard of is not silent", QUIET, [], {}),
    ("a sign of life that comes late was one", QUIET, [(0, "beat"), (50, "beat", 60), (61, "beat")], {("silent", None): 1, ("forgotten", None): 1}),
    ("a key that comes back after it was forgotten is new", QUIET, [(0, "beat"), (3661, "beat")], {("silent", None): 2, ("forgotten", None): 2}),
    ("as many as are allowed are no burst", FLOOD, [(0, "failed"), (1, "failed")], {}),
    ("one more is a burst", FLOOD, [(0, "failed"), (1, "failed"), (60, "failed")], {("burst", None): 1}),
    ("over a longer time they are none", FLOOD, [(0, "failed"), (1, "failed"), (61, "failed")], {}),
    ("a burst that goes on is one", FLOOD, [(at, "failed") for at in range(0, 300, 5)], {("burst", None): 1}),
    ("after a pause the next is another", FLOOD, [(at, "failed") for at in (0, 1, 2, 63, 64, 65)], {("burst", None): 2}),
    ("a burst ends though single events go on", FLOOD, [(at, "failed") for at in (0, 1, 2, 61.5, 62.6, 62.7)], {("burst", None): 2}),
    ("an event of a crowd that comes last holds two bursts together", FLOOD, [(10, "failed"), (10.5, "failed"), (11, "failed"), (12, "failed", 19), (13, "failed"), (71.5, "failed"), (74, "failed"), (75, "failed")], {("burst", None): 1}),
    ("the first of a crowd may hold it to the burst before", FLOOD, [(at, "failed") for at in (0, 1, 2, 61.5, 62, 62.5, 63)], {("burst", None): 1}),
    ("three at one moment are a burst", FLOOD, [(0, "failed")] * 3, {("burst", None): 1}),
    ("an event older than the lateness is not looked at", PAID, [(0, "placed"), (5, "paid", 17)], {("untimely", None): 1, ("missed", None): 1}),
    ("nor one from a time to come", PAID, [(31_536_000, "placed", 0)], {("untimely", None): 1}),
    ("nor one without a time", PAID, [(float("nan"), "placed", 0)], {("untimely", None): 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "events", "expected"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES]
)
def test_timelines(settings: dict[str, Any], events: list[Came], expected: dict[tuple[str, float | None], int]) -> None:
    machine = sequences(settings)
    found = [*played(machine, events), *machine.tick(THE_END)]
    assert told(found) == expected
    assert {one.name for one in found} <= set(machine.rules["it"].outcomes)
    assert machine.sizes() == {"it": 0}


def test_nothing_is_told_before_the_lateness_has_passed() -> None:
    machine = sequences(PAID)
    played(machine, [(0, "placed"), (5, "paid")])
    assert machine.tick(START + 15.9) == []
    assert told(machine.tick(START + 16)) == {("completed", 5.0): 1}


def test_what_is_due_far_ahead_is_told_in_time() -> None:
    machine = sequences({**PAID, "within": "1h"})
    played(machine, [(0, "placed")])
    found = [now for now in range(4000) if machine.tick(START + now)]
    assert found == [3611]


def test_a_wave_of_keys_is_settled_in_several_looks() -> None:
    machine = sequences(PAID)
    machine.feed([("it", "placed", f"k{n}", (), START) for n in range(MOST_AT_ONCE + 1)], START)
    machine.tick(START + 60)
    machine.tick(START + 60)
    assert [len(machine.tick(START + 200)), machine.is_behind()] == [MOST_AT_ONCE, True]
    assert [len(machine.tick(START + 200)), machine.is_behind()] == [1, False]


def test_an_event_without_a_key_is_told_as_one() -> None:
    assert told(played(sequences(PAID), [(0, "placed")], key="")) == {("keyless", None): 1}


def test_silent_keys_are_known_while_they_are() -> None:
    machine = sequences({**QUIET, "labels": {"plan": ["pro", "free"]}})
    machine.feed([("it", "beat", f"t{n}", ("pro" if n else "free",), START) for n in range(3)], START)
    counts = []
    for now in (60, 71, 72, 82, 83):
        if now == 72:
            machine.feed([("it", "beat", "t1", ("pro",), START + 72)], START + 72)
        machine.tick(START + now)
        counts.append(machine.silent())
    silent = {("it", ("free",)): 1, ("it", ("pro",)): 2}
    assert counts == [{}, silent, silent, silent, {**silent, ("it", ("pro",)): 1}]
    machine.tick(THE_END)
    assert set(machine.silent().values()) == {0}


def test_labels_are_those_of_the_event_that_began_it() -> None:
    machine = sequences({**PAID, "labels": {"plan": ["pro", "free"]}})
    machine.feed([("it", "placed", "a", ("pro",), START), ("it", "paid", "a", ("free",), START + 1)], START + 1)
    machine.feed([("it", "paid", "b", ("free",), START + 1)], START + 1)
    assert machine.tick(THE_END) == [
        Outcome("it", "completed", ("pro",), 1.0),
        Outcome("it", "unexpected", ("free",)),
    ]


# --- where there is no room


def test_the_key_unseen_for_longest_goes_first_and_nothing_is_invented_of_it() -> None:
    machine = sequences({**PAID, "max_keys": 2, "lateness": "0s"})
    found = []
    for at, event, key in (
        (0, "placed", "a"),
        (1, "placed", "b"),
        (2, "placed", "a"),
        (3, "placed", "c"),
        (9, "paid", "b"),
    ):
        found += machine.feed([("it", event, key, (), START + at)], START + at)
    # c drove out b, whose payment then drove out a, and is no reason to say that b was never placed
    assert told([*found, *machine.tick(START + 30)]) == {("evicted", None): 2, ("unknown", None): 1}
    assert told(machine.tick(THE_END)) == {("missed", None): 1}
    assert told([*played(machine, [(10**7, "paid")]), *machine.tick(THE_END + 60)]) == {("unexpected", None): 1}


def test_room_is_for_all_parts_together() -> None:
    machine = sequences({**PAID, "max_keys": 10})
    found = []
    for part, count in (("0", 8), ("1", 5)):
        machine.changes()
        machine.committed()
        found += machine.feed([("it", "placed", f"k{n}", (), START) for n in range(count)], START, part)
    assert told(found) == {("evicted", None): 3}
    assert [row.part for row, value in machine.changes().items() if value is None] == ["0"] * 3
    assert machine.sizes() == {"it": 10}


def test_a_key_that_never_stops_waits_with_few_events() -> None:
    for settings, event, most in ((QUIET, "beat", 3), (FLOOD, "failed", 12)):
        machine = sequences(settings)
        found = []
        for at in range(1000):
            found += machine.feed([("it", event, "k", (), START + at / 200)], START + at / 200)
        row = dict(machine.rows())[Row("", "it", "k")]
        assert len(row) < 60 + most * 12
        assert told(found) == {}


def test_an_event_told_a_hundred_times_needs_the_room_of_one() -> None:
    machine = sequences(PAID)
    assert machine.feed([("it", "placed", "k", (), START)] * 100, START) == []


def test_where_every_event_matters_more_than_fit_are_told() -> None:
    machine = sequences(PAID)
    found = machine.feed([("it", "placed", "k", (), START + at / 100) for at in range(100)], START)
    assert told(found) == {("crowded", None): 36}


# --- what is stored


def test_only_what_changed_is_stored_and_only_once() -> None:
    machine = sequences(PAID)
    machine.feed([("it", "placed", "a", (), START), ("it", "placed", "b", (), START)], START, "p")
    assert {row.key for row in machine.changes()} == {"a", "b"}
    machine.committed()
    assert machine.changes() == {}
    machine.feed([("it", "paid", "b", (), START + 1)], START + 1, "p")
    assert {row.key for row in machine.changes()} == {"b"}


def test_keys_that_are_not_due_yet_change_nothing_when_they_are_looked_at() -> None:
    machine = sequences({**PAID, "within": "1d"})
    played(machine, [(0, "placed")])
    machine.tick(START + 60)
    machine.changes()
    machine.committed()
    for now in range(60, 4000, 60):
        machine.tick(START + now)
    assert {row.key for row in machine.changes()} <= {""}


def test_a_key_that_is_forgotten_leaves_no_row() -> None:
    machine = sequences(PAID)
    played(machine, [(0, "placed")])
    machine.changes()
    machine.committed()
    machine.tick(THE_END)
    rows = machine.changes()
    assert rows.pop(Row("", "it", "k")) is None
    assert [row.key for row in rows] == [""]


def test_what_comes_while_a_commit_is_under_way_is_in_the_next() -> None:
    machine = sequences(PAID)
    played(machine, [(0, "placed")])
    first = machine.changes()
    machine.feed([("it", "paid", "k", (), START + 1)], START + 1)
    machine.committed()
    second = machine.changes()
    assert list(first) == list(second) == [Row("", "it", "k")]
    assert first != second


def test_a_failed_commit_is_as_if_nothing_had_come() -> None:
    machine = sequences(PAID)
    played(machine, [(0, "placed")])
    stored = machine.changes()
    machine.committed()
    before = list(machine.rows())
    for _ in range(2):
        machine.feed([("it", "paid", "k", (), START + 5), ("it", "placed", "new", (), START + 5)], START + 40)
        machine.changes()
        machine.feed([("it", "paid", key, (), START + 41) for key in ("k", "late")], START + 41)
        machine.changes()
        machine.undo()
        assert list(machine.rows()) == before
        assert machine.changes() == {}
    restored = sequences(PAID)
    restored.restore((row, value) for row, value in stored.items() if value is not None)
    assert told([*played(machine, [(45, "paid")]), *machine.tick(THE_END)]) == {("completed", 45.0): 1}
    assert told([*played(restored, [(45, "paid")]), *restored.tick(THE_END)]) == {("completed", 45.0): 1}


def test_a_rule_whose_definition_changed_starts_anew_and_its_rows_go() -> None:
    machine = sequences(PAID)
    played(machine, [(0, "placed")])
    changed = sequences({**PAID, "within": "2m"})
    changed.restore(machine.rows())
    assert changed.sizes() == {"it": 0}
    assert changed.changes() == {Row("", "it", "k"): None, Row("", "it", ""): None}
    changed.undo()
    assert len(changed.changes()) == 2
    changed.committed()
    assert changed.changes() == {}


@pytest.mark.parametrize(("stored", "known"), [(False, 1), (True, 0)], ids=["nothing was stored", "that was stored"])
def test_a_rule_that_changed_and_changed_back_knows_what_is_stored_of_it(stored: bool, known: int) -> None:
    machine, changed, back = sequences(PAID), sequences({**PAID, "within": "2m"}), sequences(PAID)
    played(machine, [(0, "placed")])
    changed.restore(machine.rows())
    changed.changes()
    if stored:
        changed.committed()
    back.restore(changed.rows())
    assert back.sizes() == {"it": known}
    assert Row("", "it", "k") not in back.changes()


def test_a_rule_goes_on_when_only_its_limits_and_words_changed() -> None:
    machine = sequences(PAID)
    played(machine, [(0, "placed")])
    changed = sequences({**PAID, "max_keys": 7, "help": "Other.", "lateness": "20s"})
    changed.restore(machine.rows())
    assert told(changed.tick(THE_END)) == {("missed", None): 1}


@pytest.mark.parametrize(
    "row", [b"", b"abc", b"\x00" * 40, rule(PAID).version + b"\xc1", rule(PAID).version + b"\x93\x01\x02\x03"]
)
def test_a_row_that_cannot_be_read_goes(row: bytes) -> None:
    machine = sequences(PAID)
    machine.restore([(("", "it", "k"), row), (("", "gone", "k"), row)])
    assert machine.changes() == {Row("", "it", "k"): None, Row("", "gone", "k"): None}


def test_a_part_goes_to_another_process_and_takes_its_keys_along() -> None:
    one, other = sequences(PAID), sequences(PAID)
    for part in ("0", "1"):
        one.feed([("it", "placed", f"k{part}", (), START)], START, part)
    other.restore((row, value) for row, value in one.rows() if row.part == "1")
    one.drop("1")
    assert {row.part for row in one.changes()} == {"0"}
    assert one.sizes() == other.sizes() == {"it": 1}
    assert [told(it.tick(THE_END, part)) for it, part in ((one, "0"), (one, "1"), (other, "1"))] == [
        {("missed", None): 1},
        {},
        {("missed", None): 1},
    ]


def test_rows_of_a_part_that_went_are_no_longer_ours_to_delete() -> None:
    machine = sequences(PAID)
    machine.restore([(("0", "gone", "k"), b""), (("1", "gone", "k"), b"")])
    machine.drop("0")
    assert machine.changes() == {Row("1", "gone", "k"): None}
    machine.drop("1")
    assert machine.changes() == {}


def test_a_part_that_lags_is_judged_by_how_far_it_was_read() -> None:
    machine = sequences(PAID)
    assert machine.feed([("it", "placed", "k", (), START)], START + 9000, "ahead") == [Outcome("it", "untimely", ())]
    machine.feed([("it", "placed", "k", (), START)], START, "behind")
    machine.feed([("it", "paid", "k", (), START + 50)], START + 50, "behind")
    assert told(machine.tick(START + 100, "behind")) == {("completed", 50.0): 1}


# --- what the file may say

MISTAKES = [
    ("no sentence", {"key": "id"}, "one of these keys is needed"),
    ("half a sentence", {"after": "a"}, "expect"),
    ("no time", {**PAID, "within": "0s"}, "within"),
    ("no steps", {"funnel": ["a"], "within": "1h"}, "funnel"),
    ("a counter that is none", {**PAID, "metric": "orders"}, "metric"),
    ("buckets that fall", {**PAID, "buckets": [2, 1]}, "ascend"),
    ("more than can be kept", {**FLOOD, "more_than": 100_000}, "more_than"),
]


@pytest.mark.parametrize(("settings", "says"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_what_is_no_rule_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=says):
        rule(settings)


class File(Model):
    sequences: tuple[AnySequence, ...] = ()


def test_mistakes_are_told_with_their_place_and_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    rest = "metric: a_total, help: A., owner: o"
    path.write_text(
        f"""sequences:
  - {{name: a, key: id, after: x, expects: y, within: 10m, {rest}}}
  - {{name: b, key: id, {rest}}}
  - {{name: c, key: id, silent: x, {rest}}}
"""
    )
    with pytest.raises(configfile.ConfigError) as raised:
        configfile.load(path, File, lambda file: lint(file.sequences))
    assert [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems] == [
        "2:5: sequences[0].expect: required, but missing",
        "2:34: sequences[0].expects: unknown key; did you mean 'expect'?",
        "3:5: sequences[1]: one of these keys is needed, to tell what it is about: after, never, funnel, silent, more_than",
        "4:5: sequences[2].for: required, but missing",
    ]


CONTRADICTIONS = [
    ("nothing", [PAID, {**SHIPPED, "name": "other"}], []),
    ("a name twice", [PAID, PAID], [(1, "name")]),
    ("an event that awaits itself", [{**PAID, "expect": "placed"}], [(0, "expect")]),
    ("a step twice", [{**SIGNUP, "funnel": ["a", "b", "a"]}], [(0, "funnel", 2)]),
    ("a step named like what happens to keys", [{**SIGNUP, "funnel": ["a", "evicted"]}], [(0, "funnel", 1)]),
    ("a label that is taken", [{**PAID, "labels": {"outcome": ["x"]}}], [(0, "labels", "outcome")]),
    ("a lateness longer than the silence", [{**QUIET, "lateness": "2m"}], [(0, "lateness")]),
    ("a lateness longer than the burst", [{**FLOOD, "lateness": "2m"}], [(0, "lateness")]),
]


@pytest.mark.parametrize(
    ("rules", "places"), [row[1:] for row in CONTRADICTIONS], ids=[row[0] for row in CONTRADICTIONS]
)
def test_contradictions_are_named_with_their_place(rules: list[dict[str, Any]], places: list[tuple[Any, ...]]) -> None:
    found = [ADAPTER.validate_python({**COMMON, **one}) for one in rules]
    assert [location for location, _ in lint(found)] == places


def test_the_events_that_rules_name_are_told_with_their_place() -> None:
    found = [ADAPTER.validate_python({**COMMON, **one}) for one in (PAID, SHIPPED, FLOOD)]
    assert list(mentions(found)) == [
        ((0, "after"), "placed"),
        ((0, "expect"), "paid"),
        ((1, "before"), "paid"),
        ((1, "never"), "shipped"),
        ((2, "of", 0), "failed"),
    ]
