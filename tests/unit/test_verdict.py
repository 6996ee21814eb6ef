"""What an answer is taken for: every row is a vendor's answer and the verdict on it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.providers.answer import Exchange, Failure
from exporter.providers.kinds import Certainty, Kind
from exporter.providers.verdict import judge

OK, PAY, KEY, RATE, OUT, UNKNOWN = (
    Kind.OK,
    Kind.PAYMENT_REQUIRED,
    Kind.CREDENTIALS_INVALID,
    Kind.RATE_LIMITED,
    Kind.OUTAGE,
    Kind.UNKNOWN,
)
EITHER, PLAN, QUOTA, SUSPENDED, NOT_OURS = (
    Kind.AMBIGUOUS,
    Kind.PLAN_RESTRICTED,
    Kind.QUOTA_EXHAUSTED,
    Kind.ACCOUNT_SUSPENDED,
    Kind.NOT_ACCOUNT_PROBLEM,
)
CODE, WORDS, STATUS = Certainty.CODE, Certainty.WORDS, Certainty.STATUS


def error(**fields: object) -> bytes:
    return json.dumps({"error": fields}).encode()


ROWS = [
    ("a healthy answer", 200, b'{"plan": "pro"}', OK, STATUS),
    ("a healthy answer that talks of bills is not read", 200, b'{"subject": "invoice past due"}', OK, STATUS),
    ("a healthy answer with an empty list of errors", 200, b'{"errors": [], "plan": "expired"}', OK, STATUS),
    ("an error within a 200 is read", 200, b'{"ok": false, "error": "token_revoked"}', KEY, CODE),
    ("a code that is not 0 within a 200", 200, b'{"r": {"code": 7, "msg": "insufficient balance"}}', QUOTA, WORDS),
    ("an error within a 200 that says nothing we know", 200, b'{"success": false, "msg": "E17"}', UNKNOWN, STATUS),
    ("a web page that speaks of a block may be our own proxy's", 403, b"<html><body>This site is blocked.</body></html>", SUSPENDED, STATUS),
    ("a page where an API was asked", 200, b"<!doctype html><title>Sign in</title>", EITHER, STATUS),
    ("a bare 402", 402, b"", PAY, STATUS),
    ("a 402 that repeats its status", 402, b'{"message": "Payment Required"}', PAY, STATUS),
    ("a 402 with a code", 402, error(type="billing_error"), PAY, CODE),
    ("a 402 for a feature", 402, error(message="Your plan does not include this feature"), PLAN, WORDS),
    ("a 402 for credit", 402, error(message="Insufficient balance"), QUOTA, WORDS),
    ("a 402 for credit that we don't have", 402, error(message="You don't have enough API credits."), QUOTA, WORDS),
    ("a 403 for rights that we don't have", 403, error(message="You do not have enough rights for requests"), NOT_OURS, WORDS),
    ("a 402 about a customer's card", 402, error(type="card_error", message="The card was declined"), NOT_OURS, CODE),
    ("our own card", 402, error(message="Your subscription was cancelled: your card was declined"), PAY, WORDS),
    ("an unpaid bill behind a 401", 401, error(message="Your subscription has expired."), PAY, WORDS),
    ("an unpaid bill behind a 403", 403, error(code="AccountOverdueError"), PAY, CODE),
    ("a spent quota behind a 401", 401, error(message="Maximum credits exceeded"), QUOTA, WORDS),
    ("an overdue invoice in plain text", 403, b"Account has an overdue invoice", PAY, WORDS),
    ("an overdue invoice in XML", 403, b"<Error><Message>Account has an overdue invoice</Message></Error>", PAY, WORDS),
    ("a bare 401 fits two causes", 401, b"", EITHER, STATUS),
    ("a bare 403 fits two causes", 403, b"<html>Forbidden</html>", EITHER, STATUS),
    ("a vendor that leaves open which", 403, error(message="The key is invalid or you are out of credits"), EITHER, WORDS),
    ("a dead key", 401, error(message="Invalid API key provided"), KEY, WORDS),
    ("a dead key without a 401", 400, error(code="API_KEY_INVALID"), KEY, CODE),
    ("an expired token is no expired subscription", 401, error(message="The token has expired"), KEY, WORDS),
    ("an invalid subscription key is a key", 401, error(message="Access denied due to invalid subscription key"), KEY, WORDS),
    ("a key that may not do this", 403, error(message="Insufficient permissions for this resource"), NOT_OURS, WORDS),
    ("a country that is not served", 403, error(message="Country, region, or territory not supported"), NOT_OURS, WORDS),
    ("a suspended account", 403, error(message="This account has been suspended"), SUSPENDED, WORDS),
    ("suspended for want of payment is a bill", 403, error(message="Account suspended: unpaid invoice"), PAY, WORDS),
    ("throttling that advertises a plan", 429, error(message="Rate limit reached, upgrade your plan"), RATE, WORDS),
    ("a daily limit is a quota", 429, error(message="You have exceeded your daily limit"), QUOTA, WORDS),
    ("a bare 429", 429, b"", RATE, STATUS),
    ("throttling by 503", 503, error(code="SlowDown"), RATE, CODE),
    ("a bad gateway", 502, b"<html>Bad gateway</html>", OUT, STATUS),
    ("a 500 that gives advice about plans", 500, error(message="Check your subscription plan"), OUT, STATUS),
    ("a redirect to a login page", 302, b"", UNKNOWN, STATUS),
    ("a wrong path", 404, b'{"error": "not found"}', UNKNOWN, STATUS),
    ("words outside error-named fields are a customer's data", 404, b'{"subject": "invoice overdue"}', UNKNOWN, STATUS),
    ("an error nested in a list", 403, b'{"errors": [{"detail": "your invoice is overdue"}]}', PAY, WORDS),
    ("Spanish", 403, error(message="Su suscripción ha caducado"), PAY, WORDS),
    ("German", 403, error(message="Konto gesperrt: offene Rechnung"), PAY, WORDS),
    ("Chinese", 403, error(message="您的账户已欠费"), PAY, CODE),
    ("a hundred thousand brackets", 403, b"[" * 100_000, EITHER, STATUS),
    ("invalid UTF-8", 402, b"\xff\xfe\x00", PAY, STATUS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "kind", "certainty"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_an_answer_is_judged(status: int, body: bytes, kind: Kind, certainty: Certainty) -> None:
    verdict = judge(Exchange(status, body))
    assert (verdict.kind, verdict.certainty) == (kind, certainty), verdict.reason
    assert verdict.reason


BUSY = [
    ("a server that asks back in a moment throttles", "30", RATE),
    ("one that asks back in hours is under maintenance", "7200", OUT),
    ("and so is one that names a date", "Fri, 06 Nov 2026 06:00:00 GMT", OUT),
    ("or that says nothing", "", OUT),
]


@pytest.mark.parametrize(("retry_after", "kind"), [row[1:] for row in BUSY], ids=[row[0] for row in BUSY])
def test_a_503_is_told_from_throttling_by_its_retry_after(retry_after: str, kind: Kind) -> None:
    assert judge(Exchange(503, b"", {"retry-after": retry_after})).kind is kind


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
