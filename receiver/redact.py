"""What may not leave: secrets, what is personal, and what the operator names, taken out of a message once, before any
channel writes it. Pure.

Left alone are our own links, since a signed link looks like a secret and is meant to be one; and the mail addresses of
those who are to act, since they stand in the rules so that people read them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import re2

from receiver.message import Change, Message
from toolkit.redaction import MASK, Redactor, impersonal, masked, unmailed, unnumbered

OURS = frozenset({"acknowledge_url", "silence_url", "incident_url", "status", "reason", "severity", "priority"})
LONGEST = 8000
"""Characters of a field that are looked at. What is longer is cut: every channel shows less, and patterns take their
time."""
_LAST_WORD = 200
"""A cut goes back to the last blank, if one is so near, so that no half of a secret passes for a word."""
_MOST_LAYERS = 3
"""A link within a link within a link is encoded so many times."""
RESPONSIBLE = frozenset({"owner", "pays", "on_call", "next_step", "acknowledged_by"})


class MessageRedactor:
    """Takes out of a message what may not leave."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """`patterns`: regular expressions of RE2, whose matches are masked wherever they stand."""
        self._named = [re2.compile(pattern) for pattern in patterns]
        self._credentials = Redactor()

    def __call__(self, message: Message) -> Message:
        """The same message without it. What is left stays readable."""
        fields = {name: getattr(message, name) for name in message.__struct_fields__ if name not in OURS}
        return msgspec.structs.replace(message, **{name: self._field(name, value) for name, value in fields.items()})

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._field(name, one) for one in value)
        if isinstance(value, Change):
            return Change(self.text(value.what), value.at, self._link(value.url), self._link(value.undo_url))
        if not isinstance(value, str):
            return value
        if name.endswith("_url"):
            return self._link(value)
        return self.text(value, impersonal if name not in RESPONSIBLE else unnumbered)

    def text(self, text: str, personal: Callable[[str], str] = impersonal) -> str:
        """A text of its own without it; with `unnumbered` it keeps its mail addresses, for it names who is to act."""
        return personal(masked(self._by_name(_cut(text))))

    def _link(self, url: str) -> str:
        """A link whose parts are no words: only what a query names as a credential is one. A link that holds anything
        else that may not leave is left out whole, for with a part masked it would lead astray."""
        if len(url) > LONGEST:
            return ""
        known = self._credentials(url)
        return known if all(self._may_leave(layer) for layer in _layers(known)) else ""

    def _may_leave(self, text: str) -> bool:
        return self._by_name(text) == self._credentials(text) == unmailed(text) == text

    def _by_name(self, text: str) -> str:
        for pattern in self._named:
            text = pattern.sub(MASK, text)
        return text


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    blank = text.rfind(" ", LONGEST - _LAST_WORD, LONGEST)
    return f"{text[: blank if blank >= 0 else LONGEST]}…"


def _layers(url: str) -> Iterator[str]:
    """The link as it is, and decoded as often as it is encoded."""
    yield url
    for _ in range(_MOST_LAYERS):
        decoded = unquote_plus(url)
        if decoded == url:
            return
        yield (url := decoded)
