"""Keeps secrets and control characters out of whatever leaves the process as text."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

MASK = "***"
SHORTEST_SECRET = 6
"""A known value shorter than this many characters is not masked: it would mask ordinary words."""

_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic|token|apikey|api-key)(\s+|=|:\s*)[\w.~+/=-]{6,}"), rf"\1\2{MASK}"),
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), f"://{MASK}@"),
    (re.compile(r"(?i)([?&](?:[\w-]*(?:token|key|secret|password|signature))=)[^&\s\"']+"), rf"\1{MASK}"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Redactor:
    """Masks the values it was told of and what looks like a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """`secrets`: values that must never appear; longer ones are masked first."""
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """`text` with every known secret and every credential-shaped part replaced by `***`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def secret_parts(url: str) -> frozenset[str]:
    """The parts of an Apprise URL that may hold a secret: the whole, user, password, path segments, query values.

    The scheme and a host that looks like an address stay readable; a token in the host's place (`slack://TOKEN/...`)
    counts as a secret.
    """
    split = urlsplit(url)
    host = split.hostname or ""
    parts = {url, split.username or "", split.password or "", *split.path.split("/")}
    parts |= {value for pair in split.query.split("&") for value in pair.partition("=")[2:]}
    if "." not in host and host != "localhost":
        parts |= {host, split.netloc.rpartition("@")[2]}
    return frozenset(part for raw in parts for part in (raw, unquote(raw)) if len(part) >= SHORTEST_SECRET)


def printable(text: str) -> str:
    """`text` with control and bidirectional characters written as escapes, so that no log line or page is forged."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
