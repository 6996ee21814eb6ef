"""Bytes of a log -> events. Pure: a chunk of whole lines goes in, what it holds comes out."""

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Protocol

from exporter.bodies import Reject
from exporter.usage.logs.entries import Beginnings, Entries, Joined, Lines, readable
from exporter.usage.logs.fields import Value
from exporter.usage.logs.finder import MakeFinder, finder
from exporter.usage.logs.jsonlines import JsonPattern, decoded
from exporter.usage.logs.pattern import CompiledPattern
from exporter.usage.logs.prefilter import Prefilter
from exporter.usage.logs.settings import LogSet

Event = tuple[str, dict[str, Value]]
"""(the event's name, its fields)."""
Wanted = Mapping[str, Collection[str]]
"""By event, the fields that somebody asks for."""


@dataclass(frozen=True)
class Read:
    """What a chunk held. An entry is a line, or the lines that were joined to one; `cut` counts entries of which only
    the beginning was looked at, `unmatched` those that are no event."""

    entries: int
    unmatched: int
    cut: int
    events: list[Event]
    rejects: tuple[Reject, ...] = ()
    """Every line that is no JSON object where it should be one; it counts as an entry, not as unmatched."""
    starts: Sequence[int] = field(default=(), compare=False)
    """Where the entry of each event begins in the chunk, as its lines know it."""
    lines: "NumberedLines" = field(default_factory=lambda: NumberedLines(b""), compare=False)


class NumberedLines:
    """The lines of a readable chunk by their numbers, from 1; told apart only when one has to be shown. `firsts` as in
    LogReader.read."""

    def __init__(self, chunk: bytes, firsts: Sequence[int] = ()) -> None:
        self._chunk, self._firsts = chunk, firsts

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer(b"\n", self._chunk))]

    def number(self, at: int) -> int:
        """The number of the line that holds the byte at `at`."""
        return bisect_right(self._starts, at)

    def place(self, number: int) -> int:
        """Where people find a line: its number, or that of the message that it is in."""
        return bisect_right(self._firsts, number - 1) or number

    def text(self, number: int) -> bytes:
        """A line, without its line break."""
        start = self._starts[number - 1]
        end = self._chunk.find(b"\n", start)
        return self._chunk[start : end if end >= 0 else len(self._chunk)]


class LogReader(Protocol):
    """Reads one kind of log."""

    def read(self, chunk: bytes, firsts: Sequence[int] = ()) -> Read:
        """`chunk` is whole lines; the last may lack its line break. Never refuses a line: see `entries.readable`. Where
        it is several messages, `firsts` are the numbers, from 0, of the lines with which they begin; no entry goes on
        from one into the next."""

    def finished(self, chunk: bytes, quiet: float = 0.0) -> int:
        """How many bytes at the beginning of `chunk` are whole entries, to which no later line can belong, when nothing
        came behind it for `quiet` seconds. A source holds the rest back until more has come, or longer nothing has."""

    def resumes(self, chunk: bytes) -> int | None:
        """Where in `chunk`, whole lines behind an entry that was cut, the next entry begins; None where none does."""

    def split(self, chunk: bytes) -> list[bytes]:
        """The entries of `chunk`, each with its line breaks."""


