"""Recording rules over series of the past, evaluated by a real Prometheus.

A rule's values are asked for with `query_range` and stored before the rules that read them are asked: each stage is a
Prometheus started on what the earlier ones left. A sample is not looked for a whole step back (`--query.lookback-delta`),
as a running server's stale markers have it.
"""

import json
import re
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from tests.support.prometheuses import prometheus

STEP = 300
MOST_POINTS = 10_000
AT_ONCE = 2
"""Questions; Prometheus takes a core for each."""
PATIENCE = 1800
"""Seconds that a question may take."""
FLAGS = ("--query.lookback-delta=4m59s", f"--query.timeout={PATIENCE}s")
Labels = tuple[tuple[str, str], ...]
Samples = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times (Unix seconds, ascending) and values."""


@dataclass(frozen=True)
class Record:
    """A recording rule, evaluated every `step` seconds."""

    name: str
    expr: str
    labels: Mapping[str, str]
    step: int = STEP


@dataclass
class Replay:
    """A folder with a Prometheus's blocks of the time from `start` to `end` (Unix seconds, multiples of all steps)."""

    binaries: Path
    folder: Path
    start: int
    end: int

    def store(self, name: str, series: Mapping[Labels, Samples]) -> None:
        """Writes blocks of these series."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt", dir=self.folder) as text:
            text.writelines(_openmetrics(name, series))
            text.flush()
            command = [str(self.binaries / "promtool"), "tsdb", "create-blocks-from", "--max-block-duration=8192h"]
            done = subprocess.run(
                [*command, "openmetrics", text.name, str(self.folder / "data")],
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr[-2000:]

    def record(
        self, rules: Sequence[Record], wanted: Sequence[str], told: Callable[[str], None]
    ) -> dict[str, Mapping[Labels, Samples]]:
        """Evaluates the rules that the `wanted` need, those that need no other first; the series of the wanted."""
        kept: dict[str, Mapping[Labels, Samples]] = {}
        for stage in stages(needed(rules, wanted)):
            with prometheus(self.binaries, self.folder, flags=FLAGS) as url:
                found: dict[str, dict[Labels, Samples]] = {}
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    for rule, series in zip(stage, pool.map(partial(self._asked, url), stage), strict=True):
                        told(rule.name)
                        found.setdefault(rule.name, {}).update(series)
            for name, series in found.items():
                self.store(name, series)
                if name in wanted:
                    kept[name] = {**kept.get(name, {}), **series}
        return kept

    def _asked(self, url: str, rule: Record) -> dict[Labels, Samples]:
        pieces: dict[Labels, list[Samples]] = {}
        for first in range(self.start, self.end + 1, MOST_POINTS * rule.step):
            last = min(first + (MOST_POINTS - 1) * rule.step, self.end)
            for one in query_range(url, rule.expr, first, last, rule.step):
                labels = {name: value for name, value in one["metric"].items() if name != "__name__"} | dict(
                    rule.labels
                )
                points = np.array(one["values"], dtype=np.float64)
                pieces.setdefault(tuple(sorted(labels.items())), []).append((points[:, 0], points[:, 1]))
        return {labels: _joined(parts) for labels, parts in pieces.items()}


def needed(rules: Sequence[Record], wanted: Sequence[str]) -> list[Record]:
    """Those that record what is wanted, and what these read."""
    names, before = set(wanted), set[str]()
    while names != before:
        before = names
        names = names.union(*(_read(rule) for rule in rules if rule.name in names))
    return [rule for rule in rules if rule.name in names]


def stages(rules: Sequence[Record]) -> Iterator[list[Record]]:
    """The rules in sets that only read earlier ones."""
    left = list(rules)
    while left:
        waiting = {rule.name for rule in left}
        ready = [rule for rule in left if not _read(rule) & waiting]
        assert ready, f"rules that read each other: {waiting}"
        yield ready
        left = [rule for rule in left if rule not in ready]


def _read(rule: Record) -> set[str]:
    return set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_:]*", rule.expr))


class Answered(TypedDict):
    """A series of an answer: its labels, and its points as (Unix seconds, value as text)."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


def query_range(url: str, expression: str, start: int, end: int, step: int) -> list[Answered]:
    """What Prometheus answers."""
    body = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": step}).encode()
    with urllib.request.urlopen(f"{url}/api/v1/query_range", body, timeout=PATIENCE) as answer:
        found: list[Answered] = json.load(answer)["data"]["result"]
    return found


def _joined(parts: Sequence[Samples]) -> Samples:
    """In their order; an expression like `a or b` gives a series in parts that only differ by its name."""
    times, values = np.concatenate([times for times, _ in parts]), np.concatenate([values for _, values in parts])
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def _openmetrics(name: str, series: Mapping[Labels, Samples]) -> Iterator[str]:
    yield f"# TYPE {name} gauge\n"
    for labels, (times, values) in series.items():
        head = f"{name}{{{','.join(f'{label}={json.dumps(text)}' for label, text in labels)}}}"
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            yield f"{head} {value!r} {time:.0f}\n"
    yield "# EOF\n"
