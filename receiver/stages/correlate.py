"""Which incident an alert belongs to. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from receiver.store.store import StoredEvent


def key_of(labels: Mapping[str, str], by: Sequence[str]) -> str:
    """The correlation key: the labels `by` that the alert has, with their values, as JSON."""
    return json.dumps([[label, labels[label]] for label in by if label in labels], ensure_ascii=False)


def correlate(stored: Iterable[StoredEvent], by: Sequence[str]) -> dict[str, list[StoredEvent]]:
    """Events by correlation key, in the order they came."""
    found: dict[str, list[StoredEvent]] = {}
    for event in stored:
        found.setdefault(key_of(event.event.labels, by), []).append(event)
    return found


def runs(stored: Iterable[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """One incident's events in runs of equal status: fifty alerts that fire together are told in one message, but a
    firing and its resolve are two."""
    for _, run in groupby(stored, key=lambda event: event.event.status):
        yield list(run)
