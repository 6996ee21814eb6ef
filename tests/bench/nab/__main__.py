"""Scores detectors on labelled anomalies, their rules evaluated by a real Prometheus.

    python -m tests.bench.nab --binaries FOLDER --nab FOLDER

`--binaries` has prometheus and promtool, `--nab` the labelled series (see corpus.py). Each series is moved by whole
weeks, so that all begin in the same one. What counts is the onset: an alert counts when it begins to fire, and is kept
firing for 6 hours, whichever detector's it is.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from exporter.rulegen.evaluate import Signal, evaluate
from exporter.rulegen.model import QUIET, STANDARD, STEP, Model
from tests.bench.nab.corpus import WEEK, Labelled, load
from tests.bench.nab.detectors import SOURCE, Detector, detectors
from tests.bench.nab.onsets import onsets
from tests.bench.nab.score import Tally, tally, total
from tests.support.binaries import version
from tests.support.replay import Labels, Replay, Samples

START = 1_767_571_200
"""The week into which every series is moved: Monday, 5 January 2026."""
FACTORS = np.exp(np.linspace(np.log(0.4), np.log(4.0), 70))
"""Of the shipped threshold: what the best one is looked for among."""
QUIET_NOISE = 0.22
MOST_NOISE = 0.65


@dataclass(frozen=True)
class Moved:
    """A series on the grid of evaluations: `start` is the first, `shift` what was added to its times."""

    series: Labelled
    shift: int
    start: int
    size: int

    @classmethod
    def of(cls, series: Labelled) -> "Moved":
        """By whole weeks, into the week from START."""
        shift = -((int(series.times.min()) - START) // WEEK) * WEEK
        first = -(-(int(series.times.min()) + shift) // STEP) * STEP
        return cls(series, shift, first, (int(series.times.max()) + shift - first) // STEP + 2)

    @property
    def end(self) -> int:
        """The last evaluation."""
        return self.start + (self.size - 1) * STEP

    def on_grid(self, samples: Samples) -> NDArray[np.float64]:
        """Recorded samples, NaN where there are none."""
        values = np.full(self.size, np.nan)
        places = ((samples[0] - self.start) // STEP).astype(np.int64)
        kept = (places >= 0) & (places < self.size)
        values[places[kept]] = samples[1][kept]
        return values

    def rows(self, places: Sequence[int]) -> list[int]:
        """The newest row at each of these evaluations."""
        moments = self.start + STEP * np.asarray(places, dtype=np.float64) - self.shift
        return [int(row) for row in self.series.rows_at(moments)]


Scores = Sequence[NDArray[np.float64]]
"""A detector's score of each series."""


def judged(corpus: Sequence[Moved], scores: Scores, detector: Detector, threshold: float) -> list[Tally]:
    """Each series' tally, with an alert above `threshold`."""
    hold, keep = int(detector.hold) // STEP, int(detector.keep) // STEP
    return [
        tally(moved.series, moved.rows(onsets(score > threshold, hold, keep)))
        for moved, score in zip(corpus, scores, strict=True)
    ]


