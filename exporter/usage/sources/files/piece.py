"""What of a piece of a file can be delivered: whole lines. Pure."""

from dataclasses import dataclass

PIECE_BYTES = 1 << 20
"""What is read at once, and so the longest line."""


@dataclass(frozen=True)
class Piece:
    """`body` is to be delivered; `length` bytes of the file are dealt with by that.

    `skipping` says that a line which is too long goes on behind them. The other two are what was left out.
    """

    body: bytes
    length: int
    skipping: bool = False
    long_lines: int = 0
    nul_bytes: int = 0


def cut(raw: bytes, skipping: bool, final: bool) -> Piece:
    """The whole lines of `raw`, the next PIECE_BYTES of a file or what there is of them.

    With `skipping` it begins within a line that is too long; with `final` nothing will complete the last line. NUL
    bytes are left out: a crash leaves them where blocks were never written, and so does a program that writes on at its
    old offset in a file that was cut off.
    """
    if skipping:
        end = raw.find(b"\n") + 1
        return Piece(b"", end or len(raw), skipping=not end)
    end = raw.rfind(b"\n") + 1
    if not end:
        blank = len(raw) - len(raw.lstrip(b"\0"))
        if blank:
            return Piece(b"", blank, nul_bytes=blank)
        if len(raw) == PIECE_BYTES:
            return Piece(b"", len(raw), skipping=True, long_lines=1)
        end = len(raw) if final else 0
    body = raw[:end].replace(b"\0", b"")
    return Piece(body, end, nul_bytes=end - len(body))
