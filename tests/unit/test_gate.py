"""Whether a target may be sent to, on timelines of a steady clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.delivery.circuit import FAILURES, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Circuit
from receiver.delivery.gate import Gate
from receiver.delivery.outbox import REFUSALS, Receipt
from receiver.delivery.pace import BURST, Bucket, parse_rate


@pytest.mark.parametrize(("text", "rate"), [("1/s", 1.0), ("30/m", 0.5), ("1000/s", 1000.0), ("36/h", 0.01)])
def test_a_rate_is_so_many_messages_per_unit(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "1", "0/s", "1/d", "-1/s", "1.5/s", "1/s ", "1 / s", "9999999/s", "1\u0661/s"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a rate; write it like 1/s, 30/m or 100/h"):
        parse_rate(text)


def test_a_burst_goes_at_once_and_then_one_at_a_time() -> None:
    bucket = Bucket.full(2.0, at=0)
    for _ in range(BURST):
        assert bucket.wait(0) == 0
        bucket = bucket.taken(0)
    assert bucket.wait(0) == 0.5
    assert bucket.wait(0.5) == 0
    assert bucket.taken(0.5).wait(0.5) == 0.5
    assert bucket.taken(3600).wait(3600) == 0, "a pause fills it again"


@given(rate=st.floats(0.001, 1000), steps=st.lists(st.floats(0, 100), max_size=200))
def test_no_more_leaves_than_the_burst_and_the_rate_allow(rate: float, steps: list[float]) -> None:
    at, bucket, sent = 0.0, Bucket.full(rate, 0.0), 0
    for step in steps:
        at += step
        if bucket.wait(at) == 0:
            bucket, sent = bucket.taken(at), sent + 1
    assert sent <= bucket.size + at * rate + 1e-6


def failures(circuit: Circuit, count: int, at: float) -> Circuit:
    for _ in range(count):
        circuit = circuit.failed(at)
    return circuit


def test_a_circuit_opens_and_doubles_its_pause_until_the_sink_answers() -> None:
    circuit = failures(Circuit(), FAILURES - 1, 0)
    assert (circuit.state(0), circuit.wait(0)) == ("closed", 0)
    at, pauses = 0.0, []
    for _ in range(6):
        circuit = circuit.failed(at)
        assert circuit.state(at) == "open"
        pauses.append(circuit.wait(at))
        at += circuit.wait(at)
        assert (circuit.state(at), circuit.wait(at)) == ("half_open", 0)
    assert pauses == [FIRST_PAUSE_SECONDS, 60, 120, 240, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert circuit.answered().state(at) == "closed"
    assert failures(circuit.answered(), 1, at).wait(at) == 0, "and begins anew"


NO, GONE, LOST = Receipt("failed", "", 500), Receipt("failed", "", 410), Receipt("unknown", "")
OK = Receipt("sent", "", 200)
OUTCOMES: list[tuple[str, list[Receipt], float, bool]] = [
    ("nothing yet", [], 0, False),
    ("five failures in a row", [NO] * 5, FIRST_PAUSE_SECONDS, True),
    ("lost outcomes count as failures", [NO, LOST] * 3, 60, True),
    ("a success in between", [*[NO] * 4, OK, *[NO] * 4], 0, False),
    ("a refusal in between shows that it is there", [*[NO] * 4, GONE, NO], 0, False),
    ("refusals alone", [GONE] * 20, 0, False),
    ("a time that the sink names", [Receipt("failed", "", 429, retry_after=90)], 90, False),
    ("the longer of both", [*[NO] * 4, Receipt("failed", "", 429, retry_after=90)], 90, True),
    ("a success ends them", [*[NO] * 5, OK], 0, False),
]


@pytest.mark.parametrize(
    ("receipts", "wait", "failing"), [row[1:] for row in OUTCOMES], ids=[row[0] for row in OUTCOMES]
)
def test_outcomes_decide_how_long_the_target_is_left_alone(receipts: list[Receipt], wait: float, failing: bool) -> None:
    gate = Gate(Bucket.full(1.0, 0))
    for receipt in receipts:
        gate = gate.after(receipt, 0)
    assert (gate.wait(0), gate.is_failing()) == (wait, failing)


def test_a_message_takes_a_token() -> None:
    gate = Gate(Bucket.full(1.0, 0))
    for _ in range(BURST):
        gate = gate.taken(0)
    assert gate.wait(0) == 1.0


@pytest.mark.parametrize("status", sorted(REFUSALS))
def test_a_refusal_is_told_from_a_failure(status: int) -> None:
    assert Receipt("failed", "", status).refused
    assert not Receipt("unknown", "", status).refused
