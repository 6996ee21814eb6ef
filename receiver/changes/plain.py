"""Changes in our own words: one JSON object, or a list of them. Pure."""

import hashlib
from typing import Annotated

import msgspec

from receiver.changes.change import (
    KINDS,
    LONGEST_LINK,
    LONGEST_NAME,
    LONGEST_TITLE,
    ChangeError,
    Post,
    ToldChange,
    instant,
    is_link,
)
from toolkit.configfile import nearest

MOST = 100
"""Changes in one post."""

_Title = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_TITLE)]
_Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
_Link = Annotated[str, msgspec.Meta(max_length=LONGEST_LINK)]


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    title: _Title
    service: _Name = ""
    environment: _Name = ""
    author: _Name = ""
    at: str | float | None = None
    url: _Link = ""
    undo_url: _Link = ""
    id: _Name = ""


_one_or_many = msgspec.json.Decoder(_Change | Annotated[list[_Change], msgspec.Meta(max_length=MOST)])


def read(post: Post) -> tuple[ToldChange, ...]:
    """The changes in a body. Raises ChangeError or msgspec.DecodeError."""
    found = _one_or_many.decode(post.body)
    if isinstance(found, _Change):
        return (_told(found, post, ""),)
    return tuple(_told(change, post, f"[{index}].") for index, change in enumerate(found))


def _told(change: _Change, post: Post, place: str) -> ToldChange:
    kind = next((kind for kind in KINDS if kind == change.kind), None)
    if kind is None:
        raise ChangeError(f"{place}kind: there is no '{change.kind[:40]}'{nearest(change.kind, KINDS)}")
    for name in ("url", "undo_url"):
        url = getattr(change, name)
        if url and not is_link(url):
            raise ChangeError(f"{place}{name}: this is no http:// or https:// URL without credentials")
    at = post.received_at if change.at is None else instant(change.at, f"{place}at")
    return ToldChange(
        source="plain",
        key=change.id or _content(change, at),
        at=at,
        kind=kind,
        title=change.title,
        service=post.service or change.service,
        environment=post.environment or change.environment,
        author=change.author,
        url=change.url,
        undo_url=change.undo_url,
    )


def _content(change: _Change, at: float) -> str:
    """What a change without an id is known by: what it says, and its minute. A version may be deployed again later."""
    return digest(msgspec.json.encode(msgspec.structs.replace(change, at=at // 60)))


def digest(text: bytes) -> str:
    """A key of 64 characters."""
    return hashlib.sha256(text).hexdigest()
