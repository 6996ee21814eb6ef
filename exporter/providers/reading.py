"""An answer made readable: the texts of its error-named fields, in plain words. Pure.

Machine codes and sentences are brought into one form (`AccountOverdueError`, `account_overdue` and `Account overdue`
begin with `account overdue` all three), so that one table of patterns serves both; whether a text was a code is
remembered.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from exporter.providers.answer import Exchange, Outcome

Shape = Literal["json", "html", "text", "empty"]
NAMES = frozenset(
    {
        *("error", "errors", "err", "fault", "exception", "failure", "problem", "cause", "reason", "reasons", "root"),
        *("message", "messages", "msg", "detail", "details", "description", "title", "info", "summary", "text"),
        *("code", "type", "status", "state", "category", "tag", "infocode", "errmsg", "errcode"),
    }
)
"""A field is read when its name holds one of these words: `error_msg`, `errorCode`, `Fault`, `.tag`, `status`."""
_LOOSE_NAMES = frozenset({"name", "id", "kind", "key"})
"""Names of an error's code in some bodies and of anything in others: read only where the text looks like a code."""
_CODE_LIKE = re.compile(r"[A-Za-z][A-Za-z]*([_.-][A-Za-z]+)+|[a-z]{6,}")
_ENVELOPES = frozenset(
    {
        *("error", "errors", "fault", "faults", "exception", "error code", "error message", "error msg", "error text"),
        *("error type", "err code", "err msg", "errcode", "errmsg", "errorcode", "error summary"),
    }
)
_BAD_STATUS = frozenset({"error", "fail", "failed", "failure", "ko"})
_CODES = ("code", "status_code", "statusCode", "errcode", "retcode", "resultCode", "status")
_MESSAGES = ("msg", "message", "status_msg", "info", "errmsg", "reason")
_FINE = frozenset({"", "ok", "success", "successful", "done", "none"})
_ENVELOPE_DEPTH = 4
_DEPTH = 8
_MAX_TEXTS = 60
_MAX_TEXT = 1000
_BODY = 16 * 1024
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\s_\-./:|,;\"'`\u2019()\[\]]+")
_TAG = re.compile(r"<[^>]{0,300}>")
_URL = re.compile(r"https?://\S+")
_PHRASES = frozenset({"Unauthorized", "Forbidden", "Not Found", "Bad Request", "Error", "error", "fail", "failure"})
_PAYMENT_PHRASE = "payment required"
"""Texts that repeat the status, or say that there is an error: they tell nothing of its cause."""


@dataclass(frozen=True)
class Text:
    """One text of an error: as it came, in plain words, and whether it is a machine code (it has no blank)."""

    raw: str
    words: str
    is_code: bool


@dataclass(frozen=True)
class Reading:
    """What can be read off an answer, each part worked out when it is first asked for."""

    exchange: Exchange

    @cached_property
    def data(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return msgspec.json.decode(self.exchange.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    @cached_property
    def plain(self) -> str:
        """The body as text, without tags; for what is no JSON (XML, HTML, plain text)."""
        return _TAG.sub(" ", self.exchange.body[:_BODY].decode(errors="replace")).strip()[:_MAX_TEXT]

    @cached_property
    def is_html(self) -> bool:
        """Whether a page came where an API was asked."""
        start = self.exchange.body[:500].lstrip().lower()
        return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))

    @property
    def shape(self) -> Shape:
        """What the body looks to be, by its first bytes."""
        start = self.exchange.body[:500].lstrip()
        if not start:
            return "empty"
        if self.is_html:
            return "html"
        return "json" if start[:1] in b"{[" else "text"

    @cached_property
    def envelope(self) -> bool:
        """Whether a 2xx says of itself that it is an error: `ok: false`, `status: error`, an `error`, a code not 0."""
        return _denies(self.data, _ENVELOPE_DEPTH)

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """The texts of error-named fields, codes first; of what is no JSON, the whole as one text."""
        if self.data is None:
            found = [] if not self.plain else [self.plain]
        else:
            found = list(_named(self.data, _DEPTH, named=isinstance(self.data, (str, list))))[:_MAX_TEXTS]
        texts = [
            Text(raw, plain_words(raw), " " not in raw.strip())
            for raw in dict.fromkeys(found)
            if not _says_nothing(raw)
        ]
        return tuple(sorted(texts, key=lambda text: not text.is_code))


def shape_of(outcome: Outcome) -> Shape | None:
    """What the body looks to be; None where no answer came."""
    return Reading(outcome).shape if isinstance(outcome, Exchange) else None


def _says_nothing(raw: str) -> bool:
    return raw in _PHRASES or plain_words(raw) == _PAYMENT_PHRASE


def plain_words(text: str) -> str:
    """`"API_KEY_INVALID"` -> `"api key invalid"`, `"AccountOverdueError"` -> `"account overdue error"`."""
    spaced = _CAMEL.sub(" ", _URL.sub(" ", text[:_MAX_TEXT]))
    return _SEPARATORS.sub(" ", spaced).strip().lower()


def _denies(value: Any, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, list):
        return any(_denies(item, depth - 1) for item in value[:5])
    if not isinstance(value, dict):
        return False
    return _says_failure(value) or _has_bad_code(value) or any(_denies(item, depth - 1) for item in value.values())


def _says_failure(value: dict[str, Any]) -> bool:
    if value.get("ok") is False or value.get("success") is False:
        return True
    if str(value.get("status", "")).lower() in _BAD_STATUS or value.get("s") == "error":
        return True
    return any(_is_error(item) for name, item in value.items() if plain_words(str(name)) in _ENVELOPES)


def _is_error(value: Any) -> bool:
    return value not in (None, False, 0, "0", "", [], {}) and not isinstance(value, float)


def _has_bad_code(value: dict[str, Any]) -> bool:
    """A code that is not the one of success, beside a message that doesn't say success."""
    code = next((value[name] for name in _CODES if name in value), None)
    message = next((value[name] for name in _MESSAGES if isinstance(value.get(name), str)), "")
    if code is None or not message or message.strip().lower() in _FINE:
        return False
    fails_with_zero = "status" in value and code == value["status"]
    return str(code) == "0" if fails_with_zero else str(code) not in {"0", "00", "200", "201", "ok", "OK"}


def _named(value: Any, depth: int, named: bool) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, str):
        if named and value.strip():
            yield value[:_MAX_TEXT]
    elif isinstance(value, list):
        for item in value[:20]:
            yield from _named(item, depth - 1, named)
    elif isinstance(value, dict):
        for name, item in value.items():
            # a structure below an error-named field is read through its own names, a text only by its own
            yield from _named(item, depth - 1, _is_error_named(str(name), item))


def _is_error_named(name: str, value: Any) -> bool:
    words = plain_words(name).split()
    if not NAMES.isdisjoint(words):
        return True
    return isinstance(value, str) and not _LOOSE_NAMES.isdisjoint(words) and bool(_CODE_LIKE.fullmatch(value))
