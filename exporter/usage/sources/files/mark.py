"""How far a file was read, told so that no other content is taken for what was read.

An inode's number is given to another file once its own is gone, and a file that was cut off and written anew keeps its
own. So a mark holds, beside the offset, the first and the last bytes before it: they never change while a file grows.
"""

import hashlib
import os
from dataclasses import dataclass

EDGE_BYTES = 256


@dataclass(frozen=True)
class Mark:
    """Everything before `offset` was read; it begins with `head` and ends with `tail`, at most EDGE_BYTES each."""

    offset: int = 0
    head: bytes = b""
    tail: bytes = b""

    def after(self, read: bytes) -> "Mark":
        """Where we are once `read`, which follows the mark, was read as well."""
        missing = EDGE_BYTES - len(self.head)
        tail = (self.tail + read[-EDGE_BYTES:])[-EDGE_BYTES:]
        return Mark(self.offset + len(read), self.head + read[:missing], tail)

    @property
    def text(self) -> str:
        """The mark as the ledger keeps it: the offset and a digest of the edges."""
        return f"{self.offset}:{hashlib.blake2b(self.head + self.tail, digest_size=8).hexdigest()}"


def read_mark(file: int, offset: int) -> Mark:
    """The mark at `offset` of an open file as it is now; its edges are short where the file ends before. Blocks."""
    length = min(EDGE_BYTES, offset)
    return Mark(offset, os.pread(file, length, 0), os.pread(file, length, offset - length))


def offset_of(text: str) -> int:
    """The offset that a mark's text tells; 0 for the empty text, which stands for a file that was never read."""
    return int(text.partition(":")[0] or 0)
