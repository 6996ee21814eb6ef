"""What an answer says about the account: (answer, the vendor's signatures) -> Verdict. Pure.

First what is known of the vendor, then machine codes and words of the answer's error fields by the general rules, then
what the vendor is known to mean by a status alone, then the status. The status alone gets a third of them right.
"""

from collections.abc import Iterable, Sequence

from exporter.providers.answer import Failure, Outcome
from exporter.providers.catalogue import Signature
from exporter.providers.history import BUSY
from exporter.providers.kinds import Certainty, Kind, Verdict
from exporter.providers.reading import Reading, Text
from exporter.providers.signatures import bears
from exporter.providers.words import rules
from toolkit.redaction import quoted

_SERVER_DOWN = frozenset({"timeout", "dns", "connect", "tls", "protocol"})
_BY_STATUS = {
    402: Kind.PAYMENT_REQUIRED,
    423: Kind.ACCOUNT_SUSPENDED,
    429: Kind.RATE_LIMITED,
    # one answer for two causes, until the provider's past speaks
    401: Kind.AMBIGUOUS,
    403: Kind.AMBIGUOUS,
}
_FROM_A_SERVER_ERROR = frozenset({Kind.RATE_LIMITED, Kind.QUOTA_EXHAUSTED, Kind.OUTAGE})
"""What a 5xx may say of: its words about plans and bills are advice, not a cause."""
_CAUSES = frozenset({Kind.CREDENTIALS_INVALID, Kind.QUOTA_EXHAUSTED, Kind.PAYMENT_REQUIRED})
_SHOWN = 120
_SOON_SECONDS = 600


def judge(outcome: Outcome, signatures: Sequence[Signature] = (), secrets: Iterable[str] = ()) -> Verdict:
    """The verdict on one answer. Its reason repeats none of `secrets`, which are gone through only where the answer is
    quoted. Never raises, whatever the body holds."""
    if isinstance(outcome, Failure):
        kind = Kind.OUTAGE if outcome.reason in _SERVER_DOWN else Kind.UNKNOWN
        return Verdict(kind, Certainty.STATUS, f"no answer: {outcome.detail}")
    reading = Reading(outcome)
    return (
        _by_signature(reading, [one for one in signatures if not one.when.by_status_alone])
        or _by_words(reading, secrets)
        or _by_signature(reading, [one for one in signatures if one.when.by_status_alone])
        or _by_status(reading)
    )


def _by_signature(reading: Reading, signatures: Sequence[Signature]) -> Verdict | None:
    for signature in signatures:
        if bears(reading, signature):
            return Verdict(signature.verdict, _certainty(signature), signature.why, signature.id)
    return None


def _certainty(signature: Signature) -> Certainty:
    if signature.when.fields or signature.when.headers:
        return Certainty.CODE
    return Certainty.WORDS if signature.when.says else Certainty.STATUS


def _by_words(reading: Reading, secrets: Iterable[str]) -> Verdict | None:
    status = reading.exchange.status
    healthy = 200 <= status < 300
    if not (status >= 400 or status == 0 or (healthy and reading.envelope)):
        # a healthy answer is never scanned: it may hold anybody's data
        return None
    for text in reading.texts:
        if _names_two_causes(text.words):
            return _told(Kind.AMBIGUOUS, "two-causes", text, reading, secrets)
    for rule in rules():
        if not _may_say(rule.kind, status):
            continue
        for text in reading.texts:
            if rule.pattern.search(text.words):
                return _told(rule.kind, rule.name, text, reading, secrets)
    return None


def _may_say(kind: Kind, status: int) -> bool:
    if status >= 500:
        return kind in _FROM_A_SERVER_ERROR
    return kind is not Kind.OUTAGE or 200 <= status < 300


def _names_two_causes(words: str) -> bool:
    """Whether a vendor leaves open which: "the token is wrong or you have exceeded the credits"."""
    first, joined, second = words.partition(" or ")
    kinds = {_cause(first), _cause(second)} if joined else set()
    return len(kinds) == 2 and kinds <= _CAUSES


def _cause(words: str) -> Kind | None:
    return next((rule.kind for rule in rules() if rule.pattern.search(words)), None)


def _told(kind: Kind, rule: str, text: Text, reading: Reading, secrets: Iterable[str]) -> Verdict:
    said = quoted(text.raw, secrets)
    shown = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
    how = "with the code" if text.is_code else "and said"
    certainty = Certainty.CODE if text.is_code else Certainty.WORDS
    if reading.is_html:
        # a web page may be a proxy's or a firewall's: its words are a hint, and not the vendor's own
        how, certainty = "with a web page that says", Certainty.STATUS
    reason = f"answered {reading.exchange.status or 'an error'} {how} {shown!r}"
    return Verdict(kind, certainty, reason, f"general:{rule}")


def _by_status(reading: Reading) -> Verdict:
    status = reading.exchange.status
    if 200 <= status < 300:
        return _healthy(reading)
    if status >= 500:
        if status == 503 and _asks_back_soon(reading.exchange.headers.get("retry-after", "").strip()):
            return Verdict(Kind.RATE_LIMITED, Certainty.STATUS, "answered 503 with a short Retry-After", BUSY)
        return Verdict(Kind.OUTAGE, Certainty.STATUS, f"answered {status}", "general:status")
    kind = _BY_STATUS.get(status, Kind.UNKNOWN)
    return Verdict(kind, Certainty.STATUS, f"answered {status} without telling why", "general:status")


def _asks_back_soon(retry_after: str) -> bool:
    """Whether it is throttling: a maintenance asks for hours, or names a date."""
    return retry_after.isdecimal() and int(retry_after) <= _SOON_SECONDS


def _healthy(reading: Reading) -> Verdict:
    status = reading.exchange.status
    if reading.is_html:
        # a login page, a captive portal, a proxy: not what an API answers
        return Verdict(Kind.AMBIGUOUS, Certainty.STATUS, f"answered {status} with a web page", "general:page")
    if reading.envelope:
        reason = f"answered {status} with an error that says nothing we know"
        return Verdict(Kind.UNKNOWN, Certainty.STATUS, reason, "general:envelope")
    return Verdict(Kind.OK, Certainty.STATUS, f"answered {status}", "general:status")
