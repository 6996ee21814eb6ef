"""What of a piece of a file can be delivered: whole entries, which are lines or lines that are joined. Pure."""

from dataclasses import dataclass, replace
from typing import Protocol

PIECE_BYTES = 1 << 20
"""What is read at once, and so the longest line, and the most that is taken of an entry of several lines."""


class Framing(Protocol):
    """Tells where entries begin and end. See exporter.usage.logs.reader.LogReader."""

    def finished(self, chunk: bytes, quiet: float) -> int:
        """How many bytes at the beginning of `chunk` are whole entries, `quiet` seconds after the last was written."""

    def resumes(self, chunk: bytes) -> int | None:
        """Where in `chunk`, whole lines behind an entry that was cut, the next entry begins; None where none does."""


class WholeLines:
    """Every line is an entry."""

    def finished(self, chunk: bytes, _: float) -> int:
        """All whole lines."""
        return chunk.rfind(b"\n") + 1

    def resumes(self, _: bytes) -> int | None:
        """At once."""
        return 0


@dataclass(frozen=True)
class Place:
    """How a piece stands in its file. With `within` it goes on with what was cut or is too long; `fresh` says that it
    begins with a line. At the file's end nothing was written for `quiet` seconds; with `final` nothing will complete
    the last line."""

    within: bool = False
    fresh: bool = True
    quiet: float = 0.0
    final: bool = False


@dataclass(frozen=True)
class Piece:
    """`body` is to be delivered; `length` bytes of the file are dealt with by that.

    `within` says that a line or entry which is too long goes on behind them. The other two are what was left out.
    """

    body: bytes
    length: int
    within: bool = False
    long_lines: int = 0
    nul_bytes: int = 0


def cut(raw: bytes, place: Place, framing: Framing) -> Piece:
    """The whole entries of `raw`, the next PIECE_BYTES of a file or what there is of them.

    NUL bytes are left out: a crash leaves them where blocks were never written, and so does a program that writes on at
    its old offset in a file that was cut off.
    """
    passed = _rest_of_cut(raw, place, framing) if place.within else Piece(b"", 0)
    if passed.within:
        return passed
    found = _entries(raw[passed.length :], len(raw) == PIECE_BYTES and not passed.length, place, framing)
    return replace(found, length=passed.length + found.length)


def _rest_of_cut(raw: bytes, place: Place, framing: Framing) -> Piece:
    """What is passed over, for it belongs to something that was cut."""
    start = 0 if place.fresh else raw.find(b"\n") + 1
    if not start and not place.fresh:
        return Piece(b"", len(raw), within=True)
    end = max(start, len(raw) if place.final else raw.rfind(b"\n") + 1)
    begins = framing.resumes(raw[start:end])
    if begins is not None:
        return Piece(b"", start + begins)
    return Piece(b"", end or (len(raw) if len(raw) == PIECE_BYTES else 0), within=True)


def _entries(raw: bytes, full: bool, place: Place, framing: Framing) -> Piece:
    """The whole entries at the beginning of `raw`; with `full` there is no room for more of the first."""
    end = raw.rfind(b"\n") + 1
    if not end:
        return _half_a_line(raw, full, place.final)
    whole = len(raw) if place.final else framing.finished(raw[:end], place.quiet)
    is_cut = full and not whole
    length = end if is_cut else whole
    body = raw[:length].replace(b"\0", b"")
    return Piece(body, length, is_cut, int(is_cut), length - len(body))


def _half_a_line(raw: bytes, full: bool, final: bool) -> Piece:
    blank = len(raw) - len(raw.lstrip(b"\0"))
    if blank:
        return Piece(b"", blank, nul_bytes=blank)
    if full:
        return Piece(b"", len(raw), within=True, long_lines=1)
    end = len(raw) if final else 0
    body = raw[:end].replace(b"\0", b"")
    return Piece(body, end, nul_bytes=end - len(body))
