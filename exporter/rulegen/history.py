"""A signal's past, read once from a Prometheus, on the grid on which rules are evaluated."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen.model import STEP
from toolkit.prometheus import Prometheus

MOST_POINTS = 10_000
"""Prometheus refuses more than 11,000 a series and question."""
AT_ONCE = 4


@dataclass(frozen=True)
class Grid:
    """Evaluations at `start`, `start + STEP` ... (Unix seconds, a multiple of STEP), so many of them."""

    start: int
    size: int

    @classmethod
    def of(cls, start: float, end: float) -> "Grid":
        """From the first multiple of STEP at or after `start` to the last at or before `end`."""
        first = math.ceil(start / STEP) * STEP
        return cls(first, max(0, int(end - first) // STEP + 1))

    def times(self) -> NDArray[np.float64]:
        """Every evaluation's time."""
        return self.start + STEP * np.arange(self.size, dtype=np.float64)

    def place(self, at: float) -> int:
        """The first evaluation at or after `at`, which may lie before or beyond the grid."""
        return math.ceil((at - self.start) / STEP)


Labels = tuple[tuple[str, str], ...]
"""A series' labels in their order."""
History = Mapping[Labels, NDArray[np.float64]]
"""Each series' values on a grid, NaN where there is none."""


async def read(prometheus: Prometheus, expression: str, grid: Grid, advance: Callable[[int], None]) -> History:
    """An expression's values at each evaluation of a grid. `advance` is told how many of the grid's points have come.
    Raises QueryFailed."""
    found: dict[Labels, NDArray[np.float64]] = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def piece(first: int) -> None:
        size = min(MOST_POINTS, grid.size - first)
        start = grid.start + first * STEP
        async with gate:
            series = await prometheus.query_range(expression, start, start + (size - 1) * STEP, STEP)
        for one in series:
            labels = tuple(sorted((name, value) for name, value in one.labels.items() if name != "__name__"))
            row = found.setdefault(labels, np.full(grid.size, np.nan))
            points = np.array(one.points, dtype=np.float64)
            row[np.rint((points[:, 0] - grid.start) / STEP).astype(np.int64)] = points[:, 1]
        advance(size)

    await asyncio.gather(*(piece(first) for first in range(0, grid.size, MOST_POINTS)))
    return found
