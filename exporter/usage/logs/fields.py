"""Text of a log line -> the value of a field of an event. Pure."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from exporter.usage.logs.grok import FieldType

Value = str | int | float | bool
Convert = Callable[[str], Value]
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
MAX_DEPTH = 8
"""Objects in a JSON line that lie deeper in one another are left out."""


def integer(text: str) -> Value:
    """A whole number of at most 18 characters. What is none stays text, which the event's contract then rejects."""
    is_one = len(text) <= 18 and text.isascii() and text.removeprefix("-").isdigit()
    return int(text) if is_one else text


def number(text: str) -> Value:
    """A finite number, or the text."""
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else text


def boolean(text: str) -> Value:
    """true, yes and 1, or false, no and 0, in any case; or the text."""
    return _BOOLEANS.get(text.lower(), text)


CONVERT: Mapping[FieldType, Convert | None] = {
    "string": None,
    "integer": integer,
    "number": number,
    "boolean": boolean,
}


def flat(line: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Value]:
    """The fields of a JSON line: what lies in an object has a dotted name. Lists and nulls are left out."""
    fields: dict[str, Value] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            fields |= flat(value, f"{prefix}{name}.", depth + 1) if depth < MAX_DEPTH else {}
        elif isinstance(value, (str, int, float, bool)):
            fields[prefix + name] = value
    return fields
