"""A query with an alert's labels in it: `{service="$service"} |= "error"`. Pure.

A label's value is data: it goes between double quotes only, escaped, where the text is compared with a label or a line;
in a pattern (`=~`, `|~`) as plain text too. Elsewhere a text may be a language of its own: a function's pattern, the
second pattern of `|~ "a" or "b"`, a template of `line_format`.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile

import re2

from receiver.enrichers.tokens import Token, Unreadable, tokens

_PLACE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_PATTERNS = ("=~", "!~", "|~")
_COMPARED = ("=", "!=", "|=", *_PATTERNS)
_LANGUAGES = ("label_format", "json", "logfmt")
"""The stages of LogQL whose `name="text"` is no comparison."""


class QueryTemplate:
    """A query of PromQL or LogQL. Raises ValueError, for a person to read, when a placeholder stands where its value
    could become part of the query."""

    def __init__(self, text: str) -> None:
        self._parts = tuple(_parts(text))

    def fill(self, labels: Mapping[str, str]) -> str | None:
        """The query with the labels' values; None when one that it names is missing or empty."""
        if any(not labels.get(name) for _, name, _ in self._parts if name):
            return None
        return "".join(
            before + _quoted(labels[name], in_pattern) if name else before for before, name, in_pattern in self._parts
        )


def quoted(value: str) -> str:
    """`value` as it stands between double quotes in PromQL and LogQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped)


def _quoted(value: str, in_pattern: bool) -> str:
    return quoted(re2.escape(value) if in_pattern else value)


def _parts(text: str) -> Iterator[tuple[str, str, bool]]:
    """(text, the label that follows it, whether in a pattern); the last names no label."""
    at = 0
    for match, in_pattern in _places(text):
        yield text[at : match.start()], match[1] or match[2], in_pattern
        at = match.end()
    yield text[at:], "", False


def _places(text: str) -> Iterator[tuple[re.Match[str], bool]]:
    try:
        found = tokens(_PLACE.sub(lambda match: "_" * len(match.group()), text))
    except Unreadable as error:
        raise ValueError(f"this query can't be read: {error}") from None
    for match in _PLACE.finditer(text):
        place = next((index for index, token in enumerate(found) if token.start < match.start() < token.end), None)
        if place is None or not found[place].text.startswith('"'):
            raise ValueError(f"{match.group()} must stand between double quotes")
        if not _is_compared(found[:place]):
            raise ValueError(f"{match.group()} may only be what a label or a line is compared with")
        if text[match.start() - 1] == "\\":
            raise ValueError(f"{match.group()} must not follow a backslash, which would escape its value")
        yield match, found[place - 1].text in _PATTERNS


def _is_compared(before: list[Token]) -> bool:
    """Whether the text after these tokens is the right side of a comparison."""
    if not before or before[-1].text not in _COMPARED:
        return False
    stage = takewhile(lambda token: token.text not in ("|", "{"), reversed(before))
    return all(token.text not in _LANGUAGES for token in stage)
