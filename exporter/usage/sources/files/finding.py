"""Which files there are: those that the patterns match, and those that we know under another name. Blocks."""

import glob
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from exporter.usage.sources.files.settings import COMPRESSED

Key = tuple[int, int]
"""A file whatever its name: device and inode."""


@dataclass(frozen=True)
class Entry:
    """A file as it stood: `size` in bytes, `changed` in nanoseconds, and the patterns that match its name.

    Without patterns it is one that rotation renamed.
    """

    key: Key
    path: Path
    size: int
    changed: int
    patterns: frozenset[Path]


@dataclass(frozen=True)
class Found:
    """What a look found, by key, and what could not be looked at."""

    entries: dict[Key, Entry]
    errors: tuple[tuple[Path, OSError], ...]


def find(patterns: Collection[Path], inodes: Collection[int]) -> Found:
    """Every file that matches one of `patterns`, and in the same folders those whose inode is one of `inodes`.

    A symbolic link is the file that it leads to. A file with several names is found once.
    """
    entries: dict[Key, Entry] = {}
    errors: list[tuple[Path, OSError]] = []
    for pattern in patterns:
        for path in _matching(pattern):
            _enter(entries, errors, path, frozenset({pattern}))
    for folder in _folders(patterns, entries):
        try:
            for path in _known(folder, inodes):
                _enter(entries, errors, path, frozenset())
        except OSError as error:
            errors.append((folder, error))
    return Found(entries, tuple(errors))


def _matching(pattern: Path) -> Iterator[Path]:
    for name in glob.iglob(str(pattern), recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not name.endswith(tuple(COMPRESSED)):
            yield Path(name)


def _folders(patterns: Collection[Path], entries: dict[Key, Entry]) -> set[Path]:
    """Where rotation may have renamed a file to: beside those that match."""
    beside = {entry.path.parent for entry in entries.values()}
    for pattern in patterns:
        beside.update(map(Path, glob.iglob(str(pattern.parent), recursive=True)))  # noqa: PTH207 - as above
    return beside


def _known(folder: Path, inodes: Collection[int]) -> Iterator[Path]:
    with os.scandir(folder) as listing:
        for one in listing:
            if one.inode() in inodes and not one.name.endswith(tuple(COMPRESSED)):
                yield Path(one.path)


def _enter(
    entries: dict[Key, Entry], errors: list[tuple[Path, OSError]], path: Path, patterns: frozenset[Path]
) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return  # it went while we looked, or a link leads nowhere
    except OSError as error:
        errors.append((path, error))
        return
    if not stat.S_ISREG(status.st_mode):
        return
    key = (status.st_dev, status.st_ino)
    known = entries.get(key)
    if known is not None:
        path, patterns = known.path, known.patterns | patterns
    entries[key] = Entry(key, path, status.st_size, status.st_mtime_ns, patterns)
