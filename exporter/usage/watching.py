"""Rules about each key, at work: what the events of a commit decide, as deltas of series. Pure.

What is remembered of keys is stored in the commit that counts what was decided; `undo` takes back what could not be
stored.
"""

from collections.abc import Iterable, Mapping, Sequence

from exporter.usage.book import Book, Series, Shelf
from exporter.usage.kinds import Buckets, Number
from exporter.usage.rules import MAX_DECLARED, combinations
from exporter.usage.sequences import Outcome, Row, Sequences, Sighting, rule_of
from exporter.usage.sequences.settings import SequenceSettings, Timed

Deltas = dict[Series, object]
Seen = Sighting | tuple[str, str, str, tuple[str, ...], float]


class Watching:
    """The rules of one configuration; their series are those of `book`."""

    def __init__(self, settings: Sequence[SequenceSettings], book: Book, now: float) -> None:
        self.settings = tuple(settings)
        self._sequences = Sequences(map(rule_of, settings))
        self._now = now
        self._read: dict[str, float] = {}
        """How far each part has been read (Unix time)."""
        self.counters: dict[str, Shelf] = {}
        self.histograms: dict[str, Shelf] = {}
        for one in settings:
            names = (one.label, *one.labels)
            self.counters[one.name] = book.shelf(one.name, Number("count"), names)
            if isinstance(one, Timed):
                self.histograms[one.name] = book.shelf(one.name, Buckets(one.buckets), names)
            self._declare(one, now)

    def _declare(self, one: SequenceSettings, now: float) -> None:
        """Series that stand at 0 from the start, unless their labels have too many combinations."""
        rule = self._sequences.rules[one.name]
        for outcome in rule.outcomes:
            for labels in combinations(one.labels.values(), MAX_DECLARED):
                self.counters[one.name].put((outcome, *labels), now)
                if outcome in rule.timed:
                    self.histograms[one.name].put((outcome, *labels), now)

    def of_same_version(self, settings: Iterable[SequenceSettings]) -> set[str]:
        """The names of the rules that are among these and mean the same there."""
        versions = {one.name: one.version() for one in self.settings}
        return {one.name for one in settings if versions.get(one.name) == one.version()}

    def restore(self, rows: Iterable[tuple[Row | tuple[str, str, str], bytes]]) -> None:
        """Takes up what is remembered."""
        self._sequences.restore(rows)

    def rows(self) -> list[tuple[Row, bytes]]:
        """What is remembered, and what is stored still though these rules have no use for it: for those of another
        configuration."""
        return list(self._sequences.rows())

    def look(self, sightings: Mapping[str, Iterable[Seen]], read: Mapping[str, float], now: float) -> Deltas:
        """What these events, by part, and the time that has passed in the parts of `read` decided.

        `read` says how far each part was read, `now` is the clock (Unix time). Either may go back: then nothing is
        decided until it is where it was.
        """
        self._now = max(self._now, now)
        found: Deltas = {}
        for part, until in read.items():
            self._read[part] = max(self._read.get(part, 0.0), until)
            for outcome in self._sequences.feed(sightings.get(part, ()), self._read[part], part, self._now):
                self._count(outcome, found)
        return found

    def _count(self, outcome: Outcome, found: Deltas) -> None:
        labels = (outcome.name, *outcome.labels)
        series = self.counters[outcome.rule].put(labels, self._now)
        found[series] = _added(series, found.get(series), 1)
        shelf = self.histograms.get(outcome.rule)
        if shelf is not None and outcome.seconds is not None:
            timed = shelf.put(labels, self._now)
            found[timed] = _added(timed, found.get(timed), _bucketed(shelf.kind, outcome.seconds))

    def changes(self) -> Mapping[Row, bytes | None]:
        """What has to be stored with the deltas (None: deleted)."""
        return self._sequences.changes()

    def committed(self) -> None:
        """It is stored."""
        self._sequences.committed()

    def undo(self) -> None:
        """It could not be stored: nothing since the last commit happened."""
        self._sequences.undo()

    def drop(self, part: str) -> None:
        """Forgets a part, which is another's now. Nothing is stored."""
        self._read.pop(part, None)
        self._sequences.drop(part)

    def is_behind(self, part: str) -> bool:
        """Whether the last look at a part left something for the next."""
        return self._sequences.is_behind(part)

    def sizes(self) -> Mapping[str, int]:
        """How many keys each rule remembers."""
        return self._sequences.sizes()

    def silent(self) -> Mapping[tuple[str, tuple[str, ...]], int]:
        """How many keys are silent now, by rule and label values."""
        return self._sequences.silent()


def _added(series: Series, before: object, delta: object) -> object:
    return delta if before is None else series.shelf.kind.add(before, delta)


def _bucketed(kind: object, seconds: float) -> list[float]:
    assert isinstance(kind, Buckets)  # noqa: S101 - what histograms stand on
    return kind.of(seconds)
