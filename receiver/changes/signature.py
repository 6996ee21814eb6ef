"""The signatures by which GitHub and LaunchDarkly show who they are: neither can send a token. Pure."""

import hashlib
import hmac

HEADERS = {"github": "X-Hub-Signature-256", "launchdarkly": "X-LD-Signature"}
"""The header that holds each one's signature."""


def is_signed(body: bytes, secret: str, signature: str) -> bool:
    """Whether `signature` (hexadecimal, GitHub's with `sha256=` before it) is the HMAC-SHA256 of `body`."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = signature.strip().removeprefix("sha256=").lower()
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))
