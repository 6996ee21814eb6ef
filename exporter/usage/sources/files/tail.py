"""One file that is followed, whatever its name. Its methods block, but for those that say otherwise."""

import os
import stat
from io import FileIO

from exporter.usage.sources.files.finding import Entry
from exporter.usage.sources.files.mark import Mark, offset_of, read_again, read_mark
from exporter.usage.sources.files.piece import PIECE_BYTES, Framing, Piece, Place, cut


class Stranger(Exception):
    """A file that no pattern matches and whose content is not what the ledger knows of its inode."""


class Tail:
    """Where we are in one file. `committed` is what the ledger holds of `part`, the empty text for nothing.

    The file stays open between reads unless `close` is called, so that it can be read to its end once it has another
    name or none.
    """

    def __init__(self, entry: Entry, part: str, committed: str, now: float) -> None:
        self.key, self.path, self.part, self.committed = entry.key, entry.path, part, committed
        self.named, self.size, self._changed = bool(entry.patterns), entry.size, entry.changed
        self.grew_at = now
        self.truncations = 0
        self._file: FileIO | None = None
        self._mark: Mark | None = None
        self._looked_at: tuple[int, int] | None = None

    # --- what doesn't block

    def seen(self, entry: Entry, now: float) -> None:
        """Takes down how the file stands, at `now`. Does not block."""
        if (entry.size, entry.changed) != (self.size, self._changed):
            self.grew_at = now
        self.path, self.named, self.size, self._changed = entry.path, bool(entry.patterns), entry.size, entry.changed

    @property
    def unread(self) -> int:
        """Bytes that were not delivered yet. Does not block."""
        return max(self.size - (self._mark.offset if self._mark else offset_of(self.committed)), 0)

    @property
    def is_due(self) -> bool:
        """Whether there is something to read, or the file is another than it was. Does not block."""
        return bool(self.unread) or self._looked_at != (self.size, self._changed)

    @property
    def is_open(self) -> bool:
        """Whether the file is held open. Does not block."""
        return self._file is not None

    def moved(self, mark: Mark) -> None:
        """The piece that ends at `mark` is done with. Does not block."""
        self._mark, self.committed = mark, mark.text

    def rewind(self, committed: str) -> None:
        """The ledger holds `committed`: the next read goes on there. Does not block."""
        self.committed, self._mark = committed, None

    # --- what blocks

    def missing(self, now: float) -> None:
        """No name was found for the file; an open one may still grow."""
        self.named = False
        if self._file is not None:
            standing = _standing(self._file.fileno())
            if standing != (self.size, self._changed):
                (self.size, self._changed), self.grew_at = standing, now

    def read(self, framing: Framing, quiet: float, final: bool) -> tuple[Piece, Mark]:
        """The next piece, and the mark at its end; nothing was written for `quiet` seconds. With `final` the last line
        needs no newline.

        Where what was read before is gone from the file, it is read from its beginning, and `truncations` grows.
        Raises OSError; FileNotFoundError when the path leads to another file; Stranger.
        """
        looked_at = (self.size, self._changed)
        file = self._opened().fileno()
        mark = self._mark or self._resumed(file)
        raw = os.pread(file, PIECE_BYTES, mark.offset)
        # asked after the read: what holds now held then, so `raw` is of the same content
        if read_mark(file, mark.offset, mark.within) != mark:
            self.truncations += 1
            mark = Mark()
            raw = os.pread(file, PIECE_BYTES, 0)
        self._mark, self._looked_at = mark, looked_at
        if _standing(file) != looked_at:
            quiet, final = 0.0, False  # it was written to since we last looked, however long ago that was
        fresh = not mark.offset or mark.tail.endswith(b"\n")
        place = Place(mark.within, fresh, quiet, final) if len(raw) < PIECE_BYTES else Place(mark.within, fresh)
        piece = cut(raw, place, framing)
        return piece, mark.after(raw[: piece.length], piece.within)

    def _opened(self) -> FileIO:
        if self._file is None:
            # a pipe that took the file's place must not hold us up
            file = FileIO(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) != self.key or not stat.S_ISREG(status.st_mode):
                file.close()
                raise FileNotFoundError(self.path)
            self._file = file
        return self._file

    def _resumed(self, file: int) -> Mark:
        """Where the ledger stands, if the file still is what it was then."""
        mark = read_again(file, self.committed)
        if not self.committed or mark.text == self.committed:
            return mark
        if not self.named:
            raise Stranger
        self.truncations += 1
        return Mark()

    def close(self) -> None:
        """Lets go of the file; the next read opens it by its path."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _standing(file: int) -> tuple[int, int]:
    """A file's size, and when it was last changed (nanoseconds of Unix time)."""
    status = os.fstat(file)
    return status.st_size, status.st_mtime_ns
