"""Paths into a JSON value: `error.code`, `errors[].code`, `[].errorCode`, `error['.tag']`. Pure."""

import re
from collections.abc import Iterator
from typing import Any

_STEP = re.compile(r"\['([^']+)'\]|\[\]|([^.\[\]]+)")
MAX_ELEMENTS = 100


def values_at(data: Any, path: str) -> Iterator[Any]:
    """The values at `path` in a JSON value; `[]` stands for every element of a list, the first MAX_ELEMENTS of it."""
    steps = [(match.group(1) or match.group(2), match.group() == "[]") for match in _STEP.finditer(path)]
    yield from _walk(data, steps)


def _walk(value: Any, steps: list[tuple[str, bool]]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    (name, every), rest = steps[0], steps[1:]
    if every and isinstance(value, list):
        for item in value[:MAX_ELEMENTS]:
            yield from _walk(item, rest)
    elif not every and isinstance(value, dict) and name in value:
        yield from _walk(value[name], rest)