class TextReader:
    """Lines of text: literals tell which are worth a look, and RE2 has the word."""

    def __init__(self, settings: LogSet, wanted: Wanted | None = None, find: MakeFinder = finder) -> None:
        """Patterns of events that are not in `wanted` count all the same, without their fields."""
        self._settings = settings
        multiline = settings.multiline
        self._beginnings = None if multiline is None else Beginnings(multiline, settings.max_bytes)
        self._patterns = [
            CompiledPattern(one, None if wanted is None else wanted.get(one.event, ())) for one in settings.patterns
        ]
        self._prefilter = Prefilter([one.regex for one in self._patterns], find)

    def read(self, chunk: bytes, firsts: Sequence[int] = ()) -> Read:
        """An entry that matches several patterns is an event of each, in the order of lines, then of patterns."""
        chunk = readable(chunk)
        page = chunk.decode() if chunk.isascii() else ""  # cheaper to cut texts from, where bytes are characters
        entries = self._entries(chunk, firsts)
        events: list[Event] = []
        starts: list[int] = []
        matched = 0
        for start, stop, numbers in self._prefilter.candidates(chunk, entries):
            text = page[start:stop] or chunk[start:stop].decode(errors="replace")
            before = len(events)
            for number in numbers:
                pattern = self._patterns[number]
                if pattern.must in text and (fields := pattern.fields_of(text)) is not None:
                    events.append((pattern.event, fields))
                    starts.append(start)
            matched += len(events) > before
        count = entries.count
        return Read(count, count - matched, entries.cut, events, (), starts, NumberedLines(chunk, firsts))

    def finished(self, chunk: bytes, quiet: float = 0.0) -> int:
        """All whole lines; where lines are joined, up to where the last entry begins, unless it is quiet."""
        end, multiline = chunk.rfind(b"\n") + 1, self._settings.multiline
        if self._beginnings is None or multiline is None or quiet >= multiline.quiet:
            return end
        return self._beginnings.last(chunk[:end])

    def resumes(self, chunk: bytes) -> int | None:
        """At once; where lines are joined, at the first that begins an entry."""
        return 0 if self._beginnings is None else self._beginnings.first(chunk)

    def split(self, chunk: bytes) -> list[bytes]:
        """As LogReader says."""
        return _split(chunk, self._entries(chunk))

    def _entries(self, chunk: bytes, firsts: Sequence[int] = ()) -> Entries:
        if self._beginnings is None:
            return Lines(chunk, self._settings.max_bytes)
        return Joined(chunk, self._beginnings, frozenset(firsts))


class JsonReader:
    """Lines of JSON, each decoded on its own."""

    def __init__(self, settings: LogSet, wanted: Wanted | None = None) -> None:
        """Of fields that are not in `wanted` nothing is told."""
        self._max_bytes = settings.max_bytes
        self._patterns = [
            JsonPattern(one, settings.message, None if wanted is None else wanted.get(one.event, ()))
            for one in settings.patterns
        ]

    def read(self, chunk: bytes, firsts: Sequence[int] = ()) -> Read:
        """A line that is cut is no JSON object any more: it is rejected, as one that never was. Empty ones are not."""
        chunk = readable(chunk)
        entries = Lines(chunk, self._max_bytes)
        events: list[Event] = []
        rejects: list[Reject] = []
        starts: list[int] = []
        matched = 0
        for position, (start, stop, end) in enumerate(entries, start=1):
            line = decoded(chunk[start:stop]) if stop == end else f"longer than {self._max_bytes} bytes"
            if isinstance(line, str):
                rejects += [Reject(position, line)] if end > start else []
                continue
            found = self._events(line)
            events += found
            starts += [start] * len(found)
            matched += bool(found)
        count = entries.count
        unmatched = count - matched - len(rejects)
        return Read(count, unmatched, entries.cut, events, tuple(rejects), starts, NumberedLines(chunk, firsts))

    def finished(self, chunk: bytes, quiet: float = 0.0) -> int:  # noqa: ARG002 - a line of JSON is whole
        """All whole lines."""
        return chunk.rfind(b"\n") + 1

    def resumes(self, _: bytes) -> int | None:
        """At once."""
        return 0

    def split(self, chunk: bytes) -> list[bytes]:
        """As LogReader says."""
        return _split(chunk, Lines(chunk, self._max_bytes))

    def _events(self, line: Mapping[str, Value]) -> list[Event]:
        asked = ((one.event, one.fields_of(line)) for one in self._patterns)
        return [(event, fields) for event, fields in asked if fields is not None]


def _split(chunk: bytes, entries: Entries) -> list[bytes]:
    starts = [start for start, _, _ in entries]
    return [chunk[start:end] for start, end in pairwise([*starts, len(chunk)])]


def log_reader(settings: LogSet, wanted: Wanted | None = None) -> LogReader:
    """The reader for the format of `settings`."""
    return TextReader(settings, wanted) if settings.format == "text" else JsonReader(settings, wanted)
