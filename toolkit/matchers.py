"""Alertmanager's matchers: `severity=~"critical|warning"` -> a value that says whether labels meet it. Pure.

Source: https://prometheus.io/docs/alerting/latest/configuration/#matcher. A label that is missing counts as empty, and
a regular expression has to match the whole value. RE2 reads it, as there, so no pattern takes exponential time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import pydantic
import re2

from toolkit.configfile import regex

Operator = Literal["=", "!=", "=~", "!~"]
_MATCHER = re.compile(
    r'\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>"(?:[^"\\]|\\.)*"|[^"\s]*)\s*'
)
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Matcher:
    """One condition on one label."""

    name: str
    operator: Operator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` meet it."""
        has = labels.get(self.name, "")
        if self.operator in ("=", "!="):
            return (has == self.value) == (self.operator == "=")
        return bool(re2.fullmatch(self.value, has)) == (self.operator == "=~")

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.value}"


def parse_matcher(text: object) -> Matcher:
    """A matcher as it stands in a file. Raises ValueError with the reason."""
    found = _MATCHER.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f'{text!r} is no matcher; write it like severity=~"critical|warning"')
    value, operator = found["value"], cast("Operator", found["operator"])
    if value.startswith('"'):
        value = _ESCAPE.sub(_unescaped, value[1:-1])
    if operator in ("=~", "!~"):
        regex(value)
    return Matcher(found["name"], operator, value)


def _unescaped(escape: re.Match[str]) -> str:
    return {"n": "\n", '"': '"', "\\": "\\"}.get(escape[1], escape[0])


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether `labels` meet every one of them; nothing at all is met by any."""
    return all(matcher.matches(labels) for matcher in matchers)


MatcherText = Annotated[Matcher, pydantic.PlainValidator(parse_matcher)]
"""A matcher in a configuration file."""
