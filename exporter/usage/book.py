"""Every series that is counted, with its value: what the ledger holds, in memory. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.usage.kinds import Kind, kind_of
from exporter.usage.settings import OTHER

Labels = tuple[str, ...]
"""Label values, in the order of their shelf's names."""
Deltas = Mapping["Series", Any]
"""What to add to each series."""
PAGE = 256
"""Series that the ledger stores together, by their numbers: a page is written whole when one of them grew."""
MAX_SHARED = 1000
"""Of each shelf so many label values, the first, are one object each, however many series have them."""


@dataclass(frozen=True)
class Exemplar:
    """One event for many: the trace that it is part of, its value, when it came (Unix time)."""

    trace: str
    value: float
    at: float


class Series:
    """One series: its place on a shelf, its value, its number in the ledger (0 until it has one), when it was made
    and when it last grew (Unix time). `since` is the last entry of the journal that its stored total holds: those up
    to there are not added again."""

    __slots__ = ("created", "id", "labels", "lines", "shelf", "since", "touched", "value")

    def __init__(self, shelf: "Shelf", labels: Labels, created: float) -> None:
        self.shelf, self.labels, self.created = shelf, labels, created
        self.id, self.touched, self.since = 0, created, 0
        self.value: Any = shelf.kind.zero()
        self.lines: Any = None
        """What the exposition writes before its values, made when first asked for and only by it."""


class Shelf:
    """The series of one rule that have one kind and one set of label names."""

    def __init__(self, rule: str, kind: Kind, names: tuple[str, ...]) -> None:
        self.rule, self.kind, self.names = rule, kind, names
        self.series: dict[Labels, Series] = {}
        self.exemplars: dict[Series, Exemplar] = {}
        """One of the last events that each counts, where a rule shows them; not kept over a restart."""
        self._shared: dict[str, str] = {}
        self._metric = ""
        """The name under which the exposition wrote the series last."""
        self.overflowed = 0
        """How many sets of label values found no room, and count as `other`: each time that they came."""

    def written_as(self, metric: str) -> list[Series]:
        """The series, for the exposition alone. A rule may have a new metric: then what was written is made anew."""
        every = list(self.series.values())  # at once: others may come while they are written
        if metric != self._metric:
            self._metric = metric
            for one in every:
                one.lines = None
        return every

    def find(self, labels: Labels, now: float, room: int) -> Series:
        """The series with these label values, made where there is room; else the one where every label is `other`."""
        found = self.series.get(labels)
        if found is not None:
            return found
        if len(self.series) >= room:
            self.overflowed += 1
            labels = (OTHER,) * len(self.names)
        return self.put(labels, now)

    def put(self, labels: Labels, now: float) -> Series:
        """The series with these label values, made where it is new."""
        if labels not in self.series:
            labels = tuple(map(self._one_object, labels))
            self.series[labels] = Series(self, labels, now)
        return self.series[labels]

    def _one_object(self, value: str) -> str:
        """The text `value`, as the object that it first came as."""
        if len(self._shared) < MAX_SHARED:
            self._shared.setdefault(value, value)
        return self._shared.get(value, value)


class Book:
    """All shelves. `applied` is the number of the last entry in the ledger's journal that the values hold."""

    def __init__(self) -> None:
        self.applied = 0
        self._shelves: dict[tuple[str, str, tuple[str, ...]], Shelf] = {}
        self._numbered: list[Series | None] = [None]
        """By number, which the ledger counts up from 1: a tenth of what a dictionary holds."""
        self._grown: set[int] = set()
        """The pages of the series that grew."""
        self.highest = 0
        """The highest number that was restored: those that other processes made since are beyond it."""

    def shelf(self, rule: str, kind: Kind, names: tuple[str, ...]) -> Shelf:
        """A rule's series of one kind; those counted before, if there are any."""
        key = (rule, kind.text, names)
        if key not in self._shelves:
            self._shelves[key] = Shelf(rule, kind, names)
        return self._shelves[key]

    def restore(self, number: int, rule: str, kind: str, labels: Iterable[tuple[str, str]], created: float) -> None:
        """A series as the ledger knows it, still at zero. One that another process made gets its number here too."""
        pairs = tuple(labels)
        shelf = self.shelf(rule, kind_of(kind), tuple(name for name, _ in pairs))
        one = shelf.put(tuple(value for _, value in pairs), created)
        one.created = created
        self.number({one: number})
        self.highest = max(self.highest, number)

    def numbered(self, number: int) -> Series | None:
        """The series with this number in the ledger, if it is known here."""
        return self._numbered[number] if number < len(self._numbered) else None

    def number(self, numbers: Mapping[Series, int]) -> None:
        """Series have got their numbers."""
        for one, number in numbers.items():
            one.id = number
            self._numbered += [None] * (number + 1 - len(self._numbered))
            self._numbered[number] = one

    def apply(self, sequence: int, deltas: Iterable[tuple[Series, Any]], at: float) -> None:
        """Adds what entry `sequence` of the journal holds; `at` is when it was stored (Unix time)."""
        for one, delta in deltas:
            one.value = one.shelf.kind.add(one.value, delta)
            one.touched = max(one.touched, at)
            self._grown.add(one.id // PAGE)
        self.applied = sequence

    def take_grown(self) -> set[int]:
        """The pages with series that grew since this was last asked."""
        grown, self._grown = self._grown, set()
        return grown

    def put_back(self, grown: set[int]) -> None:
        """These could not be stored: they are still to be asked for."""
        self._grown |= grown

    def of_page(self, page: int) -> Iterator[Series]:
        """The series with the numbers of page `page`."""
        for one in self._numbered[page * PAGE : (page + 1) * PAGE]:
            if one is not None:
                yield one
