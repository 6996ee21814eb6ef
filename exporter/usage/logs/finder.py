"""Finds literals in a chunk of log lines: with hyperscan in one go, or with RE2 line by line where there is none.

Either is asked for candidates alone. What matches, and what it holds, RE2 tells afterwards.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import re2

from exporter.usage.logs.entries import Entries
from exporter.usage.logs.literals import Literal

try:
    import hyperscan
except ImportError:  # no wheel for this platform: RE2 finds the same, more slowly
    HAS_HYPERSCAN = False
else:
    HAS_HYPERSCAN = True

Hit = tuple[int, int]
"""A place in the entry that holds a literal, and the literal's number."""
SET_MEMORY = 64 * 1024 * 1024
"""Bytes that RE2 may use for a set: with too few it would find nothing, or begin anew all the time."""


class Finder(Protocol):
    """Knows literals by their numbers."""

    def hits(self, chunk: bytes, entries: Entries) -> list[Hit]:
        """Every entry of `chunk` with every literal that it holds, by place. A pair may come more than once."""


MakeFinder = Callable[[Sequence[Literal]], Finder]


def finder(literals: Sequence[Literal]) -> Finder:
    """The fastest that this platform has."""
    return LineFinder(literals) if not (HAS_HYPERSCAN and literals) else ChunkFinder(literals)


class ChunkFinder:
    """Scans all lines at once: those without a literal cost nothing but the scan."""

    def __init__(self, literals: Sequence[Literal]) -> None:
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[one.text.encode() for one in literals],
            ids=list(range(len(literals))),
            flags=[hyperscan.HS_FLAG_CASELESS if one.caseless else 0 for one in literals],
            literal=True,
        )

    def hits(self, chunk: bytes, entries: Entries) -> list[Hit]:  # noqa: ARG002 - part of the protocol
        """A place is where a literal's last byte stands."""
        found: list[Hit] = []
        append = found.append

        def note(number: int, _start: int, end: int, _flags: int, _context: Any) -> None:
            append((end - 1, number))

        self._database.scan(chunk, match_event_handler=note)
        found.sort()  # hyperscan promises no order
        return found


class LineFinder:
    """Asks one set of RE2 about each entry."""

    def __init__(self, literals: Sequence[Literal]) -> None:
        self._any = AnyOf([_quoted(one) for one in literals])

    def hits(self, chunk: bytes, entries: Entries) -> list[Hit]:
        """A place is where an entry begins."""
        return [(start, number) for start, stop, _ in entries for number in self._any.of(chunk[start:stop])]


class AnyOf:
    """Which of several patterns a text may match: those that it does, or all where RE2 has no room to tell."""

    def __init__(self, patterns: Sequence[str]) -> None:
        options = re2.Options()
        options.max_mem = SET_MEMORY
        self._every = range(len(patterns))
        self._set = re2.Set.SearchSet(options)
        for pattern in (*patterns, ""):  # the last matches every text: nothing found means that RE2 gave up
            self._set.Add(pattern)
        try:
            self._set.Compile()
        except re2.error:  # more patterns than there is room for
            self._set = None

    def of(self, text: bytes) -> Sequence[int]:
        """Numbers of patterns, in their order."""
        found = self._set.Match(text) if self._set else ()
        return sorted(found)[:-1] if found else self._every


def _quoted(literal: Literal) -> str:
    return f"(?i:{re.escape(literal.text)})" if literal.caseless else re2.escape(literal.text)
