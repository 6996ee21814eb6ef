"""A chunk of log lines -> the entries that are worth a look, and the patterns that may match each. Pure."""

from collections.abc import Iterator, Sequence

from exporter.usage.logs.entries import Entries
from exporter.usage.logs.finder import AnyOf, MakeFinder
from exporter.usage.logs.literals import chosen, required

Candidate = tuple[int, int, list[int]]
"""Where an entry begins, up to where it is looked at, and the numbers of patterns, ascending."""


class Prefilter:
    """Looks for one literal of each pattern, or one of several. Patterns that have none are asked as a set."""

    def __init__(self, patterns: Sequence[str], find: MakeFinder) -> None:
        needs = chosen(map(required, patterns))
        literals = sorted({literal for one in needs if one for literal in one})
        self._others = [number for number, one in enumerate(needs) if one is None]
        self._finder = find(literals)
        self._any = AnyOf([patterns[number] for number in self._others])
        self._first_other = len(literals)
        self._patterns_of = [
            frozenset(number for number, one in enumerate(needs) if one and literal in one) for literal in literals
        ]
        self._patterns_of += [frozenset({number}) for number in self._others]

    def candidates(self, chunk: bytes, entries: Entries) -> Iterator[Candidate]:
        """Each entry at most once, in their order. `chunk` is readable."""
        hits = self._finder.hits(chunk, entries) if self._first_other else []
        if self._others:
            hits += [
                (start, self._first_other + number)
                for start, stop, _ in entries
                for number in self._any.of(chunk[start:stop])
            ]
            hits.sort()
        start, stop, end = 0, 0, -1
        numbers = frozenset[int]()
        for at, hit in hits:
            if at > end:  # a new entry
                if numbers:
                    yield start, stop, sorted(numbers)
                start, stop, end = entries.around(at)
                numbers = self._patterns_of[hit]
            elif not numbers >= self._patterns_of[hit]:
                numbers |= self._patterns_of[hit]
        if numbers:
            yield start, stop, sorted(numbers)
