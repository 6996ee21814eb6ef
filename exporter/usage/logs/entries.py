"""Where the entries of a log begin and end: a line each, or lines joined to the one that begins them. Pure."""

from bisect import bisect_right
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import accumulate
from typing import Protocol

import re2

from exporter.usage.logs.settings import Multiline

Span = tuple[int, int, int]
"""Where an entry begins in its chunk, up to where it is looked at, and where it ends, its last line break left out."""


def readable(chunk: bytes) -> bytes:
    """Lines that end with a line feed alone and are UTF-8; what is not UTF-8 becomes U+FFFD."""
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n")
    return chunk if chunk.isascii() else chunk.decode(errors="replace").encode()


def joined(messages: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Messages of whole lines as one chunk, and the number, from 0, of the line with which each begins."""
    ended = [one if one.endswith(b"\n") else one + b"\n" for one in messages]
    return b"".join(ended), list(accumulate((one.count(b"\n") for one in ended[:-1]), initial=0))


class Entries(Protocol):
    """The entries of one readable chunk."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def cut(self) -> int:
        """How many are longer than what is looked at."""

    def around(self, at: int) -> Span:
        """The entry that holds the byte at `at`, as far as it is looked at."""

    def __iter__(self) -> Iterator[Span]:
        """All of them, in their order."""


class Lines:
    """Every line is an entry, and `max_bytes` of it are looked at."""

    def __init__(self, chunk: bytes, max_bytes: int) -> None:
        self._chunk, self._max_bytes = chunk, max_bytes

    @property
    def count(self) -> int:
        """A last line without a line break counts."""
        return self._chunk.count(b"\n") + (bool(self._chunk) and not self._chunk.endswith(b"\n"))

    @property
    def cut(self) -> int:
        """Looks only at the last line break of each `max_bytes`: what comes before it is short enough."""
        cut = start = 0
        while start + self._max_bytes < len(self._chunk):
            found = self._chunk.rfind(b"\n", start, start + self._max_bytes + 1)
            if found < 0:
                cut += 1
                found = self._chunk.find(b"\n", start + self._max_bytes)
            if found < 0:
                break
            start = found + 1
        return cut

    def around(self, at: int) -> Span:
        """The line that holds the byte at `at`, or whose line break stands there."""
        start = self._chunk.rfind(b"\n", 0, at) + 1
        end = self._chunk.find(b"\n", at)
        end = end if end >= 0 else len(self._chunk)
        return start, min(end, start + self._max_bytes), end

    def __iter__(self) -> Iterator[Span]:
        start = 0
        while start < len(self._chunk):
            end = self._chunk.find(b"\n", start)
            end = end if end >= 0 else len(self._chunk)
            yield start, min(end, start + self._max_bytes), end
            start = end + 1


class Beginnings:
    """Tells which lines begin an entry: those in whose first `max_bytes` the pattern is found."""

    def __init__(self, multiline: Multiline, max_bytes: int) -> None:
        self.max_lines, self.max_bytes = multiline.max_lines, max_bytes
        self._search: Callable[[bytes], object] = re2.compile(multiline.begins).search

    def begins(self, line: bytes) -> bool:
        """Whether `line`, without its line break, begins an entry."""
        return bool(self._search(readable(line[: self.max_bytes]).removesuffix(b"\r")))

    def first(self, chunk: bytes) -> int | None:
        """Where in `chunk`, which is whole lines, the first entry begins; None where none does."""
        return next((start for start, _, end in Lines(chunk, self.max_bytes) if self.begins(chunk[start:end])), None)

    def last(self, chunk: bytes) -> int:
        """Where the last one begins; 0 where none does. Looks at its lines alone."""
        end = len(chunk)
        while end > 0:
            start = chunk.rfind(b"\n", 0, end - 1) + 1
            if self.begins(chunk[start:end].removesuffix(b"\n")):
                return start
            end = start
        return 0


class Joined:
    """A line that begins an entry, and those behind it. Lines before the first such line are an entry as well. Those of
    the numbers `firsts`, from 0, begin one whatever they hold."""

    def __init__(self, chunk: bytes, beginnings: Beginnings, firsts: Container[int] = ()) -> None:
        max_bytes, max_lines = beginnings.max_bytes, beginnings.max_lines
        self._spans: list[Span] = []
        lines = 0
        for number, span in enumerate(Lines(chunk, max_bytes)):
            start, stop, end = span
            lines += 1
            if not self._spans or number in firsts or beginnings.begins(chunk[start:stop]):
                self._spans.append(span)
                lines = 1
            else:
                first, stop, _ = self._spans[-1]
                stop = min(end, first + max_bytes) if lines <= max_lines else stop
                self._spans[-1] = first, stop, end
        self._starts = [start for start, _, _ in self._spans]

    @property
    def count(self) -> int:
        """How many lines begin an entry, and one for lines before."""
        return len(self._spans)

    @property
    def cut(self) -> int:
        """Those of too many bytes or lines."""
        return sum(stop < end for _, stop, end in self._spans)

    def around(self, at: int) -> Span:
        """The entry that the byte at `at` belongs to."""
        return self._spans[bisect_right(self._starts, at) - 1]

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)
