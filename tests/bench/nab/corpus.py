"""The labelled series: a folder of CSV files (timestamp,value) with the windows in which something was wrong.

Their format is github.com/numenta/NAB's. Nothing of them is part of this project; they are read where they lie.
"""

import csv
import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PROBATION_SHARE = 0.15
PROBATION_ROWS = 750
WEEK = 604_800


@dataclass(frozen=True)
class Labelled:
    """A series: its rows' times (Unix seconds) and values in the file's order, and its windows by their first and last row.

    What is said of the first `probation` rows doesn't count.
    """

    name: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    windows: Sequence[tuple[int, int]]

    @property
    def family(self) -> str:
        """The folder it lies in: where it was measured."""
        return self.name.partition("/")[0]

    @property
    def probation(self) -> int:
        """How many rows a detector may learn from without being judged."""
        return min(int(PROBATION_SHARE * len(self.times)), PROBATION_ROWS)

    @property
    def weeks(self) -> float:
        """How long it is judged."""
        return float(self.times[-1] - self.times[self.probation]) / WEEK

    def rows_at(self, moments: NDArray[np.float64]) -> NDArray[np.int64]:
        """The newest row at each moment, none before the first."""
        order = np.argsort(self.times, kind="stable")
        found = np.searchsorted(self.times[order], moments, side="right") - 1
        rows: NDArray[np.int64] = order[np.maximum(found, 0)]
        return rows

    def samples(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times, ascending and each once, and values: what a Prometheus would have stored."""
        times, first = np.unique(self.times, return_index=True)
        return times, self.values[first]


def load(folder: Path) -> list[Labelled]:
    """Every series that `windows.json` names."""
    windows = json.loads((folder / "windows.json").read_text())
    return [_read(folder, name, limits) for name, limits in sorted(windows.items())]


def _read(folder: Path, name: str, limits: Sequence[tuple[str, str]]) -> Labelled:
    with (folder / name).open(newline="") as lines:
        rows = [(_seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(lines)]
    times = np.array([time for time, _ in rows])
    return Labelled(name, times, np.array([value for _, value in rows]), [_rows(times, one) for one in limits])


def _rows(times: NDArray[np.float64], limits: tuple[str, str]) -> tuple[int, int]:
    """The first and the last row of a window, whose limits are two rows' times."""
    first, last = (np.flatnonzero(times == _seconds(limit)) for limit in limits)
    return int(first[0]), int(last[0])


def _seconds(text: str) -> float:
    """A time of the corpus, which has no zone: read as UTC."""
    return datetime.datetime.fromisoformat(text.partition(".")[0]).replace(tzinfo=datetime.UTC).timestamp()
