"""A request's body -> its items: one JSON object, an array of them, or one object a line. Pure."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

MAX_REJECTS_NAMED = 20


@dataclass(frozen=True)
class Reject:
    """A part of a body that can't be used: its line (from 1) or its place in the array (from 1), and why."""

    position: int
    reason: str


def items(body: bytes, ndjson: bool) -> Iterator[tuple[int, dict[str, Any] | Reject]]:
    """Every item with its position; what is no JSON object comes as a Reject."""
    for position, item in _lines(body) if ndjson else _values(body):
        usable = isinstance(item, (dict, Reject))
        yield position, item if usable else Reject(position, "not a JSON object")


def _values(body: bytes) -> Iterator[tuple[int, Any]]:
    data = _decode(body, 1)
    yield from enumerate(data if isinstance(data, list) else [data], start=1)


def _lines(body: bytes) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(io.BytesIO(body), start=1):
        if line.strip():
            yield number, _decode(line, number)


def _decode(raw: bytes, position: int) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Reject(position, f"not JSON: {error}")
    except RecursionError:
        return Reject(position, "not JSON: nested too deeply")
