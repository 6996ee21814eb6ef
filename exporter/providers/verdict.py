"""What an answer says about the account: Exchange -> Verdict. Pure.

The first reading of status and body; where the words of an error and its status disagree, the words win, because
vendors answer an unpaid bill with 401 and 403 as well as 402.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from exporter.providers.probe import Exchange, Failure


class Kind(StrEnum):
    """What a provider's answer means. Closed: the values are label values."""

    OK = "ok"
    PAYMENT_REQUIRED = "payment_required"
    CREDENTIALS_INVALID = "credentials_invalid"
    RATE_LIMITED = "rate_limited"
    OUTAGE = "outage"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """What a verdict rests on: a machine code, words in an error field, the provider's past, or the status alone."""

    CODE = "code"
    WORDS = "words"
    HISTORY = "history"
    STATUS = "status"


@dataclass(frozen=True)
class Verdict:
    """A judgement of one exchange. `reason` is for people and holds no part of a secret."""

    kind: Kind
    certainty: Certainty
    reason: str


ERROR_FIELDS = frozenset(
    {
        *("error", "errors", "error_description", "fault", "message", "msg", "detail", "details", "info"),
        *("code", "type", "title", "reason", "status"),
    }
)
"""Only fields so named are read for words: the rest of a body may be anybody's data."""
_DEPTH = 6
_TEXT_LIMIT = 2000

_CODES = (
    (Kind.RATE_LIMITED, r"rate_?limit(_?exceeded|ed)?|too_?many_?requests|throttled|throttling(exception)?|slow_?down"),
    (
        Kind.PAYMENT_REQUIRED,
        r"payment_?required|billing_?(error|disabled|hard_limit_reached|not_active)|delinquent|arrearage|unpaid(_invoice)?"
        r"|account_?overdue(_?error)?|subscription_?(expired|ended|inactive|canceled|cancelled)|past_?due|invoice_?overdue",
    ),
    (
        Kind.CREDENTIALS_INVALID,
        r"(invalid|incorrect|revoked|expired|unknown)_?(api_?)?(key|token|credentials?|auth(entication|orization)?)(_?error)?"
        r"|(api_?)?(key|token)_?(invalid|revoked|expired)|authentication_?(error|failed)|unauthenticated|invalid_grant",
    ),
)
_WORDS = (
    (Kind.RATE_LIMITED, r"rate.?limit|too many requests|throttl|slow down"),
    (
        Kind.PAYMENT_REQUIRED,
        r"past due|overdue|unpaid|arrears|delinquent|outstanding balance|payment (method|required|failed|is due)"
        r"|update your (billing|payment|card)|billing (is )?(disabled|not active)"
        r"|(subscription|plan|trial)( period)?( has| is| was)?( been)?"
        r" (expired|ended|lapsed|inactive|cancell?ed|suspended)",
    ),
    (
        Kind.CREDENTIALS_INVALID,
        r"(invalid|incorrect|unknown|revoked|bad|missing|wrong) (api.?)?(key|token|credentials?|secret|password)"
        r"|(key|token|session|credentials?)( has| is| was)?( been)? (invalid|expired|revoked|not valid)"
        r"|authentication failed",
    ),
)
_CODE_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _CODES)
_WORD_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _WORDS)
_SERVER_DOWN = frozenset({"timeout", "dns", "connect", "tls", "protocol"})


def judge(outcome: Exchange | Failure) -> Verdict:
    """The verdict on one probe. Never raises, whatever the body holds."""
    if isinstance(outcome, Failure):
        kind = Kind.OUTAGE if outcome.reason in _SERVER_DOWN else Kind.UNKNOWN
        return Verdict(kind, Certainty.STATUS, f"no answer: {outcome.detail}")
    if 200 <= outcome.status < 300:
        return Verdict(Kind.OK, Certainty.STATUS, f"answered {outcome.status}")
    if outcome.status >= 400:
        told = _by_code(outcome) or _by_words(outcome)
        if told is not None:
            return told
    return _by_status(outcome.status)


def _by_code(outcome: Exchange) -> Verdict | None:
    codes = [text for text in _error_texts(outcome.body) if " " not in text]
    for kind, pattern in _CODE_PATTERNS:
        for code in codes:
            if pattern.fullmatch(code):
                return Verdict(kind, Certainty.CODE, f"answered {outcome.status} with the code {code!r}")
    return None


def _by_words(outcome: Exchange) -> Verdict | None:
    texts = list(_error_texts(outcome.body))
    for kind, pattern in _WORD_PATTERNS:
        for text in texts:
            found = pattern.search(text)
            if found:
                return Verdict(kind, Certainty.WORDS, f"answered {outcome.status} and said {found.group()!r}")
    return None


def _by_status(status: int) -> Verdict:
    kinds = {402: Kind.PAYMENT_REQUIRED, 401: Kind.CREDENTIALS_INVALID, 403: Kind.CREDENTIALS_INVALID}
    kind = kinds.get(status, Kind.RATE_LIMITED if status == 429 else Kind.UNKNOWN)
    if status >= 500:
        kind = Kind.OUTAGE
    return Verdict(kind, Certainty.STATUS, f"answered {status} without telling why")


def _error_texts(body: bytes) -> Iterator[str]:
    """The texts of error-named fields of a JSON body, outermost first; of a short plain-text body, the body."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[:_TEXT_LIMIT].decode(errors="replace").strip()
        if text and not text.startswith("<"):
            yield text
        return
    yield from _named(data, _DEPTH)


def _named(value: Any, depth: int, named: bool = False) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, str):
        if named:
            yield value[:_TEXT_LIMIT]
    elif isinstance(value, list):
        for item in value[:20]:
            yield from _named(item, depth - 1, named)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _named(item, depth - 1, str(key).lower() in ERROR_FIELDS)
