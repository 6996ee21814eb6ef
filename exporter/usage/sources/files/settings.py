"""A source of files as an operator writes it."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from toolkit.configfile import Duration, FilePath, Location, Model, Name

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]

COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip"})
"""What rotation makes of a file that was read: never read again."""


class FileSettings(Model):
    """Files whose lines are counted: those that match one of `paths` (`*`, `?`, `[...]`, and `**` for any folders).

    `start` is where a file begins that was there before the source saw its pattern for the first time; what comes later
    is read from its beginning. After `idle` seconds without growth a last line without its newline is taken as it is,
    and a file that no pattern matches any more is let go.
    """

    name: Name
    paths: tuple[FilePath, ...] = Field(min_length=1)
    format: Literal["lines", "ndjson"] = "lines"
    log: str = ""
    start: Literal["end", "beginning"] = "end"
    interval: Duration = Field(default=1.0, ge=0.05)
    idle: Duration = Field(default=60.0, gt=0)
    labels: dict[LabelName, str] = {}


def lint(source: FileSettings) -> Iterator[tuple[Location, str]]:
    """What contradicts itself in one source: (location below the source, message)."""
    seen = set()
    for index, path in enumerate(source.paths):
        if path.suffix in COMPRESSED:
            yield ("paths", index), f"files that end in '{path.suffix}' are compressed, and not read"
        if path in seen:
            yield ("paths", index), f"the path '{path}' stands here twice"
        seen.add(path)
    if source.idle < source.interval:
        yield (
            ("idle",),
            "must not be shorter than interval, or every file that was not seen to grow would count as idle",
        )
