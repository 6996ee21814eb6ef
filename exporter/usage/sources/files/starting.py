"""What is asked of files before they are followed. Blocks."""

import contextlib
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

from exporter.usage.sources.files.mark import Mark, read_again, read_mark
from exporter.usage.sources.files.piece import PIECE_BYTES


def ends_of(paths: Iterable[Path]) -> dict[Path, Mark]:
    """Where the last whole line of each file ends, and an entry goes on; a file that can't be read is left out."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = _last_line(path)
    return found


def _last_line(path: Path) -> Mark:
    """The file's end, if its last PIECE_BYTES have no newline."""
    with FileIO(path) as file:
        size = os.fstat(file.fileno()).st_size
        begin = max(size - PIECE_BYTES, 0)
        newline = os.pread(file.fileno(), PIECE_BYTES, begin).rfind(b"\n") + 1
        offset = begin + newline if newline or not begin else size
        return read_mark(file.fileno(), offset, within=bool(offset))


def still_holds(path: Path, committed: str) -> bool:
    """Whether the file at `path` holds what was read when a mark's text was `committed`; False if it can't be read."""
    try:
        with FileIO(path) as file:
            return read_again(file.fileno(), committed).text == committed
    except OSError:
        return False
