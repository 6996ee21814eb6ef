"""A request's bytes -> counts per series. Pure: what is stored and answered is the caller's."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from exporter.usage.rules import CompiledRule, SeriesKey

MAX_REJECTS_NAMED = 20


@dataclass(frozen=True)
class Reject:
    """A part of the body that is no event: its line (from 1) or its place in the array (from 1), and why."""

    position: int
    reason: str


@dataclass(frozen=True)
class Counted:
    """What a body held. `matched` counts events that met at least one rule; `deltas` what to add to each series."""

    events: int
    matched: int
    deltas: Mapping[SeriesKey, int]
    rejected: int
    rejects: tuple[Reject, ...]
    """The first MAX_REJECTS_NAMED of the rejected."""

    @property
    def unmatched(self) -> int:
        """Events that met no rule."""
        return self.events - self.matched


def count(body: bytes, ndjson: bool, table: Mapping[str, tuple[CompiledRule, ...]]) -> Counted:
    """Counts the events of `body`: one JSON object, an array of them, or (`ndjson`) one object a line.

    An event is an object with a text field `event`; its other fields are what rules look at. What is no event is
    named in `rejects` and the rest is counted.
    """
    deltas: Counter[SeriesKey] = Counter()
    events = matched = 0
    rejected, rejects = 0, list[Reject]()
    for position, item in _lines(body) if ndjson else _values(body):
        reject = item if isinstance(item, Reject) else _why_no_event(item, position)
        if reject is not None:
            rejected += 1
            rejects += [reject] if len(rejects) < MAX_REJECTS_NAMED else []
            continue
        events += 1
        found = [key for rule in table.get(item["event"], ()) if (key := rule.series_of(item)) is not None]
        deltas.update(found)
        matched += bool(found)
    return Counted(events, matched, dict(deltas), rejected, tuple(rejects))


def _why_no_event(item: Any, position: int) -> Reject | None:
    if not isinstance(item, dict):
        return Reject(position, "not a JSON object")
    if not isinstance(item.get("event"), str):
        return Reject(position, "the field 'event' is missing or no text")
    return None


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
