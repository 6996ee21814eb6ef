import dataclasses

import pytest

from exporter.providers.history import BUSY, Past, State, advance, conclude, passing
from exporter.providers.kinds import Certainty, Kind, Verdict

OK = Verdict(Kind.OK, Certainty.STATUS, "answered 200")
PAY = Verdict(Kind.PAYMENT_REQUIRED, Certainty.CODE, "402")
PAY_BY_STATUS = Verdict(Kind.PAYMENT_REQUIRED, Certainty.STATUS, "402", "general:status")
DOWN = Verdict(Kind.OUTAGE, Certainty.STATUS, "no answer")
REFUSED = Verdict(Kind.AMBIGUOUS, Certainty.STATUS, "401", "general:status")
THROTTLED = Verdict(Kind.RATE_LIMITED, Certainty.STATUS, "429", "general:status")
BUSY_SERVER = Verdict(Kind.RATE_LIMITED, Certainty.STATUS, "503", BUSY)
BOTH = Verdict(Kind.AMBIGUOUS, Certainty.WORDS, "the key or the bill", "general:two-causes")

TIMELINES = [
    ("the first ok", [(10, OK)], {"since": 10, "streak": 1, "watched_since": 10, "last_success": 10, "failing_since": None}),
    ("the first failure knows no success", [(10, PAY)], {"since": 10, "streak": 1, "last_success": None, "failing_since": 10}),
    ("equal verdicts add up", [(10, OK), (20, OK), (30, OK)], {"since": 10, "streak": 3, "last_success": 30}),
    ("another verdict begins a run", [(10, OK), (20, PAY), (30, PAY)], {"since": 20, "streak": 2, "last_success": 10}),
    ("a failure goes on through its verdicts", [(10, OK), (20, PAY), (30, DOWN)], {"since": 30, "failing_since": 20}),
    ("a single other verdict breaks a run", [(10, PAY), (20, DOWN), (30, PAY)], {"since": 30, "streak": 1, "failing_since": 10}),
    ("another certainty does not", [(10, PAY), (20, PAY_BY_STATUS)], {"since": 10, "streak": 2, "certainty": "status"}),
    ("recovery", [(10, PAY), (20, OK)], {"since": 20, "streak": 1, "last_success": 20, "watched_since": 10, "failing_since": None}),
    ("a clock that steps back is borne", [(10, OK), (5, OK)], {"since": 10, "streak": 2, "last_success": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("probes", "expected"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES])
def test_a_provider_is_remembered(probes: list[tuple[float, Verdict]], expected: dict[str, object]) -> None:
    state: State | None = None
    for now, verdict in probes:
        state = advance(state, verdict, "key", 0.1, now)
    assert state is not None
    found = dataclasses.asdict(state)
    assert {name: found[name] for name in expected} == expected


GOOD_BEFORE = Past(ever_ok=True, credential_changed=False, last_ok_age=60, failing_for=60)
CONCLUSIONS = [
    ("a bare 401 with no past stays open", REFUSED, Past(), "ambiguous", "status"),
    ("a bare 401 to a key that was good: a bill is suspected", REFUSED, GOOD_BEFORE, "payment_required", "history"),
    ("a bare 401 since the key was changed", REFUSED, Past(True, True, 60, 60), "credentials_invalid", "history"),
    (
        "a bare 401 that never was otherwise: a mistake in the set-up",
        REFUSED,
        Past(False),
        "credentials_invalid",
        "history",
    ),
    ("a vendor that names two causes is not overruled", BOTH, GOOD_BEFORE, "ambiguous", "words"),
    ("a bare 402 after good answers", PAY_BY_STATUS, GOOD_BEFORE, "payment_required", "status"),
    ("a bare 402 that never was otherwise: another plan", PAY_BY_STATUS, Past(False), "plan_restricted", "history"),
    ("a 402 that says why is not overruled", PAY, Past(False), "payment_required", "code"),
    ("throttling", THROTTLED, Past(True, False, 60, 60, 60), "rate_limited", "status"),
    ("throttling beyond its window", THROTTLED, Past(True, False, 7200, 7200, 7200), "quota_exhausted", "history"),
    ("throttling after a long outage", THROTTLED, Past(True, False, 7200, 7200, 60), "rate_limited", "status"),
    ("a server too busy for hours is down", BUSY_SERVER, Past(True, False, 7200, 7200, 7200), "outage", "history"),
]


@pytest.mark.parametrize(
    ("verdict", "past", "kind", "certainty"), [row[1:] for row in CONCLUSIONS], ids=[row[0] for row in CONCLUSIONS]
)
def test_the_past_settles_what_an_answer_leaves_open(verdict: Verdict, past: Past, kind: str, certainty: str) -> None:
    found = conclude(verdict, past)
    assert (found.kind, found.certainty) == (kind, certainty)
    assert found.reason


PASSING = [
    ("a 200 four minutes ago: no event", DOWN, Past(last_ok_age=240), "ok"),
    ("no 200 for an hour", DOWN, Past(last_ok_age=3660), "outage"),
    ("no past", DOWN, Past(), "outage"),
    ("an unpaid bill passes by no 200", PAY, Past(last_ok_age=240), "payment_required"),
]


@pytest.mark.parametrize(("verdict", "past", "kind"), [row[1:] for row in PASSING], ids=[row[0] for row in PASSING])
def test_a_failure_with_a_recent_200_is_a_passing_one(verdict: Verdict, past: Past, kind: str) -> None:
    assert passing(verdict, past).kind == kind


def test_a_key_that_is_changed_while_it_is_refused_is_the_one_that_is_blamed() -> None:
    state = advance(None, OK, "old", 0.1, 10)
    state = advance(state, conclude(REFUSED, state.past("old", 20)), "old", 0.1, 20)
    assert state.kind == "payment_required"
    assert conclude(REFUSED, state.past("new", 30)).kind == "credentials_invalid"


def test_throttling_counts_from_where_it_began_and_stays_a_spent_quota_once_it_is_one() -> None:
    state, kinds = advance(None, OK, "key", 0.1, 0), []
    for minute in range(1, 200):
        answer = DOWN if minute <= 90 else THROTTLED
        state = advance(state, conclude(answer, state.past("key", minute * 60)), "key", 0.1, minute * 60)
        kinds.append(state.kind)
    assert set(kinds[90:151]) == {"rate_limited"}
    assert set(kinds[152:]) == {"quota_exhausted"}
