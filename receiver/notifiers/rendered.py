"""What a channel's renderer hands to the sender."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    content: bytes
    mimetype: str


@dataclass(frozen=True)
class Rendered:
    """A message as one channel takes it.

    `title` and `body` are in `format`. `native` is what the service's own API takes, where that shows more than a title
    and a body do; `parameters` are added to the Apprise URL, `headers` to a mail. `event`: what a pager does with it.
    """

    title: str
    body: str
    format: Literal["text", "html"] = "text"
    attachments: tuple[Attachment, ...] = ()
    native: Mapping[str, Any] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    event: Literal["trigger", "acknowledge", "resolve"] = "trigger"
