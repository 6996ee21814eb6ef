"""One line of JSON -> an event: fields by name, and a pattern for the text in one of them. Pure."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
import re2

from exporter.usage.condition import Match, Scalar
from exporter.usage.logs.fields import CONVERT, Value, flat
from exporter.usage.logs.pattern import CompiledPattern
from exporter.usage.logs.settings import LogPattern

_DECODER = msgspec.json.Decoder(dict[str, Any])


class JsonPattern:
    """Says whether a line is an event, and with what fields."""

    def __init__(self, settings: LogPattern, message: str, wanted: Collection[str] | None = None) -> None:
        """`message` is the field that the pattern is looked for in. Of the fields only those in `wanted` are told."""
        self.event = settings.event
        self._conditions = [(name, _holds(condition)) for name, condition in settings.where.items()]
        self._message, self._wanted = message, wanted
        self._pattern = CompiledPattern(settings, wanted) if settings.pattern else None
        self._types = {name: CONVERT[kind] for name, kind in settings.types.items()}

    def fields_of(self, line: Mapping[str, Value]) -> dict[str, Value] | None:
        """The fields of a flat line and the pattern's groups, or None where it is not this event."""
        if not all(name in line and holds(line[name]) for name, holds in self._conditions):
            return None
        groups: dict[str, Value] | None = {}
        if self._pattern:
            message = line.get(self._message)
            groups = self._pattern.fields_of(message) if isinstance(message, str) else None
        return None if groups is None else {**self._told(line), **groups}

    def _told(self, line: Mapping[str, Value]) -> dict[str, Value]:
        names = line if self._wanted is None else [name for name in self._wanted if name in line]
        return {name: self._converted(name, line[name]) for name in names if name != "event"}

    def _converted(self, name: str, value: Value) -> Value:
        convert = self._types.get(name)
        return convert(value) if convert and isinstance(value, str) else value


def decoded(line: bytes) -> dict[str, Value] | str:
    """A line's fields, or why it has none."""
    try:
        return flat(_DECODER.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"no JSON object: {error}"
    except RecursionError:
        return "no JSON object: nested too deeply"


def _holds(condition: Scalar | Match) -> Callable[[Value], bool]:
    if isinstance(condition, Match):
        pattern = re2.compile(condition.regex)
        return lambda value: pattern.fullmatch(_text(value)) is not None
    return lambda value: type(value) is type(condition) and value == condition


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).encode(errors="replace").decode()