def main() -> int:
    """Prints the table; 1 where a bar was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--nab", type=Path, required=True)
    arguments = parser.parse_args()
    corpus = [Moved.of(series) for series in load(arguments.nab)]
    # a table that is read in a log needs its width more than a terminal's edge
    compared, console = detectors(), Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        replay = Replay(arguments.binaries, Path(folder), START, max(moved.end for moved in corpus))
        found = _evaluated(replay, corpus, compared, progress)
    server = version(arguments.binaries / "prometheus")
    console.print(_table(corpus, compared, found, f"{len(corpus)} series, Prometheus {server}"))
    return 0 if _told(console, corpus, compared, found) else 1


def _evaluated(
    replay: Replay, corpus: Sequence[Moved], compared: Sequence[Detector], progress: Progress
) -> list[Scores]:
    rules = [rule for detector in compared for rule in detector.rules]
    task = progress.add_task("stored", total=len(rules))
    replay.store(SOURCE, {_labels(moved): _stored(moved) for moved in corpus})
    wanted = [(detector.score, detector.signal) for detector in compared] + [("signal:value", "standard")]
    names = {name for name, _ in wanted}
    kept = replay.record(rules, sorted(names), lambda name: progress.update(task, advance=1, description=name))
    return [_scores(corpus, kept[name], signal) for name, signal in wanted]


def _stored(moved: Moved) -> Samples:
    times, values = moved.series.samples()
    return times + moved.shift, values


def _labels(moved: Moved) -> Labels:
    return (("series", moved.series.name),)


def _scores(corpus: Sequence[Moved], series: Mapping[Labels, Samples], signal: str) -> Scores:
    own = {labels["series"]: samples for labels, samples in _named(series) if labels.get("signal", "") == signal}
    nothing = np.empty(0), np.empty(0)
    return [moved.on_grid(own.get(moved.series.name, nothing)) for moved in corpus]


def _named(series: Mapping[Labels, Samples]) -> Iterator[tuple[dict[str, str], Samples]]:
    for labels, samples in series.items():
        yield dict(labels), samples


def _table(corpus: Sequence[Moved], compared: Sequence[Detector], found: Sequence[Scores], title: str) -> Table:
    table = Table(title=title)
    for heading in ("detector", "threshold", "score", "precision", "recall", "false alarms per series-week"):
        table.add_column(heading, justify="left" if heading in {"detector", "threshold"} else "right")
    for detector, scores in zip(compared, found, strict=False):
        thresholds = [detector.shipped, *(float(factor) * detector.shipped for factor in FACTORS)]
        choices = {threshold: total(judged(corpus, scores, detector, threshold)) for threshold in thresholds}
        best = max(choices, key=lambda threshold: choices[threshold].score)
        table.add_row(detector.name, f"{best:.3g}, the best on these series", *_figures(choices[best]))
        table.add_row("", f"{detector.shipped:.3g}, as shipped", *_figures(choices[detector.shipped]))
        calm = [one for one in choices.values() if one.noise <= QUIET_NOISE]
        if calm:
            table.add_row(
                "", f"noise at most {QUIET_NOISE}", *_figures(max(calm, key=lambda one: one.recall)), end_section=True
            )
    return table


def _figures(found: Tally) -> list[str]:
    return [f"{found.score:.1f}", f"{found.precision:.2f}", f"{found.recall:.3f}", f"{found.noise:.2f}"]


def _told(console: Console, corpus: Sequence[Moved], compared: Sequence[Detector], found: Sequence[Scores]) -> bool:
    """Says how far the local evaluation is from the server's, and whether the bars are met."""
    apart = 0.0
    for detector, scores, sensitivity in zip(compared[-2:], found[-3:-1], (STANDARD, QUIET), strict=True):
        for moved, values, score in zip(corpus, found[-1], scores, strict=True):
            local = evaluate(Signal(values, moved.start), Model("gauge", sensitivity=sensitivity)).score
            apart = max(apart, _apart(local, score))
            if _apart(local, score) > 1e-9:
                console.print(f"{detector.name}, {moved.series.name}: {_apart(local, score):.3g} apart")
    console.print(f"The local evaluation is at most {apart:.2g} from the server's.")
    standard, quiet = (
        total(judged(corpus, scores, detector, detector.shipped))
        for detector, scores in zip(compared[-2:], found[-3:-1], strict=True)
    )
    met = standard.score >= 68 and standard.noise <= MOST_NOISE and quiet.recall >= 0.70 and quiet.noise <= QUIET_NOISE
    console.print(
        f"The bars (68 at {MOST_NOISE}; recall 0.70 at {QUIET_NOISE}) are {'met' if met else 'missed'} as shipped."
    )
    return met


def _apart(local: NDArray[np.float64], server: NDArray[np.float64]) -> float:
    """The largest relative difference; Inf where one has a sample and the other none."""
    if (np.isnan(local) != np.isnan(server)).any():
        return float("inf")
    return float(np.nanmax(np.abs(local - server) / np.maximum(np.abs(server), 1.0), initial=0.0))


if __name__ == "__main__":
    sys.exit(main())
