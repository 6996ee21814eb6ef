"""Changes as Grafana draws them: with the Infinity data source, or with one that asks as "Simple JSON" does. Pure."""

import html
from dataclasses import asdict
from typing import Any

import msgspec

from receiver.changes.change import ChangeError, ToldChange, instant


class _Range(msgspec.Struct):
    since: str = msgspec.field(name="from")
    until: str = msgspec.field(name="to")


class _Query(msgspec.Struct):
    query: str | None = None


class _Asked(msgspec.Struct):
    range: _Range
    annotation: msgspec.Raw = msgspec.Raw(b"{}")


_asked = msgspec.json.Decoder(_Asked)
_query = msgspec.json.Decoder(_Query)


class Question(msgspec.Struct, frozen=True):
    """What a data source asks: a time in seconds since the epoch, and a service, empty for all. It wants its own words
    (`annotation`) back with each answer."""

    since: float
    until: float
    service: str
    annotation: msgspec.Raw


def question(body: bytes) -> Question:
    """The body of `POST /v1/changes/annotations`. Raises ChangeError."""
    try:
        asked = _asked.decode(body)
        service = _query.decode(asked.annotation).query or ""
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ChangeError(f"no question for annotations: {error}") from None
    since, until = instant(asked.range.since, "range.from"), instant(asked.range.until, "range.to")
    # PostgreSQL takes no NUL, and no stored text has one
    return Question(since, until, service.replace("\0", "\ufffd"), asked.annotation)


def row(change: ToldChange) -> dict[str, Any]:
    """The change as a row, with the columns that an annotation is made of: `time` in milliseconds since the epoch,
    `title`, `text` as HTML, `tags` with commas between."""
    return {**asdict(change), **_drawn(change), "tags": ",".join(_tags(change))}


def answer(change: ToldChange, asked: Question) -> dict[str, Any]:
    """The change as an annotation that answers `asked`."""
    return {"annotation": asked.annotation, **_drawn(change), "tags": _tags(change)}


def _drawn(change: ToldChange) -> dict[str, Any]:
    links = {"what it was": change.url, "undo it": change.undo_url}
    text = [f'<a href="{html.escape(url)}" target="_blank">{label}</a>' for label, url in links.items() if url]
    return {"time": round(change.at * 1000), "title": change.words, "text": " · ".join(text)}


def _tags(change: ToldChange) -> list[str]:
    return [tag.replace(",", " ") for tag in (change.kind, change.service, change.environment) if tag]
