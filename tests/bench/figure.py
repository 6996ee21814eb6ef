"""What a benchmark returns."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One figure: ours over the baseline's (`ratio`), the baseline's name, both in words, and whether a bar was missed."""

    name: str
    ratio: float | None
    baseline: str
    text: str
    missed: bool = False


@dataclass(frozen=True)
class Bench:
    """A named benchmark; `run` takes the folder of Prometheus and Alertmanager, and may show its progress itself."""

    name: str
    about: str
    run: Callable[[Path], Coroutine[None, None, Sequence[Figure]]]
    shows_progress: bool = False


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
