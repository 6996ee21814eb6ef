"""Laws of the rules about one key's events, for any events in any order: held against a slow model that knows all events
at once and sorts them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pydantic
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.usage.sequences import AnySequence, Outcome, Row, Sequences, rule_of

START = 1_790_000_000.0
LATENESS, WITHIN, FORGET, MOST = 10.0, 15.0, 25.0, 2
A_LONG_TIME = 10_000.0

Happened = tuple[float, str]
"""(seconds from START, the event)."""
Told = Iterator[tuple[str, float | None]]
RULES: dict[str, dict[str, Any]] = {
    "expect": {"after": "a", "expect": "b", "within": "15s", "forget": "25s"},
    "never": {"never": "c", "before": "b", "forget": "25s"},
    "funnel": {"funnel": ["a", "b", "c"], "within": "15s"},
    "silent": {"silent": ["a", "b"], "for": "15s", "forget": "25s"},
    "burst": {"more_than": MOST, "of": ["a", "c"], "within": "15s"},
}
EVENTS = {"expect": "ab", "never": "bc", "funnel": "abc", "silent": "ab", "burst": "ac"}
ADAPTER: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(AnySequence)


def sequences() -> Sequences:
    common = {"key": "id", "metric": "it_total", "help": "It.", "owner": "shop", "lateness": "10s"}
    return Sequences(rule_of(ADAPTER.validate_python({**common, "name": name, **one})) for name, one in RULES.items())


# --- the model: all events of a key, sorted


def expect(events: list[Happened]) -> Told:
    if not events:
        return
    (first, event), rest = events[0], events[1:]
    done = first
    if event == "b":
        yield "unexpected", None
    else:
        answer = next((at for at, name in rest if name == "b" and at <= first + WITHIN), None)
        if answer is None:
            yield "missed", None
            rest = [one for one in rest if one[0] > first + WITHIN]
            if not rest or rest[0][1] == "a" or rest[0][0] > first + WITHIN + FORGET:
                yield from expect(rest)
                return
            answer = rest[0][0]
            yield "late", answer - first
        else:
            yield "completed", answer - first
        rest = rest[rest.index((answer, "b")) + 1 :]
        done = answer
    while rest and rest[0][1] == "b" and rest[0][0] <= done + FORGET:
        rest = rest[1:]
    yield from expect(rest)


def never(events: list[Happened]) -> Told:
    for visit in apart(events, FORGET):
        names = [name for _, name in visit]
        if "c" in names:
            yield ("kept" if "b" in names[: names.index("c")] else "violated"), None


def funnel(events: list[Happened]) -> Told:
    starts = [place for place, (_, name) in enumerate(events) if name == "a"]
    if not starts:
        return
    first, place = events[starts[0]][0], starts[0]
    yield "a", None
    for step in "bc":
        then = [n for n in range(place, len(events)) if events[n][1] == step and events[n][0] <= first + WITHIN]
        if not then:
            break
        yield step, events[then[0]][0] - events[place][0]
        place = then[0]
    yield from funnel([one for one in events if one[0] > first + WITHIN])


def silent(events: list[Happened]) -> Told:
    times = [at for at, _ in events]
    for one, other in pairwise([*times, A_LONG_TIME] if times else []):
        if other - one > WITHIN:
            yield "silent", None
            back = other - one <= WITHIN + FORGET
            yield ("back", other - one) if back else ("forgotten", None)


def burst(events: list[Happened]) -> Told:
    times = [at for at, _ in events]
    too_many = [at for place, at in enumerate(times) if place >= MOST and at - times[place - MOST] <= WITHIN]
    for before, at in pairwise([-A_LONG_TIME, *too_many]):
        if at - before > WITHIN:
            yield "burst", None


def apart(events: list[Happened], pause: float) -> Iterator[list[Happened]]:
    """The events, cut where nothing came for longer than `pause`."""
    visit: list[Happened] = []
    for event in events:
        if visit and event[0] - visit[-1][0] > pause:
            yield visit
            visit = []
        visit.append(event)
    if visit:
        yield visit


MODEL: dict[str, Callable[[list[Happened]], Told]] = {
    "expect": expect,
    "never": never,
    "funnel": funnel,
    "silent": silent,
    "burst": burst,
}

Totals = Counter[tuple[str, str, float | None]]
Seen = tuple[str, float, str]
"""(key, seconds from START, the event)."""


def modelled(seen: Sequence[Seen]) -> Totals:
    totals: Totals = Counter()
    for name, model in MODEL.items():
        for key in {key for key, _, _ in seen}:
            # of what happened at one moment, b comes before c and a before both: the order of every rule above
            events = sorted((at, event) for one, at, event in seen if one == key and event in EVENTS[name])
            totals.update((name, outcome, seconds) for outcome, seconds in model(events))
    return totals


def told(outcomes: Sequence[Outcome]) -> Totals:
    return Counter((one.rule, one.name, one.seconds) for one in outcomes)


def sightings(seen: Sequence[Seen]) -> list[tuple[str, str, str, tuple[str, ...], float]]:
    return [(name, event, key, (), START + at) for key, at, event in seen for name in RULES if event in EVENTS[name]]


# --- any order within the lateness

AT = st.integers(0, 240).map(lambda half: half / 2)
DELAY = st.integers(-20, 20).map(lambda half: half / 2)
ARRIVAL = st.tuples(st.tuples(st.sampled_from("kl"), AT, st.sampled_from("abc")), DELAY)
ARRIVALS = st.lists(ARRIVAL, max_size=40)


def played(arrivals: Sequence[tuple[Seen, float]]) -> Totals:
    machine, found = sequences(), list[Outcome]()
    for seen, delay in sorted(arrivals, key=lambda one: one[0][1] + one[1]):
        found += machine.feed(sightings([seen]), START + seen[1] + delay)
    return told([*found, *machine.tick(START + A_LONG_TIME)])


@given(ARRIVALS)
@settings(deadline=None)
def test_it_does_not_matter_when_an_event_comes(arrivals: list[tuple[Seen, float]]) -> None:
    assert played(arrivals) == modelled([seen for seen, _ in arrivals])


@given(ARRIVALS, st.lists(st.tuples(st.integers(0, 39), DELAY), max_size=10))
@settings(deadline=None)
def test_an_event_that_comes_twice_changes_nothing_but_bursts(
    arrivals: list[tuple[Seen, float]], again: list[tuple[int, float]]
) -> None:
    twice = [(arrivals[place][0], delay) for place, delay in again if place < len(arrivals)]
    found = [
        Counter({one: n for one, n in played(each).items() if one[0] != "burst"})
        for each in (arrivals, [*arrivals, *twice])
    ]
    # what comes twice at one moment is one event, however often it comes
    assert found[0] == found[1]


CROWD = st.lists(
    st.tuples(st.integers(0, 80).map(lambda half: half / 2), st.integers(0, 20)), min_size=20, max_size=200
)


@given(CROWD)
@settings(deadline=None)
def test_what_is_left_out_of_a_crowd_makes_no_difference(crowd: list[tuple[float, int]]) -> None:
    machine, found = sequences(), list[Outcome]()
    for at, delay in sorted(crowd, key=lambda one: one[0] + one[1] / 2):
        found += machine.feed(
            [(name, "a", "k", (), START + at) for name in ("silent", "burst")], START + at + delay / 2
        )
    found += machine.tick(START + A_LONG_TIME)
    model = modelled([("k", at, "a") for at, _ in crowd])
    assert told(found) == Counter({one: count for one, count in model.items() if one[0] in {"silent", "burst"}})


# --- commits that fail, restarts, parts that move


class Process(RuleBasedStateMachine):
    """Events come, rows are handed over, and stored or not, while more comes; the process dies and another one goes on
    with what was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.machine = sequences()
        self.stored: dict[Row, bytes] = {}
        self.seen: list[Seen] = []
        self.totals: Totals = Counter()
        self.lost()

    def lost(self) -> None:
        """Nothing is open: neither handed over nor waiting for that."""
        self.rows: dict[Row, bytes | None] | None = None
        self.new_seen, self.sent_seen = list[Seen](), list[Seen]()
        self.new, self.sent = list[Outcome](), list[Outcome]()
        self.moved = False

    @rule(after=st.integers(0, 60).map(lambda half: half / 2))
    def time_passes(self, after: float) -> None:
        self.now, self.moved = self.now + after, True
        self.new += self.machine.tick(START + self.now, "p")

    @precondition(lambda self: len(self.seen) + len(self.sent_seen) + len(self.new_seen) < 60)
    @rule(events=st.lists(st.tuples(st.sampled_from("klm"), DELAY, st.sampled_from("abc")), min_size=1, max_size=4))
    def events_come(self, events: list[Seen]) -> None:
        seen = [(key, self.now + delay, event) for key, delay, event in events]
        self.new += self.machine.feed(sightings(seen), START + self.now, "p")
        self.new_seen += seen
        self.moved = True

    @rule()
    def rows_are_handed_over(self) -> None:
        self.rows = self.machine.changes()
        self.sent, self.sent_seen = self.sent + self.new, self.sent_seen + self.new_seen
        self.new, self.new_seen, self.moved = [], [], False

    @precondition(lambda self: self.rows is not None)
    @rule()
    def they_are_stored(self) -> None:
        for row, value in (self.rows or {}).items():
            if value is None:
                self.stored.pop(row, None)
            else:
                self.stored[row] = value
        self.machine.committed()
        self.totals += told(self.sent)
        self.seen += self.sent_seen
        self.rows, self.sent, self.sent_seen = None, [], []

    @rule()
    def the_commit_fails(self) -> None:
        self.machine.undo()
        self.lost()

    @rule()
    def it_dies(self) -> None:
        self.machine = sequences()
        self.machine.restore(self.stored.items())
        self.lost()

    @rule()
    def the_part_goes_and_comes_back(self) -> None:
        self.machine.drop("p")
        assert set(self.machine.sizes().values()) == {0}
        self.machine.restore(self.stored.items())
        self.lost()

    @invariant()
    def no_more_is_stored_than_is_remembered(self) -> None:
        if not self.moved and self.rows is None:
            assert {row for row in self.stored if row.key} == {row for row, _ in self.machine.rows() if row.key}

    def teardown(self) -> None:
        self.rows_are_handed_over()
        self.they_are_stored()
        self.totals += told(self.machine.tick(START + A_LONG_TIME, "p"))
        assert self.totals == modelled(self.seen)
        assert set(self.machine.sizes().values()) == {0}
        assert not any(self.machine.silent().values())
        super().teardown()


TestProcess = Process.TestCase
TestProcess.settings = settings(deadline=None, stateful_step_count=40, max_examples=200)
