"""Signed links: whoever holds one may do one thing to one subject until it expires, and nobody can make one up. Pure.

A token is `PURPOSE.SUBJECT.EXPIRES.SIGNATURE`: readable, since nothing in it is secret but the right that it gives.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NEVER = 0
"""The `expires` of a link that is good until the key is replaced."""
INCIDENT = "incident"
"""The purpose of a link that opens the page of an incident, where people acknowledge and silence it."""
INCIDENT_SECONDS = 7 * 86400.0
"""How long such a link is good: a week-old message is history, and whoever finds it must not act by it."""
KEY_BYTES = 32

Flaw = Literal["malformed", "tampered", "another_purpose", "expired"]
FLAWS: Mapping[Flaw, str] = {
    "malformed": "This is no complete link: a part of it is missing.",
    "tampered": "This link was not made here, or was changed.",
    "another_purpose": "This link is for something else.",
    "expired": "This link is too old.",
}
"""What is wrong with a link, for people."""

_TOKEN = re.compile(r"(?s)(?P<signed>(?P<purpose>[a-z]+)\.(?P<subject>.+)\.(?P<expires>[0-9]+))\.(?P<signature>.+)")
_LONGEST = 500


class BadLink(Exception):
    """A token that gives no right; `flaw` says why."""

    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw
        super().__init__(FLAWS[flaw])


@dataclass(frozen=True)
class Signer:
    """Makes and checks links under `base`, the address by which people reach this service. Without a key it makes
    none, and no link is good."""

    key: bytes
    base: str

    def incident_url(self, incident: int, now: float) -> str:
        """The address of an incident's page, good for INCIDENT_SECONDS; "" without a key."""
        if not self.key:
            return ""
        return f"{self.base}/a/{sign(self.key, INCIDENT, str(incident), int(now + INCIDENT_SECONDS))}"

    def incident(self, token: str, now: float) -> int:
        """The incident that the token is for. Raises BadLink."""
        return int(verify(self.key, INCIDENT, token, now))


def sign(key: bytes, purpose: str, subject: str, expires: int = NEVER) -> str:
    """The token for `subject`. `purpose` is of small letters; `expires` in seconds since the epoch, or NEVER."""
    signed = f"{purpose}.{subject}.{expires}"
    return f"{signed}.{_signature(key, signed)}"


def verify(key: bytes, purpose: str, token: str, now: float) -> str:
    """The subject of a token that was made by `sign` with the same key and purpose. Raises BadLink."""
    found = _TOKEN.fullmatch(token) if len(token) <= _LONGEST else None
    if found is None:
        raise BadLink("malformed")
    # the text as it was given is what must be signed, so there is one spelling of each token
    given, right = found["signature"].encode(errors="replace"), _signature(key, found["signed"]).encode()
    if not key or not hmac.compare_digest(given, right):
        raise BadLink("tampered")
    if found["purpose"] != purpose:
        raise BadLink("another_purpose")
    if NEVER < int(found["expires"]) < now:
        raise BadLink("expired")
    return found["subject"]


def _signature(key: bytes, signed: str) -> str:
    digest = hmac.digest(key, f"tocsin link {signed}".encode(errors="surrogateescape"), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
