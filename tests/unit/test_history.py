import dataclasses

import pytest

from exporter.providers.history import BUSY, Look, Past, State, advance, conclude, in_doubt, passing
from exporter.providers.kinds import Certainty, Kind, Verdict
from exporter.providers.reading import Shape

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
        state = advance(state, Look(verdict, 0.1, credential="key", shape="json"), now)
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


SHAPES = [
    ("a web page where JSON was usual", "json", "html", True),
    ("JSON as ever", "json", "json", False),
    ("a web page as ever", "html", "html", False),
]


@pytest.mark.parametrize(("usual", "shape", "told"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_a_refusal_in_another_shape_says_so(usual: Shape, shape: Shape, told: bool) -> None:
    found = conclude(REFUSED, dataclasses.replace(GOOD_BEFORE, ok_shape=usual), shape)
    assert found.kind == "payment_required"
    assert ("a web page where JSON was usual" in found.reason) is told


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
    state = advance(None, Look(OK, 0.1, credential="old", shape="json"), 10)
    state = advance(state, Look(conclude(REFUSED, state.past("old", 20)), 0.1, credential="old"), 20)
    assert state.kind == "payment_required"
    assert conclude(REFUSED, state.past("new", 30)).kind == "credentials_invalid"


UNPAID = Verdict(Kind.PAYMENT_REQUIRED, Certainty.CODE, "invoice_unpaid")
SEND, LIST = "calls: POST /send", "calls: GET /lists"


def look(verdict: Verdict, source: str = "probe") -> Look:
    return Look(verdict, 0.1, source, "key" if source == "probe" else None, "json")


SOURCES = [
    ("an ok to what was refused ends it", [(0, look(UNPAID, SEND)), (10, look(OK, SEND))], "ok", 10),
    ("an ok to another call does not", [(0, look(UNPAID, SEND)), (10, look(OK, LIST))], "payment_required", 10),
    ("nor one to our probe", [(0, look(UNPAID, SEND)), (10, look(OK))], "payment_required", 10),
    ("a refusal that is no longer seen does not stand for ever", [(0, look(UNPAID, SEND)), (601, look(OK))], "ok", 601),
    ("one that is seen again does", [(0, look(UNPAID, SEND)), (590, look(UNPAID, SEND)), (700, look(OK))], "payment_required", 700),
    ("nor does another call's failure break it", [(0, look(UNPAID)), (10, look(DOWN, LIST)), (20, look(UNPAID))], "payment_required", None),
    ("nor another call's throttling", [(0, look(UNPAID)), (10, look(THROTTLED, LIST))], "payment_required", None),
    ("an outage is over with any ok", [(0, look(DOWN, SEND)), (10, look(OK))], "ok", 10),
    ("what rests on a status is over with any ok", [(0, look(PAY_BY_STATUS, SEND)), (10, look(OK))], "ok", 10),
    ("a refusal of the probe is not over for calls that are answered", [(0, look(PAY)), (10, look(OK, LIST))], "payment_required", 10),
]  # fmt: skip


@pytest.mark.parametrize(("looks", "kind", "success"), [row[1:] for row in SOURCES], ids=[row[0] for row in SOURCES])
def test_one_kind_of_calls_ok_is_no_other_kinds(
    looks: list[tuple[float, Look]], kind: str, success: float | None
) -> None:
    state: State | None = None
    for now, one in looks:
        state = advance(state, one, now)
    assert state is not None
    assert (state.kind, state.last_success) == (kind, success)


def test_a_failure_elsewhere_does_not_begin_a_refusal_anew() -> None:
    state: State | None = None
    for now in range(0, 1000, 60):
        state = advance(state, look(UNPAID), now)
        state = advance(state, look(DOWN, LIST), now + 30)
    assert (state.kind, state.since, state.streak, state.last_probe) == ("payment_required", 0, 17, 960)  # type: ignore[union-attr]


def test_a_busy_server_stays_down_once_it_is_taken_for_that() -> None:
    state, kinds = advance(None, look(OK), 0), []
    for minute in range(1, 200):
        state = advance(state, look(conclude(BUSY_SERVER, state.past("key", minute * 60))), minute * 60)
        kinds.append(state.kind)
    assert set(kinds[:61]) == {"rate_limited"}
    assert set(kinds[62:]) == {"outage"}


def test_another_url_is_another_request() -> None:
    state = advance(None, Look(OK, 0.1, credential="key.one", shape="json"), 10)
    assert conclude(REFUSED, state.past("key.one", 20)).kind == "payment_required"
    assert conclude(REFUSED, state.past("key.two", 20)).signature == "history:never-ok"
    assert conclude(REFUSED, state.past("new.one", 20)).signature == "history:key-changed"


def test_a_good_call_of_a_program_says_nothing_of_our_own_secret() -> None:
    state = advance(None, look(OK, LIST), 10)
    assert conclude(REFUSED, state.past("key", 20)).signature == "history:never-ok"
    assert conclude(REFUSED, state.past(None, 20)).kind == "ambiguous"


DOUBTS = [
    ("all is well", [(0, OK)], False),
    ("a first failure", [(0, OK), (10, PAY)], True),
    ("enough looks in too short a time", [(0, PAY), (10, PAY), (20, PAY)], True),
    ("long enough, with too few looks", [(0, PAY), (1000, PAY)], True),
    ("confirmed", [(0, PAY), (400, PAY), (900, PAY)], False),
    ("throttling is not cured by asking more", [(0, OK), (10, THROTTLED)], False),
]


@pytest.mark.parametrize(("probes", "expected"), [row[1:] for row in DOUBTS], ids=[row[0] for row in DOUBTS])
def test_when_a_verdict_is_in_doubt(probes: list[tuple[float, Verdict]], expected: bool) -> None:
    state: State | None = None
    for now, verdict in probes:
        state = advance(state, look(verdict), now)
    assert state is not None
    assert in_doubt(state, 3, 900) is expected


def test_throttling_counts_from_where_it_began_and_stays_a_spent_quota_once_it_is_one() -> None:
    state, kinds = advance(None, look(OK), 0), []
    for minute in range(1, 200):
        answer = DOWN if minute <= 90 else THROTTLED
        state = advance(state, look(conclude(answer, state.past("key", minute * 60))), minute * 60)
        kinds.append(state.kind)
    assert set(kinds[90:151]) == {"rate_limited"}
    assert set(kinds[152:]) == {"quota_exhausted"}
