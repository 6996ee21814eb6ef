import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.redaction import MASK, Redactor, masked, printable, quoted, secret_parts

PATTERNS = [
    ("a token in a JSON field", '{"access_token": "TKN12345678", "x": 1}', "TKN12345678"),
    ("a secret in a JSON field, however short", '{"client_secret":"abcdef"}', "abcdef"),
    ("a bearer token", "Authorization: Bearer abcdef123456", "abcdef123456"),
    ("basic credentials", "authorization: basic dXNlcjpwdw==", "dXNlcjpwdw"),
    ("a password in a URL", "GET https://me:hunter22@host/x", "hunter22"),
    ("a token in a query", "GET /x?access_token=abcdef&y=1", "abcdef"),
    ("a key in a query", "GET /x?y=1&api_key=abcdef", "abcdef"),
    ("a token in a URL's user", "GET https://abcdef@host/x", "abcdef"),
    ("a password with a slash, in a URL", "dial postgres://app:hun/ter22@db:5432/orders", "ter22"),
    ("a password that is a word", "login with password=correcthorse failed", "correcthorse"),
    ("a password in the environment", "DB_PASSWORD=hunter22abc", "hunter22"),
    ("a password behind a prefix", "PGPASSWORD=correcthorse psql", "correcthorse"),
    ("a password for short", "Server=db;Uid=app;Pwd=correcthorse;", "correcthorse"),
    ("a password for less short", "passwd = 'correcthorse'", "correcthorse"),
    ("a secret behind a word", "client_secret=correcthorse", "correcthorse"),
    ("a key behind a word", "my_api_key=abc123def456", "abc123"),
    ("a token behind a word", "access_token=abc123def456", "abc123"),
    ("a password in a printed dict", "{'db_password': 'correcthorse'}", "correcthorse"),
    ("an address of Slack's to write to", "https://hooks.slack.com/services/T000/B000/XXXXabcd1234", "XXXXabcd"),
]


@pytest.mark.parametrize(("text", "secret"), [row[1:] for row in PATTERNS], ids=[row[0] for row in PATTERNS])
def test_what_looks_like_a_credential_is_masked(text: str, secret: str) -> None:
    assert secret not in Redactor()(text)
    assert MASK in Redactor()(text)


URLS = [
    ("slack", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts", "TIiajkdnlazkcOXrIdevi7FQ"),
    ("a host that is a token", "pagerduty://A1BRTD4JD@TIiajkdnlazkcOXrIdevi7F", "TIiajkdnlazkcOXrIdevi7F"),
    ("a mail password", "mailto://user:p%40ssword1@example.com", "p@ssword1"),
    ("json with a token", "json://localhost/hook?+X-Token=s3cr3tvalue", "s3cr3tvalue"),
]


@pytest.mark.parametrize(("url", "secret"), [row[1:] for row in URLS], ids=[row[0] for row in URLS])
def test_the_secret_parts_of_an_apprise_url_are_masked_wherever_they_turn_up(url: str, secret: str) -> None:
    redact = Redactor(secret_parts(url))
    assert secret not in redact(f"the sink said: no such token {secret} ({url})")


def test_an_ordinary_host_stays_readable() -> None:
    assert Redactor(secret_parts("json://alerts.example.com/x"))("alerts.example.com") == "alerts.example.com"


KEY = 'canary/4711-"Zx81'
ENCODED = base64.b64encode(KEY.encode()).decode()
ECHOES = [
    ("the whole key", f"Incorrect API key provided: {KEY}."),
    ("in other letters", f"no such key: {KEY.upper()}"),
    ("cut short", f"no such key: {KEY[:12]}..."),
    ("cut short by the end of the text", f"no such key: {KEY[:9]}"),
    ("its end starred", f"no such key: {KEY[:8]}*******"),
    ("starred but for its ends", f"no such key: {KEY[:4]}******{KEY[-4:]}"),
    ("in a URL", f"see https://vendor.example/help?k={KEY}&lang=en"),
    ("escaped in JSON within a text", "upstream said " + json.dumps({"key": KEY}).replace("-", "\\u002d")),
    ("percent-encoded", f"see /help/{quote(KEY, safe='')}"),
    ("every letter percent-encoded", "see /help/" + "".join(f"%{ord(letter):02x}" for letter in KEY)),
    ("in HTML", "<p>" + "".join(f"&#{ord(letter)};" for letter in KEY) + "</p>"),
    ("in base64", f"Authorization was {ENCODED}"),
    ("in base64 without padding, for URLs", ENCODED.rstrip("=").replace("/", "_").replace("+", "-")),
    ("twice", f"{KEY}{KEY} and {KEY}"),
]


@pytest.mark.parametrize("text", [row[1] for row in ECHOES], ids=[row[0] for row in ECHOES])
def test_a_secret_that_a_stranger_repeats_is_masked(text: str) -> None:
    said = quoted(text, [KEY])
    assert MASK in said
    for part in (KEY, KEY[:12], KEY[:5], KEY[-4:], ENCODED, ENCODED[:12]):
        assert part.lower() not in said.lower()


SHAPES = [
    ("a key after the word that announces it", "Incorrect API key provided: 4f8a9c", "4f8a9c"),
    ("a token in quotes", "token 'abc123' has expired", "abc123"),
    ("a key with its vendor's beginning", "sk-proj-4711abcd is revoked", "4711"),
    ("a key of AWS", "AKIAIOSFODNN7EXAMPLE is not valid", "IOSFODNN7"),
    ("a JSON web token", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln", "c2ln"),
    ("a key in stars", "Incorrect API key: ab12******yz89", "yz89"),
    ("a key in dots", "unknown ab12...yz89", "ab12"),
    ("a secret of some name", "client_secret: abc123def456", "abc123"),
    ("a key of some name", "API_KEY: 4f8a9c2b1d", "4f8a9c"),
    ("a key with a slash", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalr"),
    ("a token of npm", "npm_abcdefGHIJ1234567890abcd", "GHIJ"),
    ("letters and digits in turns", "user 9f86d081884c7d659a2feaa0c55ad015 is unknown", "9f86d081"),
]


@pytest.mark.parametrize(("text", "secret"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_what_has_the_shape_of_a_credential_is_masked(text: str, secret: str) -> None:
    assert secret not in masked(text)


PLAIN = [
    "The access token expired.",
    "monkey=abc123def",
    "password == null",
    "password: required, secrets: 3",
    "https://grafana.example.com:3000/@ana says so",
    "Basic authentication is off",
    "API key: invalid",
    "oauth2_token_expired_error",
    "maximum tokens 128000 exceeded",
    "Try again at 2026-11-21T10:00:00Z",
    "You exceeded your current quota, read https://platform.vendor.example/docs/guides/error-codes/api-errors.",
    "Limit 3, used 3 for gpt-4o-mini-2024-07-18, try again in 20s.",
    "secret file /tmp/an-example-of-a-long-path-10/gone: No such file or directory",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_tells_the_cause_stays_readable(text: str) -> None:
    assert quoted(text, ["canary-4711", "short"]) == text


@given(st.text(), st.text(min_size=6))
def test_a_known_secret_never_survives(around: str, secret: str) -> None:
    masked = Redactor([secret])(around + secret + around)
    assert secret not in masked or secret in MASK * 2 + around + around


@given(st.text())
def test_printable_text_has_one_line_and_no_control_character(text: str) -> None:
    assert not any(ord(character) < 32 and character not in "\t\n" for character in printable(text))
