"""What an answer is taken for: every row is a vendor's answer and the verdict on it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.providers.probe import Exchange, Failure
from exporter.providers.verdict import Certainty, Kind, judge

OK, PAY, KEY, RATE, OUT, UNKNOWN = (
    Kind.OK,
    Kind.PAYMENT_REQUIRED,
    Kind.CREDENTIALS_INVALID,
    Kind.RATE_LIMITED,
    Kind.OUTAGE,
    Kind.UNKNOWN,
)
CODE, WORDS, STATUS = Certainty.CODE, Certainty.WORDS, Certainty.STATUS


def error(**fields: object) -> bytes:
    return json.dumps({"error": fields}).encode()


ROWS = [
    ("a healthy answer", 200, b'{"plan": "pro"}', OK, STATUS),
    ("a healthy answer that talks of bills is not read", 200, error(message="invoice past due"), OK, STATUS),
    ("a bare 402", 402, b"", PAY, STATUS),
    ("a 402 with a code", 402, error(type="billing_error"), PAY, CODE),
    ("an unpaid bill behind a 401", 401, error(message="Your subscription has expired."), PAY, WORDS),
    ("an unpaid bill behind a 403", 403, error(code="AccountOverdueError"), PAY, CODE),
    ("an overdue invoice in plain text", 403, b"Account has an overdue invoice", PAY, WORDS),
    ("a code beats words", 403, error(code="delinquent", message="Invalid API key"), PAY, CODE),
    ("a bare 401", 401, b"", KEY, STATUS),
    ("a bare 403", 403, b"<html>Forbidden</html>", KEY, STATUS),
    ("a dead key", 401, error(message="Invalid API key provided"), KEY, WORDS),
    ("a dead key without a 401", 400, error(code="API_KEY_INVALID"), KEY, CODE),
    ("an expired token is no expired subscription", 401, error(message="The token has expired"), KEY, WORDS),
    ("throttling that advertises a plan", 429, error(message="Rate limit reached, your plan expired? Upgrade"), RATE, WORDS),
    ("a bare 429", 429, b"", RATE, STATUS),
    ("throttling by 503", 503, error(code="SlowDown"), RATE, CODE),
    ("a bad gateway", 502, b"<html>Bad gateway</html>", OUT, STATUS),
    ("a redirect to a login page", 302, b"", UNKNOWN, STATUS),
    ("a wrong path", 404, b'{"error": "not found"}', UNKNOWN, STATUS),
    ("words outside error-named fields are a customer's data", 404, b'{"subject": "invoice overdue"}', UNKNOWN, STATUS),
    ("an error nested in a list", 403, b'{"errors": [{"detail": "payment required"}]}', PAY, WORDS),
    ("a hundred thousand brackets", 403, b"[" * 100_000, KEY, STATUS),
    ("invalid UTF-8", 402, b"\xff\xfe\x00", PAY, STATUS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "kind", "certainty"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_an_answer_is_judged(status: int, body: bytes, kind: Kind, certainty: Certainty) -> None:
    verdict = judge(Exchange(status, body))
    assert (verdict.kind, verdict.certainty) == (kind, certainty), verdict.reason
    assert verdict.reason


@pytest.mark.parametrize("reason", ["timeout", "dns", "connect", "tls", "protocol"])
def test_no_answer_is_an_outage(reason: str) -> None:
    assert judge(Failure(reason, "x")).kind is OUT  # type: ignore[arg-type]


def test_a_secret_we_cannot_read_is_our_own_trouble_and_no_outage() -> None:
    assert judge(Failure("secret", "secret file x: is empty")).kind is UNKNOWN


@given(status=st.integers(min_value=100, max_value=999), body=st.binary(max_size=200))
def test_any_answer_gets_a_verdict_with_a_reason(status: int, body: bytes) -> None:
    assert judge(Exchange(status, body)).reason


@given(
    body=st.recursive(
        st.text() | st.none() | st.integers(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
    )
)
def test_any_json_gets_a_verdict(body: object) -> None:
    assert judge(Exchange(400, json.dumps(body).encode())).kind in set(Kind)
