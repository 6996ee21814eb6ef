"""What Slack posts when somebody presses a button: whether it comes from Slack, and what it says. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import parse_qs, urlsplit

import msgspec

FRESH_SECONDS = 300
"""An older request is somebody's recording."""

Flaw = Literal["unsigned", "stale", "wrong_signature"]
FLAWS: Mapping[Flaw, str] = {
    "unsigned": "the request is not signed as Slack signs",
    "stale": f"the request is more than {FRESH_SECONDS // 60} minutes old, or one of the clocks is wrong",
    "wrong_signature": "the signature is not that of the signing secret",
}
Deed = Literal["acknowledge", "silence"]
"""The action ids of our buttons that do something. Others open a page."""


class Malformed(Exception):
    """It was signed, and is nothing that Slack sends."""


@dataclass(frozen=True)
class Press:
    """`user` is an id like `U0123ABCD`, `name` what Slack calls them. `answer_to` is where Slack wants words for them;
    whoever holds it may write there, so it is a secret."""

    deed: Deed
    incident: int
    user: str
    name: str
    answer_to: str


class _User(msgspec.Struct):
    id: str
    username: str = ""
    name: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    value: str = ""


class _Payload(msgspec.Struct):
    type: str
    user: _User
    actions: list[_Action] = []
    response_url: str = ""


_decode = msgspec.json.Decoder(_Payload).decode


def early_flaw(headers: Mapping[str, str], now: float) -> Flaw | None:
    """Why no body under these headers is taken for Slack's, before one is read; None when it may be. `headers` are
    looked up without regard to case."""
    at = headers.get("X-Slack-Request-Timestamp", "")
    if not (at.isascii() and at.isdecimal() and len(at) < 16 and headers.get("X-Slack-Signature")):
        return "unsigned"
    return "stale" if abs(now - int(at)) > FRESH_SECONDS else None


def flaw(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> Flaw | None:
    """Why `body` is not taken for Slack's; None when it is."""
    early = early_flaw(headers, now)
    if early is not None:
        return early
    at, given = headers["X-Slack-Request-Timestamp"], headers["X-Slack-Signature"]
    digest = hmac.new(secret.encode(), b"v0:%s:%s" % (at.encode(), body), hashlib.sha256).hexdigest()
    good = hmac.compare_digest(f"v0={digest}".encode(), given.encode(errors="surrogateescape"))
    return None if good else "wrong_signature"


def parse(body: bytes) -> Press | None:
    """What was pressed; None when it is nothing that we do, such as a button that opens a page. Raises Malformed."""
    try:
        fields = parse_qs(body.decode(), max_num_fields=10, strict_parsing=True)
        payload = _decode(fields["payload"][0])
    except (ValueError, KeyError, msgspec.DecodeError) as error:
        raise Malformed(f"a form with a payload in JSON is expected: {type(error).__name__}") from None
    if payload.type != "block_actions":
        return None
    pressed = next((one for one in payload.actions if one.action_id in get_args(Deed)), None)
    if pressed is None:
        return None
    if not (pressed.value.isascii() and pressed.value.isdecimal() and len(pressed.value) < 10):
        raise Malformed("the button names no incident")
    name = payload.user.username or payload.user.name or payload.user.id
    deed: Deed = "acknowledge" if pressed.action_id == "acknowledge" else "silence"
    return Press(deed, int(pressed.value), payload.user.id, name, payload.response_url)


def is_hook(url: str, hooks: str) -> bool:
    """Whether `url` leads to where `hooks` does, so that nobody else is written to."""
    try:
        given, known = urlsplit(url), urlsplit(hooks)
        same = (given.scheme, given.hostname, given.port) == (known.scheme, known.hostname, known.port)
    except ValueError:
        return False
    return same and given.username is None and given.password is None
