"""A post of `/v1/changes` -> changes. Pure.

Who posts is told by `?source=`, else by a header that only they send, else it is our own JSON.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import msgspec

from receiver.changes import argocd, github, launchdarkly, plain
from receiver.changes.change import (
    LONGEST_NAME,
    LONGEST_TITLE,
    ChangeError,
    Ignored,
    Post,
    ToldChange,
    is_link,
)
from toolkit.clock import format_duration, format_utc
from toolkit.configfile import nearest
from toolkit.redaction import Redactor, printable, quoted

AHEAD_SECONDS = 300.0
"""How far another clock may go before ours."""
LONGEST_KEY = 200
_HEADERS = {"X-GitHub-Event": "github", "X-LD-Signature": "launchdarkly"}
_COMMIT = re.compile(r"\b([0-9a-f]{7})[0-9a-f]{33}\b")

Adapter = Callable[[Post], tuple[ToldChange, ...] | Ignored]
"""Raises ChangeError, or msgspec.DecodeError which names the field."""
ADAPTERS: Mapping[str, Adapter] = {
    "plain": plain.read,
    "github": github.read,
    "argocd": argocd.read,
    "launchdarkly": launchdarkly.read,
}


@dataclass(frozen=True)
class Parsed:
    """The changes in a post; `ignored` says why there are none."""

    changes: tuple[ToldChange, ...]
    ignored: str = ""


def source_of(headers: Mapping[str, str], asked: str) -> str:
    """Who posts: a key of ADAPTERS. `asked` is the query's `source`. Raises ChangeError."""
    if asked:
        if asked not in ADAPTERS:
            raise ChangeError(f"source: there is no '{asked[:40]}'{nearest(asked, ADAPTERS)}")
        return asked
    return next((source for header, source in _HEADERS.items() if header in headers), "plain")


def parse(source: str, post: Post, secrets: Collection[str] = ()) -> Parsed:
    """A post's changes, cut to their lengths and without any of `secrets`. Raises ChangeError, and nothing else,
    whatever the bytes."""
    try:
        found = ADAPTERS[source](post)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ChangeError(f"no change as {source} tells it: {error}") from None
    if isinstance(found, Ignored):
        return Parsed((), found.reason)
    without = Redactor(secrets)
    return Parsed(tuple(_tidied(_timely(change, post.received_at), secrets, without) for change in found))


def _timely(change: ToldChange, now: float) -> ToldChange:
    if not 0 < change.at <= now + AHEAD_SECONDS:
        raise ChangeError(f"at: {_untimely(change.at, now)} (of '{printable(change.title)[:60]}')")
    return change


def _untimely(at: float, now: float) -> str:
    if not 0 < at <= 2 * now:
        return f"{at:g} is no time of a change in seconds since the epoch"
    return (
        f"{format_utc(at)} is {format_duration(at - now)} in the future; a change is told once it is made, and clocks "
        f"may differ by {format_duration(AHEAD_SECONDS)}"
    )


def _tidied(change: ToldChange, secrets: Collection[str], without: Redactor) -> ToldChange:
    """The change as it may be stored and shown to anybody."""
    return replace(
        change,
        key=_key(without(change.key)),
        title=_words(change.title, secrets, LONGEST_TITLE) or "unnamed",
        author=_words(change.author, secrets, LONGEST_NAME),
        service=_line(without(change.service), LONGEST_NAME),
        environment=_line(without(change.environment), LONGEST_NAME),
        url=without(change.url) if is_link(change.url) else "",
        undo_url=without(change.undo_url) if is_link(change.undo_url) else "",
    )


def _key(key: str) -> str:
    """The key as an index takes it."""
    shown = printable(key)
    return shown if len(shown) <= LONGEST_KEY else plain.digest(key.encode())


def _words(text: str, secrets: Collection[str], limit: int) -> str:
    # a whole commit looks like a key, and nobody reads it
    return _line(quoted(_COMMIT.sub(r"\1", text[: limit * 4]), secrets), limit)


def _line(text: str, limit: int) -> str:
    """On one line, without control characters."""
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
