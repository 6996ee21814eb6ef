"""A request's bytes -> counts per series. Pure: what is stored and answered is the caller's."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.bodies import MAX_REJECTS_NAMED, Reject, items
from exporter.usage.rules import CompiledRule, SeriesKey


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
    for position, item in items(body, ndjson):
        event = item if isinstance(item, Reject) else _event(item, position)
        if isinstance(event, Reject):
            rejected += 1
            rejects += [event] if len(rejects) < MAX_REJECTS_NAMED else []
            continue
        events += 1
        found = [key for rule in table.get(event["event"], ()) if (key := rule.series_of(event)) is not None]
        deltas.update(found)
        matched += bool(found)
    return Counted(events, matched, dict(deltas), rejected, tuple(rejects))


def _event(item: Mapping[str, Any], position: int) -> Mapping[str, Any] | Reject:
    usable = isinstance(item.get("event"), str)
    return item if usable else Reject(position, "the field 'event' is missing or no text")
