"""What a source of files says of itself, as series."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.exposition import Families, Family, line, series

FILES = Family("tocsin_exporter_file_files", "gauge", "Files that a source follows.")
LAG = Family("tocsin_exporter_file_lag_bytes", "gauge", "Bytes that a source has yet to read and deliver.")
TRUNCATIONS = Family(
    "tocsin_exporter_file_truncations_total",
    "counter",
    "Times a file no longer held what had been read of it, and was begun anew.",
)
LONG = Family(
    "tocsin_exporter_file_long_lines_total",
    "counter",
    "Lines of more than 1 MiB, which are passed over, and entries of several lines that were cut there.",
)
NULS = Family("tocsin_exporter_file_nul_bytes_total", "counter", "NUL bytes, which are left out of lines.")
ERRORS = Family(
    "tocsin_exporter_file_errors_total",
    "counter",
    "Times a file or folder could not be read: permission, too_many_open or io.",
)
REASONS = ("permission", "too_many_open", "io")


@dataclass
class FileCounts:
    """Of one source, since it was started. `lag` is in bytes."""

    source: str
    files: int = 0
    lag: int = 0
    truncations: int = 0
    long_lines: int = 0
    nul_bytes: int = 0
    errors: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))


def families(sources: Iterable[FileCounts]) -> Families:
    """The series of all sources of files."""
    counts = list(sources)
    for family, name in (
        (FILES, "files"),
        (LAG, "lag"),
        (TRUNCATIONS, "truncations"),
        (LONG, "long_lines"),
        (NULS, "nul_bytes"),
    ):
        yield family, [line(series(family.name, {"source": one.source}), getattr(one, name)) for one in counts]
    yield (
        ERRORS,
        [
            line(series(ERRORS.name, {"source": one.source, "reason": reason}), value)
            for one in counts
            for reason, value in one.errors.items()
        ],
    )
