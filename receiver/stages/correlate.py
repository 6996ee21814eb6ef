"""Which incident an alert belongs to. Pure.

Alerts that agree in the correlated labels are one incident, also one that ended less than the window ago. So are alerts
of services of which one needs the other, when they began within the window of each other. A text that two alerts share
never merges them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from receiver.alerts import AlertEvent, StoredEvent
from receiver.drills.drill import is_drill
from receiver.incidents import STORM_KEY
from receiver.services import ServiceGraph


@dataclass(frozen=True)
class Rules:
    """What the configuration says of correlation: the labels, the window in seconds, the services."""

    labels: Sequence[str]
    window: float
    graph: ServiceGraph = field(default_factory=ServiceGraph)


@dataclass(frozen=True)
class Neighbour:
    """An alert of a live incident whose service may be related to one of those that came in; `place` as `place_of`
    tells it."""

    incident: int
    service: str
    place: tuple[str, str]
    starts_at: float


@dataclass(frozen=True)
class Known:
    """What the store knows of the alerts that came in.

    `by_fingerprint` and `by_key` name live incidents, `ended` the last one of a key with the end of it.
    """

    by_fingerprint: Mapping[str, int] = field(default_factory=dict)
    by_key: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    neighbours: Sequence[Neighbour] = ()


@dataclass(frozen=True)
class Group:
    """Events of one incident: of those stored in `incidents` (several are merged), else of a new one of `key`."""

    key: str
    incidents: tuple[int, ...]
    events: tuple[StoredEvent, ...]


def key_of(alert: AlertEvent, by: Sequence[str]) -> str:
    """The correlation key: its source and the labels `by` that the alert has, with their values, as JSON."""
    key: list[object] = [alert.source] if alert.source else []
    return json.dumps(
        [*key, *([label, alert.labels[label]] for label in by if label in alert.labels)], ensure_ascii=False
    )


Node = int | str
"""A stored incident by its id, or one that is to be by its key."""


def correlate(stored: Sequence[StoredEvent], known: Known, rules: Rules) -> list[Group]:
    """The events by incident, in the order they came."""
    back = _back(stored, known, rules)
    homes = [_home(one.event, known, rules, back) for one in stored]
    joined = _Joined()
    for home, link in _links(stored, homes, known, rules):
        joined.join(home, link)
    found: dict[Node, list[StoredEvent]] = {}
    for one, home in zip(stored, homes, strict=True):
        found.setdefault(joined.top(home), []).append(one)
    return [_group(joined.members(top), events, rules) for top, events in found.items()]


def place_of(alert: AlertEvent) -> tuple[str, str]:
    """Source and environment: services of the same name elsewhere are others."""
    return alert.source, alert.labels.get("environment", "")


def comes_back(events: Iterable[AlertEvent], ended: float, rules: Rules) -> bool:
    """Whether one of these alerts opens an incident again that ended at `ended`, in seconds since the epoch."""
    return any(event.status == "firing" and event.starts_at - ended <= rules.window for event in events)


def _back(stored: Sequence[StoredEvent], known: Known, rules: Rules) -> dict[str, int]:
    """The ended incidents that are opened again, by key. What else there is of the key goes with them: the end of the
    alert that opens it again may have come as well."""
    of_key: dict[str, list[AlertEvent]] = {}
    for one in stored:
        of_key.setdefault(key_of(one.event, rules.labels), []).append(one.event)
    return {
        key: incident for key, (incident, ended) in known.ended.items() if comes_back(of_key.get(key, ()), ended, rules)
    }


def _home(event: AlertEvent, known: Known, rules: Rules, back: Mapping[str, int]) -> Node:
    # the alerts come first: the labels that make a key may have been changed by a reload since it was opened
    if event.fingerprint in known.by_fingerprint:
        return known.by_fingerprint[event.fingerprint]
    key = key_of(event, rules.labels)
    return known.by_key.get(key, back.get(key, key))


def _links(
    stored: Sequence[StoredEvent], homes: Sequence[Node], known: Known, rules: Rules
) -> Iterator[tuple[Node, Node]]:
    """Pairs of homes that the services make one."""
    if not rules.graph.depends_on:
        return
    seen: list[tuple[Node, Neighbour]] = [(one.incident, one) for one in known.neighbours]
    for one, home in zip(stored, homes, strict=True):
        event = one.event
        if event.status != "firing" or not event.service:
            continue
        here = Neighbour(0, event.service, place_of(event), event.starts_at)
        related = rules.graph.neighbours(event.service)
        for other, there in seen:
            near = abs(there.starts_at - here.starts_at) <= rules.window
            if near and there.service in related and there.place == here.place:
                yield home, other
        seen.append((home, here))


def _group(members: Iterable[Node], events: Sequence[StoredEvent], rules: Rules) -> Group:
    incidents = tuple(sorted(node for node in members if isinstance(node, int)))
    return Group(key_of(events[0].event, rules.labels), incidents, tuple(events))


class _Joined:
    """Sets of nodes that were found to be one."""

    def __init__(self) -> None:
        self._above: dict[Node, Node] = {}
        self._members: dict[Node, set[Node]] = {}

    def top(self, node: Node) -> Node:
        while node in self._above:
            node = self._above[node]
        return node

    def members(self, top: Node) -> set[Node]:
        return self._members.get(top, {top})

    def join(self, one: Node, other: Node) -> None:
        first, second = self.top(one), self.top(other)
        if first != second:
            self._members[first] = self.members(first) | self.members(second)
            self._above[second] = first


def opens(group: Group) -> bool:
    """Whether the group's events open a new incident. Resolves open nothing."""
    return not group.incidents and any(one.event.status == "firing" for one in group.events)


def divert(groups: Sequence[Group], room: int, storm: int | None) -> list[Group]:
    """`groups` with those that would open an incident beyond `room` more put together as the storm's, whose live
    incident is `storm`. A drill is left alone: it asks whether one message gets through."""
    openers = [group for group in groups if opens(group) and not is_drill(group.events[0].event.labels)]
    swept = openers[max(room, 0) :]
    if not swept:
        return list(groups)
    # alerts of the storm may be among what came in: one group for one incident
    of_storm = [group for group in groups if storm is not None and storm in group.incidents]
    kept = [group for group in groups if group not in swept and group not in of_storm]
    events = sorted((one for group in (*swept, *of_storm) for one in group.events), key=lambda one: one.id)
    ids = sorted({id_ for group in of_storm for id_ in group.incidents} | ({storm} if storm is not None else set()))
    return [*kept, Group(STORM_KEY, tuple(ids), tuple(events))]


def runs(stored: Iterable[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """One incident's events in runs of equal status: fifty alerts that fire together are told in one message, but a
    firing and its resolve are two."""
    for _, run in groupby(stored, key=lambda event: event.event.status):
        yield list(run)
