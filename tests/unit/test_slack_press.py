"""Whether a press comes from Slack, and what it says."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.slack.press import Malformed, Press, flaw, is_hook, parse

SECRET, NOW, BODY = "8f742231b10e8888abcd99yyyzzz85a5", 1531420618.0, b"token=xyzz0WbapA4vBCDEFasx0q6G"
HOOK = "https://hooks.slack.com/actions/T1/2/3"


def sign(body: bytes, at: float = NOW, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"v0:{at:.0f}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": f"{at:.0f}", "X-Slack-Signature": f"v0={digest}"}


SIGNED: list[tuple[str, dict[str, str], str | None]] = [
    ("as Slack signs", sign(BODY), None),
    ("five minutes ago", sign(BODY, NOW - 300), None),
    ("from a clock that is ahead", sign(BODY, NOW + 300), None),
    ("a recording", sign(BODY, NOW - 301), "stale"),
    ("from the future", sign(BODY, NOW + 301), "stale"),
    ("another body's", sign(BODY + b"x"), "wrong_signature"),
    ("another app's", sign(BODY, secret="another"), "wrong_signature"),
    ("a recording with a new time", {**sign(BODY, NOW - 900), "X-Slack-Request-Timestamp": f"{NOW:.0f}"}, "wrong_signature"),
    ("of no version", {**sign(BODY), "X-Slack-Signature": sign(BODY)["X-Slack-Signature"][3:]}, "wrong_signature"),
    ("not ASCII", {**sign(BODY), "X-Slack-Signature": "v0=é\udcff"}, "wrong_signature"),
    ("nothing", {}, "unsigned"),
    ("no signature", {"X-Slack-Request-Timestamp": f"{NOW:.0f}"}, "unsigned"),
    ("no time", {"X-Slack-Signature": "v0=0"}, "unsigned"),
    ("a time that is none", {**sign(BODY), "X-Slack-Request-Timestamp": "\u0663"}, "unsigned"),
    ("a time of a thousand digits", {**sign(BODY), "X-Slack-Request-Timestamp": "1" * 1000}, "unsigned"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "found"), [row[1:] for row in SIGNED], ids=[row[0] for row in SIGNED])
def test_a_signature_holds_for_its_body_its_secret_and_its_time(headers: dict[str, str], found: str | None) -> None:
    assert flaw(SECRET, headers, BODY, NOW) == found


def test_the_signature_is_the_one_of_slacks_own_example() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhoo"
        b"ks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.4744562"
        b"9121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {"X-Slack-Request-Timestamp": "1531420618", "X-Slack-Signature": signature}
    assert flaw(SECRET, headers, body, 1531420618.0) is None


@given(st.binary(max_size=40), st.text(max_size=80))
def test_no_made_up_signature_passes(body: bytes, signature: str) -> None:
    headers = {**sign(body), "X-Slack-Signature": signature}
    assert flaw(SECRET, headers, body, NOW) is not None


def body(action: dict[str, Any] | None = None, **fields: Any) -> bytes:
    pressed = {"type": "button", "action_id": "acknowledge", "value": "7"} if action is None else action
    user = {"id": "U0123ABCD", "username": "ana", "team_id": "T1"}
    payload = {
        "type": "block_actions",
        "user": user,
        "actions": [pressed],
        "response_url": HOOK,
        "token": "old",
        **fields,
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


PRESSED: list[tuple[str, bytes, Press | None]] = [
    ("acknowledge", body(), Press("acknowledge", 7, "U0123ABCD", "ana", HOOK)),
    ("silence", body({"action_id": "silence", "value": "12"}), Press("silence", 12, "U0123ABCD", "ana", HOOK)),
    ("somebody without a name", body(user={"id": "W1"}), Press("acknowledge", 7, "W1", "W1", HOOK)),
    ("nowhere to answer to", body(response_url=""), Press("acknowledge", 7, "U0123ABCD", "ana", "")),
    ("a button that opens a page", body({"action_id": "open_runbook"}), None),
    ("a button of another app's", body({"action_id": "approve", "value": "7"}), None),
    ("a shortcut", body(type="shortcut"), None),
    ("nothing pressed", body(actions=[]), None),
]


@pytest.mark.parametrize(("posted", "press"), [row[1:] for row in PRESSED], ids=[row[0] for row in PRESSED])
def test_a_press_names_its_deed_its_incident_and_its_person(posted: bytes, press: Press | None) -> None:
    assert parse(posted) == press


REFUSED: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("no form", b"{}"),
    ("no payload", b"a=b"),
    ("no JSON", b"payload=x"),
    ("no object", b"payload=[]"),
    ("nobody", b"payload=%7B%22type%22%3A%22block_actions%22%7D"),
    ("not UTF-8", b"payload=\xff"),
    ("too many fields", b"&".join(b"a%d=1" % number for number in range(100))),
    ("no incident", body({"action_id": "acknowledge"})),
    ("an incident that is no number", body({"action_id": "acknowledge", "value": "7; drop"})),
    ("digits of another script", body({"action_id": "acknowledge", "value": "\u0667"})),
    ("an endless number", body({"action_id": "silence", "value": "9" * 30})),
]


@pytest.mark.parametrize("posted", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_press_is_refused(posted: bytes) -> None:
    with pytest.raises(Malformed):
        parse(posted)


@given(st.binary(max_size=200))
def test_nothing_posted_is_an_error_of_ours(posted: bytes) -> None:
    try:
        parse(posted)
    except Malformed:
        return


HOOKS: list[tuple[str, str, bool]] = [
    ("Slack's", HOOK, True),
    ("in plain text", "http://hooks.slack.com/actions/x", False),
    ("another host", "https://evil.example/actions/x", False),
    ("a host that begins like it", "https://hooks.slack.com.evil.example/x", False),
    ("a host that ends like it", "https://xhooks.slack.com/x", False),
    ("another port", "https://hooks.slack.com:8443/x", False),
    ("with a user that looks like it", "https://hooks.slack.com@evil.example/x", False),
    ("with a user", "https://a:b@hooks.slack.com/x", False),
    ("a port that is none", "https://hooks.slack.com:x/", False),
    ("a broken host", "https://[::1", False),
    ("a file", "file:///etc/passwd", False),
    ("nothing", "", False),
]


@pytest.mark.parametrize(("url", "good"), [row[1:] for row in HOOKS], ids=[row[0] for row in HOOKS])
def test_nobody_but_slack_is_answered(url: str, good: bool) -> None:
    assert is_hook(url, "https://hooks.slack.com") is good
