"""A backtest of many series, once their past is there: as it ships, with every other sensitivity it tries.

The baseline computes two of its parts the plain way, a window at a time, over some of the series: the median of the
lookbacks, and the quantiles that a band is made of.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen.backtest import FACTORS, HOLDS, WARM_UP, Past, Span, backtest
from exporter.rulegen.history import Grid, History
from exporter.rulegen.model import AHEAD, LEARN, LOOKBACKS, PAST_STEP, STANDARD, STEP
from exporter.rulegen.settings import Signals
from tests.bench.figure import Bench, Figure

SERIES, DAYS, PLAIN = 58, 75, 4
MOST_SECONDS = 5.0
END = 1_790_000_100 // STEP * STEP
Values = NDArray[np.float64]


def _series(chance: np.random.Generator, size: int) -> Values:
    """Events per second with a day's course, and some drops and surges."""
    hours = np.arange(size) * STEP / 3600
    values = chance.poisson(300 * (2 + np.sin(hours / 24 * 2 * np.pi))) / STEP
    for first in chance.integers(0, size - 100, 8).tolist():
        values[first : first + 30] *= chance.uniform(0, 3)
    found: Values = values
    return found


def _plain(values: Values) -> None:
    """The median and the quantiles of one series, as one would write them first."""
    steps = [(back - AHEAD) // STEP for back in LOOKBACKS["weekly"]]
    expected = np.full(len(values), np.nan)
    for place in range(len(values)):
        earlier = [values[place - step] for step in steps if place >= step]
        expected[place] = np.median(earlier) if earlier else np.nan
    deviation = values - expected
    for end in range(0, len(values), PAST_STEP // STEP):
        window = deviation[max(0, end - LEARN // STEP) : end]
        known = window[~np.isnan(window)]
        if len(known):
            np.quantile(known, [1 - STANDARD.quantile, STANDARD.quantile])


def _all_plain(rows: Sequence[Values]) -> None:
    for row in rows:
        _plain(row)


def _seconds(work: Callable[[], object]) -> float:
    """Of this process alone: the machine is shared."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


async def _run(_: Path) -> Sequence[Figure]:
    chance = np.random.default_rng(1)
    signals = [
        {"name": f"series-{place}", "query": "any", "kind": "count" if place % 2 else "gauge"}
        for place in range(SERIES)
    ]
    file = Signals.model_validate({"timezone": "Europe/Lisbon", "unless": [], "signals": signals})
    grid = Grid.of(END - DAYS * 86_400, END)
    series: dict[str, History] = {signal.name: {(): _series(chance, grid.size)} for signal in file.signals}
    past, span = Past(grid, series, np.zeros(grid.size, dtype=np.bool_)), Span(grid.start + WARM_UP, END)
    ours = _seconds(lambda: backtest(file, past, span, []))
    plain = _seconds(lambda: _all_plain([one[()] for one in list(series.values())[:PLAIN]])) * SERIES / PLAIN
    text = f"{SERIES} series of {DAYS} days, {len(FACTORS) * len(HOLDS) + 1} settings tried: {ours:.1f} s of one core, the plain way {plain:.0f} s"
    name = "backtest once it has read"
    return [Figure(name, plain / ours, "two parts of it, a window at a time", text, ours > MOST_SECONDS)]


BENCH = Bench("backtest", "a backtest's arithmetic, once the past is read", _run)
