"""How far a file was read, told so that no other content is taken for what was read.

An inode's number is given to another file once its own is gone, and a file that was cut off and written anew keeps its
own. So a mark holds, beside the offset, the first and the last bytes before it: they never change while a file grows.
"""

import hashlib
import os
from dataclasses import dataclass

EDGE_BYTES = 256
_WITHIN = ":within"


@dataclass(frozen=True)
class Mark:
    """Everything before `offset` was read; it begins with `head` and ends with `tail`, at most EDGE_BYTES each. What
    comes next is, with `within`, the rest of a line or an entry that was cut."""

    offset: int = 0
    head: bytes = b""
    tail: bytes = b""
    within: bool = False

    def after(self, read: bytes, within: bool) -> "Mark":
        """Where we are once `read`, which follows the mark, was read as well."""
        missing = EDGE_BYTES - len(self.head)
        tail = (self.tail + read[-EDGE_BYTES:])[-EDGE_BYTES:]
        return Mark(self.offset + len(read), self.head + read[:missing], tail, within)

    @property
    def text(self) -> str:
        """The mark as the ledger keeps it: the offset, a digest of the edges, and whether something goes on."""
        digest = hashlib.blake2b(self.head + self.tail, digest_size=8).hexdigest()
        return f"{self.offset}:{digest}{_WITHIN if self.within else ''}"


def read_mark(file: int, offset: int, within: bool = False) -> Mark:
    """The mark at `offset` of an open file as it is now; its edges are short where the file ends before. Blocks."""
    length = min(EDGE_BYTES, offset)
    return Mark(offset, os.pread(file, length, 0), os.pread(file, length, offset - length), within)


def read_again(file: int, text: str) -> Mark:
    """The mark where the one was whose text this is, in an open file as it is now; the beginning for the empty text.
    Blocks."""
    return read_mark(file, offset_of(text), text.endswith(_WITHIN))


def offset_of(text: str) -> int:
    """The offset that a mark's text tells; 0 for the empty text, which stands for a file that was never read."""
    return int(text.partition(":")[0] or 0)
