"""What leaves the program: nothing that looks like a credential, everything that tells a cause."""

import base64
import json
import random
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import classify
from exporter.providers import catalogue
from exporter.providers.answer import Exchange
from exporter.providers.catalogue import Example
from exporter.providers.verdict import judge
from tests.unit.unseen import ROWS
from tocsin_observe.redaction import (
    MASK,
    MOST_BODY_BYTES,
    MOST_HEADERS,
    MOST_READ,
    default_operation,
    masked,
    safe_body,
    safe_headers,
    safe_operation,
)

SECRETS = [
    ("a bearer token in JSON", '{"Authorization": "Bearer abcdef"}', "abcdef"),
    ("a bearer token", "Authorization: Bearer abcDEF-123456", "abcDEF-123456"),
    ("basic credentials", "got Basic dXNlcjpwdw==", "dXNlcjpwdw"),
    ("a live key", "No such key: sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("a short key", "No such key: rk-test-a1b2c3d4", "a1b2c3d4"),
    ("a key that the vendor masked itself", "Incorrect API key provided: sk-abc***xyz.", "xyz"),
    ("a key of mailgun", '"key-3ax6xnjp29jd6fds4gc373sgvjxteol0"', "3ax6xnjp29jd6fds4gc373sgvjxteol0"),
    ("a key of AWS", "AKIAIOSFODNN7EXAMPLE is not known", "IOSFODNN7EXAMPLE"),
    ("a JSON web token", "bad token eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJSM", "SflKxwRJSM"),
    ("a field named for a secret", '{"api_key": "hunter"}', "hunter"),
    ("a field of camelCase", '{"clientSecret":"hunter"}', "hunter"),
    ("a secret with blanks", '{"password": "correct horse"}', "correct"),
    ("a secret with quotes in it", r'{"password": "cor\"rect", "a": 1}', "rect"),
    ("a field in a text in a field", r'{"sent": "{\"token\": \"hunter\"}"}', "hunter"),
    ("quotes in a secret in a text in a field", r'{"sent": "{\"token\": \"cor\\\"rect\"}"}', "rect"),
    ("a field that was cut off", '{"password": "correct hor', "correct"),
    ("an element of XML", "<ApiToken>hunter</ApiToken>", "hunter"),
    ("a form", "password=hunter&x=1", "hunter"),
    ("userinfo", "could not fetch https://me:hunter@host/x", "hunter"),
    ("a token for a user", "could not fetch https://hunter@host/x", "hunter"),
    ("a query", "GET https://host/x?anything=hunter failed", "hunter"),
    ("a query without a host", "GET /x?a=1&sig=hunter failed", "hunter"),
    ("a fragment", "see https://host/x#access_token=hunter", "hunter"),
    (
        "a token in a path",
        "https://hooks.example/services/T00/B00/X8kP2mQ9vR4tY7wZ1aB3cD5e",
        "X8kP2mQ9vR4tY7wZ1aB3cD5e",
    ),
    ("a mail address", "hello jane.doe+x@example.co.uk!", "jane"),
    ("an escaped mail address", "user=jane%40example.com", "jane"),
    ("a phone number", "The number +15005550006 is unverified", "15005550006"),
    ("a card's number", "4242424242424242 was declined", "4242424242424242"),
    ("a hash", "5f4dcc3b5aa765d61d8327deb882cf99", "5f4dcc3b5aa765d6"),
    ("a UUID", "request 123e4567-e89b-12d3-a456-426614174000", "e89b"),
]


@pytest.mark.parametrize(("text", "secret"), [row[1:] for row in SECRETS], ids=[row[0] for row in SECRETS])
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    assert secret not in masked(text)


CAUSES = [
    '{"error": {"code": "api_key_expired", "type": "invalid_request_error"}}',
    "Your card was declined.",
    "invalid token",
    "Token expired. Please log in.",
    "No credentials supplied.",
    "Bearer authentication required",
    '{"error": "invalid_api_key", "message": "API key missing."}',
    '{"title": "Insufficient credit", "status": 402, "token_error": "expired"}',
    "<Code>InvalidAccessKeyId</Code>",
    '{"msg": "ExceededDailyRateLimit", "code": 40103}',
    "AuthenticationServiceUnavailableException",
    "subscription_payment_required_for_this_operation",
    "did you pay? Then wait until 2026-11-21 03:12:04",
]


@pytest.mark.parametrize("text", CAUSES)
def test_what_tells_the_cause_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_a_masked_body_is_still_json() -> None:
    body = {"blockedAt": 1700000000000, "token": 'a"b\\c', "more": "see https://x.example/a?b=c#d", "id": "4" * 20}
    assert set(json.loads(safe_body(json.dumps(body)))) == set(body)


def known_answers() -> list[tuple[str, str, Example]]:
    """(row's name, vendor, answer) of every answer whose meaning the exporter is known to read."""
    signed = [(one.id, vendor.vendor, one.example) for vendor in catalogue.every() for one in vendor.signatures]
    unseen = [(f"unseen {row[0]} {row[1]} {row[2][:40]}", row[0], Example(status=row[1], body=row[2])) for row in ROWS]
    return [(name, vendor, example) for name, vendor, example in [*signed, *unseen] if example is not None]


ANSWERS = known_answers()


@pytest.mark.parametrize(("vendor", "answer"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_the_exporter_reads_the_masked_answer_as_the_whole_one(vendor: str, answer: Example) -> None:
    signatures = classify.signatures_of(vendor)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    whole = judge(Exchange(answer.status, answer.body.encode(), headers), signatures)
    safe = judge(Exchange(answer.status, safe_body(answer.body).encode(), safe_headers(answer.headers)), signatures)
    assert (safe.kind, safe.certainty) == (whole.kind, whole.certainty)


LETTERS = string.ascii_letters + string.digits
MADE: list[tuple[str, Callable[[random.Random], str], float]] = [
    ("hex", lambda chance: chance.randbytes(16).hex(), 0.0),
    ("base64", lambda chance: base64.b64encode(chance.randbytes(32)).decode(), 0.001),
    ("base64 for URLs", lambda chance: base64.urlsafe_b64encode(chance.randbytes(32)).decode().rstrip("="), 0.001),
    ("24 letters and digits", lambda chance: "".join(chance.choices(LETTERS, k=24)), 0.005),
    ("20 small letters and digits", lambda chance: "".join(chance.choices(LETTERS[:26] + LETTERS[52:], k=20)), 0.01),
]


@pytest.mark.parametrize(("make", "share"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_hardly_any_random_secret_is_taken_for_a_word(make: Callable[[random.Random], str], share: float) -> None:
    chance = random.Random(4711)
    made = [make(chance) for _ in range(2000)]
    seen = [one for one in made if shares(one, masked(f'"No such {one}."'))]
    assert len(seen) <= share * len(made), seen[:5]


def shares(secret: str, text: str) -> bool:
    """Whether twelve characters in a row of `secret` are in `text`."""
    return any(secret[at : at + 12] in text for at in range(len(secret) - 11))


def test_a_body_is_cut_after_it_is_masked() -> None:
    body = safe_body("é" * 10_000)
    assert len(body.encode()) == MOST_BODY_BYTES
    assert set(body) == {"é"}


@pytest.mark.parametrize("shift", range(40))
def test_a_secret_at_the_end_of_what_is_read_is_not_cut_in_half(shift: int) -> None:
    # masks shrink the text, so that its end comes within what is sent
    filling = '{"token": "' + "x" * 500 + '"}, '
    start = (filling * 20)[: MOST_READ - shift]
    assert "c4n4ry" not in safe_body(f"{start}c4n4ry5f4dcc3b5aa765d61d8327deb882cf99 and more")


BODIES: list[tuple[str, object, str]] = [
    ("nothing", None, ""),
    ("bytes", b"unpaid", "unpaid"),
    ("a bytearray", bytearray(b"unpaid"), "unpaid"),
    ("no UTF-8", b"\xff\xfeunpaid", "\ufffd\ufffdunpaid"),
    ("control characters", "un\x00paid\x1b[2J", "un paid [2J"),
    ("half a character", "un\ud800paid", "un paid"),
    ("neither text nor bytes", {"a": 1}, ""),
]


@pytest.mark.parametrize(("body", "sent"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_a_body_becomes_text(body: str, sent: str) -> None:
    assert safe_body(body) == sent


HEADERS = [
    ("content type", {"Content-Type": "application/json"}, {"content-type": "application/json"}),
    ("limits", {"X-RateLimit-Remaining": "0"}, {"x-ratelimit-remaining": "0"}),
    ("the draft's limits", {"RateLimit": "limit=1"}, {"ratelimit": "limit=1"}),
    ("a reason", {"Reason": "Account Inactive"}, {"reason": "Account Inactive"}),
    ("the scheme alone", {"WWW-Authenticate": 'Bearer realm="canary"'}, {"www-authenticate": "Bearer"}),
    ("no scheme", {"WWW-Authenticate": "canary"}, {"www-authenticate": "other"}),
    ("a cookie", {"Set-Cookie": "session=canary"}, {}),
    ("what is not on the list", {"X-Debug": "canary", "Authorization": "Bearer canary", "Location": "/canary"}, {}),
    ("a secret in a header of the list", {"Server": "nginx token=canary"}, {"server": f"nginx token={MASK}"}),
    ("a line break", {"Server": "a\r\nb"}, {"server": "a \nb"}),
    ("none", None, {}),
]


@pytest.mark.parametrize(("headers", "sent"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS])
def test_only_headers_of_the_list_leave(headers: dict[str, str], sent: dict[str, str]) -> None:
    assert safe_headers(headers) == sent


def test_many_headers_are_too_many() -> None:
    assert len(safe_headers({f"x-ratelimit-{number}": "1" for number in range(1000)})) == MOST_HEADERS


def test_an_operation_is_method_and_host_or_what_the_program_says() -> None:
    assert default_operation("post", "API.Mailgun.net") == "POST api.mailgun.net"
    assert default_operation("BREW-12345", "x") == "OTHER x"
    assert safe_operation("send to jane@example.com") == f"send to {MASK}"


SLOW = [
    *("a", "a1", "-", "ab-", "a.", " ", "token ", "token.", '"token":"', "<token>", "://", "?a=", "a@", "a.b%"),
    *("sk_", "eyJ", "Bearer ", "+1", "\\", '\\"', "password:", "x=", "[", "secret_"),
]


@pytest.mark.parametrize("piece", SLOW)
def test_no_body_makes_a_pattern_hang(piece: str) -> None:
    # a pattern that takes quadratic time would take minutes for this, and the test would not end
    masked(piece * (200_000 // len(piece)))


@given(st.text())
def test_any_text_becomes_text_that_can_be_sent(text: str) -> None:
    assert len(safe_body(text).encode()) <= MOST_BODY_BYTES
