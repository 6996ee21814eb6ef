import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.redaction import MASK, Redactor, printable, secret_parts

PATTERNS = [
    ("a bearer token", "Authorization: Bearer abcdef123456", "abcdef123456"),
    ("basic credentials", "authorization: basic dXNlcjpwdw==", "dXNlcjpwdw"),
    ("a password in a URL", "GET https://me:hunter22@host/x", "hunter22"),
    ("a token in a query", "GET /x?access_token=abcdef&y=1", "abcdef"),
    ("a key in a query", "GET /x?y=1&api_key=abcdef", "abcdef"),
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


@given(st.text(), st.text(min_size=6))
def test_a_known_secret_never_survives(around: str, secret: str) -> None:
    masked = Redactor([secret])(around + secret + around)
    assert secret not in masked or secret in MASK * 2 + around + around


@given(st.text())
def test_printable_text_has_one_line_and_no_control_character(text: str) -> None:
    assert not any(ord(character) < 32 and character not in "\t\n" for character in printable(text))
