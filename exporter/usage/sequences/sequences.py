"""The door: events of keys in, outcomes out, and the rows that have to be stored with them. Pure.

outcomes = sequences.feed(sightings, now)      # or tick(now), where nothing came
rows = sequences.changes()                     # stored in one transaction with what the outcomes add
sequences.committed()                          # or undo(), and the same events may be fed again
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from exporter.usage.sequences.keys import Census, Keys
from exporter.usage.sequences.rule import Labels, Outcome, Rule


class Row(NamedTuple):
    """Where a stored row belongs: a part of a stream, a rule's name, a key. The empty key is the rule's own row."""

    part: str
    rule: str
    key: str


class Sighting(NamedTuple):
    """An event as a rule sees it: the rule's name, the event's, its key (empty where the event has none), its label
    values in the order of the rule's labels, and when it happened (Unix time). Any tuple of these five will do."""

    rule: str
    event: str
    key: str
    labels: Labels
    time: float


class Sequences:
    """All rules in all parts. Parts know nothing of one another: a part's events bear all keys that are remembered in
    it, and it may be restored and dropped alone.

    `now` is how far a part has been read (Unix time): what was sent before is here. It must not fall. `clock` is the
    present where that is later: an event whose time is beyond it is from a time to come.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: Mapping[str, Rule] = {rule.name: rule for rule in rules}
        self._censuses = {name: Census() for name in self.rules}
        self._parts: dict[str, dict[str, Keys]] = {}
        self._touched: dict[str, None] = {}
        """The parts that were looked at since `changes` told of them; of those that it told of it is `_sent`."""
        self._sent: dict[str, None] = {}
        self._useless: dict[Row, bytes] = {}
        """What is stored and says nothing to these rules; of that which `changes` told of it is `_useless_sent`."""
        self._useless_sent: dict[Row, bytes] = {}

    def feed(
        self,
        sightings: Iterable[Sighting | tuple[str, str, str, Labels, float]],
        now: float,
        part: str = "",
        clock: float = 0.0,
    ) -> list[Outcome]:
        """Takes events, in whatever order, and tells what was decided by now: mostly of earlier ones.

        Raises KeyError for a rule or event that is not known.
        """
        found = self.tick(now, part)
        keys, latest = self._of(part), max(now, clock)
        for rule, event, key, labels, time in sightings:
            outcome = keys[rule].take(event, key, labels, time, latest)
            if outcome is not None:
                found.append(outcome)
            elif self._censuses[rule].size > self.rules[rule].max_keys:
                found += self._evict(rule)
        return found

    def tick(self, now: float, part: str = "") -> list[Outcome]:
        """Tells what was decided by now, where nothing came. At any pace; once a second is enough, and at once again
        while it `is_behind`: a look settles some thousand keys of a rule, so that it stops nobody else for long."""
        self._touched[part] = None
        return [outcome for keys in self._of(part).values() for outcome in keys.advance(now)]

    def is_behind(self, part: str = "") -> bool:
        """Whether the last look at a part left something for the next."""
        return any(keys.is_behind for keys in self._of(part).values())

    def changes(self) -> dict[Row, bytes | None]:
        """The rows that changed since the last `committed` (None: to be deleted). What is fed from now on is no part
        of it. Asked again before `committed` or `undo`, it tells of all since the last `committed`."""
        self._useless_sent |= self._useless
        self._useless = {}
        self._sent |= self._touched
        self._touched = {}
        found: dict[Row, bytes | None] = dict.fromkeys(self._useless_sent)
        for part, rule, keys in self._all(self._sent):
            found.update((Row(part, rule, key), row) for key, row in keys.changes())
        return found

    def committed(self) -> None:
        """The rows that `changes` told are stored."""
        self._useless_sent = {}
        for _, _, keys in self._all(self._sent):
            keys.committed()
        self._sent = {}

    def undo(self) -> None:
        """Everything since the last `committed` did not happen, also what was fed after `changes`: nothing of it was
        counted, and all of it may be fed again."""
        self._useless |= self._useless_sent
        self._useless_sent = {}
        for _, _, keys in self._all({**self._sent, **self._touched}):
            keys.undo()
        self._sent, self._touched = {}, {}

    def restore(self, rows: Iterable[tuple[Row | tuple[str, str, str], bytes]]) -> None:
        """Takes up what was stored. Rows of rules that are gone or have changed are among the next `changes`.
        Where keys have to go, those whose rows came first go first."""
        for place, row in rows:
            part, rule, key = place
            if rule not in self.rules or not self._of(part)[rule].restore(key, row):
                self._useless[Row(part, rule, key)] = row

    def drop(self, part: str) -> None:
        """Forgets a part, whose rows belong to another process now."""
        for keys in self._parts.pop(part, {}).values():
            keys.drop()
        self._sent.pop(part, None)
        self._touched.pop(part, None)
        self._useless = {place: row for place, row in self._useless.items() if place.part != part}
        self._useless_sent = {place: row for place, row in self._useless_sent.items() if place.part != part}

    def rows(self) -> Iterator[tuple[Row, bytes]]:
        """Everything as it would be stored: `restore` of other rules takes it up, and so does a changed file. What is
        stored still though it is of no use here is told as it is: to other rules it may be of use."""
        stale = {**self._useless_sent, **self._useless}
        for part, rule, keys in self._all(self._parts):
            own = ((Row(part, rule, key), row) for key, row in keys.rows())
            yield from ((place, row) for place, row in own if place not in stale)
        yield from stale.items()

    def sizes(self) -> dict[str, int]:
        """How many keys are remembered, by rule."""
        return {rule: census.size for rule, census in self._censuses.items()}

    def silent(self) -> dict[tuple[str, Labels], int]:
        """How many keys are silent now, by (rule, label values), for the rules that know silence. Label values of which
        none was ever silent are left out."""
        censuses = self._censuses.items()
        return {(rule, labels): count for rule, census in censuses for labels, count in census.silent.items()}

    def _evict(self, rule: str) -> Iterator[Outcome]:
        while self._censuses[rule].size > self.rules[rule].max_keys:
            part = max(self._parts, key=lambda one: len(self._parts[one][rule]))
            self._touched[part] = None
            yield self._parts[part][rule].evict()

    def _of(self, part: str) -> dict[str, Keys]:
        if part not in self._parts:
            self._parts[part] = {name: Keys(rule, self._censuses[name]) for name, rule in self.rules.items()}
        return self._parts[part]

    def _all(self, parts: Iterable[str]) -> Iterator[tuple[str, str, Keys]]:
        return ((part, rule, keys) for part in parts for rule, keys in self._of(part).items())
