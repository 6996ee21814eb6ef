"""The past of a file's signals, read from a Prometheus: each query once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.rulegen import findings, history
from exporter.rulegen.backtest import Past
from exporter.rulegen.findings import Finding
from exporter.rulegen.history import Grid, History
from exporter.rulegen.rules import selector
from exporter.rulegen.settings import Signal, Signals
from exporter.rulegen.signals import query
from toolkit.prometheus import Prometheus

DAY = 86_400


@dataclass(frozen=True)
class Read:
    """A past, and what is wrong with it; the signals of which something fatal was found are not in it."""

    past: Past
    findings: tuple[Finding, ...]


class Reader:
    """Reads on one grid; a question that is asked again is answered from the first time."""

    def __init__(self, prometheus: Prometheus, grid: Grid, advance: Callable[[int], None]) -> None:
        """`advance` is told how many of the grid's points have come."""
        self._prometheus, self._grid, self._advance = prometheus, grid, advance
        self._known: dict[str, History] = {}
        self._names: list[str] | None = None

    async def read(self, file: Signals) -> Read:
        """The past of a file's signals. Raises QueryFailed."""
        hidden = np.zeros(self._grid.size, dtype=np.bool_)
        for text in file.unless:
            for row in (await self._series(f"({text})")).values():
                hidden |= ~np.isnan(row)
        found: dict[str, History] = {}
        said: list[Finding] = []
        for signal in file.signals:
            series = await self._series(query(signal))
            said += await self._looked(signal, series)
            found[signal.name] = {labels: np.where(np.isinf(row), np.nan, row) for labels, row in series.items()}
        fatal = {one.signal for one in said if one.fatal}
        kept = {name: series for name, series in found.items() if name not in fatal}
        return Read(Past(self._grid, kept, hidden), tuple(said))

    async def _series(self, expression: str) -> History:
        if expression not in self._known:
            self._known[expression] = await history.read(self._prometheus, expression, self._grid, self._advance)
        return self._known[expression]

    async def _looked(self, signal: Signal, series: History) -> list[Finding]:
        if not any(np.any(np.isfinite(row)) for row in series.values()):
            return [findings.absent(signal, await self._metrics(), self._grid, await self._is_new(signal))]
        kinds = await self._prometheus.kinds(signal.metric) if signal.metric is not None else frozenset[str]()
        found = [*findings.miscounted(signal, series, kinds), *findings.unusable(signal, series)]
        found += findings.divided(signal, series, await self._labels(signal, series))
        if signal.metric is not None and signal.kind == "count" and not any(one.fatal for one in found):
            resets, samples = [await self._counted(name, signal) for name in ("resets", "count_over_time")]
            found += findings.restarted(signal, resets, samples)
        return [*found, *findings.patchy(signal, series, self._grid)]

    async def _metrics(self) -> Sequence[str]:
        if self._names is None:
            self._names = await self._prometheus.names()
        return self._names

    async def _is_new(self, signal: Signal) -> bool:
        """Whether its metric has values now and had none an hour ago."""
        if signal.metric is None:
            return False
        source = selector(signal.metric, signal.match)
        return bool(await self._prometheus.query(f"count({source}) unless count({source} offset 1h)"))

    async def _labels(self, signal: Signal, series: History) -> Iterable[str]:
        """What `by` could name: the labels of the metric, or those that the query returns."""
        found = {name for row in series for name, _ in row}
        if signal.metric is None or found.issuperset(signal.by):
            return found
        times = self._grid.times()
        labels = await self._prometheus.labels(selector(signal.metric, signal.match), times[0], times[-1])
        return set(labels) - {"__name__"}

    async def _counted(self, function: str, signal: Signal) -> float:
        """The sum of a function of the metric's days, over all series and the days of the grid."""
        times = self._grid.times()
        expression = f"sum({function}({selector(signal.metric or '', signal.match)}[1d]))"
        days = await self._prometheus.query_range(expression, times[0] + DAY, times[-1], DAY)
        return sum(value for one in days for _, value in one.points)


def points(files: Iterable[Signals], grid: Grid) -> int:
    """How many points `advance` will be told of, for these files."""
    texts = {text for file in files for text in (*(f"({text})" for text in file.unless), *map(query, file.signals))}
    return len(texts) * grid.size
