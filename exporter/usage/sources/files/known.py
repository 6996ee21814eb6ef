"""What the ledger knows of a source of files: how far each was read, and which patterns have begun. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from exporter.usage.delivery import Position
from exporter.usage.sources.files.finding import Key

_BEGUN = "begun "


def part_of(key: Key) -> str:
    """What the ledger calls a file: its device and its inode."""
    return f"{key[0]}:{key[1]}"


def beginning_of(pattern: Path) -> str:
    """The part that says that a pattern has begun; no file's."""
    return f"{_BEGUN}{pattern}"


class Known:
    """The ledger's positions by part, as far as we heard: another process may have moved them on."""

    def __init__(self, positions: Mapping[str, str]) -> None:
        self._positions: dict[str, str] = {}
        self._parts: defaultdict[int, list[str]] = defaultdict(list)
        for part, text in positions.items():
            self._put(part, text)

    def _put(self, part: str, text: str) -> None:
        if part not in self._positions and not part.startswith(_BEGUN):
            self._parts[int(part.rpartition(":")[2])].append(part)
        self._positions[part] = text

    def moved(self, positions: Iterable[Position]) -> None:
        """These are in the ledger now."""
        for position in positions:
            self._put(position.part, position.after)

    def text(self, part: str) -> str:
        """The position of a part; the empty text for one that is not known."""
        return self._positions.get(part, "")

    def has_begun(self, pattern: Path) -> bool:
        """Whether files that match `pattern` were looked for before."""
        return beginning_of(pattern) in self._positions

    @property
    def inodes(self) -> set[int]:
        """The inodes of all files that are known."""
        return set(self._parts)

    def of_inode(self, inode: int) -> list[str]:
        """The parts of files that have this inode, on whatever device."""
        return list(self._parts.get(inode, ()))
