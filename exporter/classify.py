"""`tocsin-exporter classify` and `vendors`: the engine, asked directly.

In: one JSON object a line, `{"provider", "response": {"status", "headers", "body"}, "history": {...}}`. Out: one a
line, `{"verdict", "certainty", "reason", "signature"}`. It is how an operator asks "what would you have said?".
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from exporter.providers import catalogue
from exporter.providers.answer import Exchange
from exporter.providers.catalogue import KnownAccount, KnownProbe, Signature, Vendor
from exporter.providers.history import Past, conclude, passing
from exporter.providers.kinds import Verdict
from exporter.providers.verdict import judge

MAX_LINE_BYTES = 4 * 1024 * 1024


class Response(msgspec.Struct):
    """An answer. `status` 0 when it is not known; `body` text, or JSON as it is."""

    status: int | None = 0
    headers: dict[str, Any] | None = None
    body: Any = ""


class History(msgspec.Struct):
    """What is known of the time before, each part optional. `consecutive` is accepted and changes nothing: how often a
    verdict must be seen is for the rules."""

    last_ok_age_seconds: float | None = None
    failing_for_seconds: float | None = None
    consecutive: int | None = None
    credential_changed: bool | None = None
    ever_ok: bool | None = None


class Question(msgspec.Struct):
    """One line."""

    response: Response
    provider: str = ""
    history: History | None = None


_decoder = msgspec.json.Decoder(Question)


class BadQuestion(ValueError):
    """A line that is no question; the message says which and why."""


def answers(lines: Iterable[bytes]) -> Iterator[Verdict]:
    """A verdict for each line that is not empty. Raises BadQuestion at the first that can't be read."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield answer(_read(line, number))


def _read(line: bytes, number: int) -> Question:
    if len(line) > MAX_LINE_BYTES:
        raise BadQuestion(f"line {number}: longer than {MAX_LINE_BYTES} bytes")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadQuestion(f"line {number}: {error}") from None


def answer(question: Question) -> Verdict:
    """The verdict on one answer, with what its history adds. An unknown provider is judged by the general rules."""
    given = question.response
    body = given.body if isinstance(given.body, str) else msgspec.json.encode(given.body).decode()
    headers = {name.lower(): str(value) for name, value in (given.headers or {}).items()}
    exchange = Exchange(given.status or 0, (body or "").encode(errors="replace"), headers)
    verdict = judge(exchange, signatures_of(question.provider))
    past = _past(question.history)
    return passing(conclude(verdict, past), past)


def _past(history: History | None) -> Past:
    if history is None:
        return Past()
    ever_ok = history.ever_ok
    if ever_ok is None and history.last_ok_age_seconds is not None:
        ever_ok = True
    failing_for = history.failing_for_seconds
    # a question tells of one answer: what has failed so long has failed like this
    return Past(ever_ok, history.credential_changed, history.last_ok_age_seconds, failing_for, failing_for)


@cache
def signatures_of(provider: str) -> tuple[Signature, ...]:
    """The signatures of a vendor of that name; none for a name that the catalogue doesn't hold."""
    try:
        return catalogue.load(provider).signatures
    except KeyError:
        return ()


def shown(verdict: Verdict) -> Mapping[str, str]:
    """A verdict as plain values."""
    return {
        "verdict": verdict.kind.value,
        "certainty": verdict.certainty.value,
        "reason": verdict.reason,
        "signature": verdict.signature,
    }


def listed(vendor: Vendor) -> str:
    """A vendor in one line: whether its request is known, what it tells of our account, how many signatures."""
    probe = "probe" if vendor.probe else ""
    tells = ",".join(vendor.account.tells) if vendor.account else ""
    return f"{vendor.vendor:<32} {probe:<6} {tells:<13} {len(vendor.signatures):>3} signatures"


def explained(vendor: Vendor) -> Iterator[str]:
    """A vendor for people: its request and how the secret is sent, its signatures with their reason and source, and
    where it tells of money."""
    yield vendor.vendor
    yield from _request(vendor.probe) if vendor.probe else ()
    pages = {"status page": vendor.status_page, "docs": vendor.docs}
    yield from (f"  {name}: {address}" for name, address in pages.items() if address)
    if vendor.note:
        yield f"  note: {vendor.note}"
    for signature in vendor.signatures:
        also = f" (also possible: {', '.join(signature.also_possible)})" if signature.also_possible else ""
        yield f"  {signature.id}: {signature.verdict}{also}"
        yield f"      when {_condition(signature)}"
        yield f"      why: {signature.why}"
        yield f"      source: {signature.source} [{signature.confidence}]"
    yield from _account(vendor.account) if vendor.account else ()
    for place in vendor.introspection:
        yield f"  tells: {place.what}: {place.endpoint} [{place.confidence}]"


def _request(probe: KnownProbe) -> Iterator[str]:
    yield f"  probe: {probe.method} {probe.url}"
    yield from (f"      {name}: {value}" for name, value in probe.headers.items())
    yield f"      secret: {probe.auth.sent if probe.auth else probe.auth_note}"
    yield f"      source: {probe.source} [{probe.confidence}]"


def _account(account: KnownAccount) -> Iterator[str]:
    yield f"  account: {f'GET {account.url}' if account.url else 'in the answer to the probe'}"
    if account.credit:
        yield f"      credit: {account.credit.remaining} {account.credit.unit}".rstrip()
    if account.quota:
        quota = account.quota.model_dump(exclude_none=True)
        yield "      quota: " + ", ".join(f"{part} {place}" for part, place in quota.items())
    if account.renews:
        yield f"      renews: {account.renews}"
    yield f"      source: {account.source} [{account.confidence}]"


def _condition(signature: Signature) -> str:
    when = signature.when
    parts = [f"status {when.status}"] if when.status is not None else []
    parts += [f"{path} is {value!r}" for path, value in when.fields.items()]
    parts += [f"header {name} is {value!r}" for name, value in when.headers.items()]
    if when.says:
        parts.append("it says " + " or ".join(repr(phrase) for phrase in when.says))
    return ", ".join(parts) or "always"
