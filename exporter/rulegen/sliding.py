"""Prometheus's functions over a range, on samples in even steps: NaN is no sample. Pure."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.int64]
TOGETHER = 8
"""So many windows share the sorting of what they have in common."""
NOTHING = -np.inf
"""Stands for no sample where the highest are looked for."""


def before(values: Values, steps: int) -> Values:
    """`offset`: each place has what was `steps` earlier."""
    if steps == 0:
        return values
    shifted = np.full_like(values, np.nan)
    shifted[steps:] = values[: len(values) - steps] if steps < len(values) else values[:0]
    return shifted


def median(rows: Values) -> Values:
    """`quantile(0.5, ...)` over the first axis; NaN where no row has a value."""
    ordered = np.sort(rows, axis=0)  # NaN sorts last
    return _picked(ordered, np.count_nonzero(~np.isnan(rows), axis=0), 0.5)


def _picked(ordered: Values, counts: Places, quantile: float) -> Values:
    """The quantile of the first `counts` values of each ascending column, as Prometheus interpolates it."""
    rank = quantile * (counts - 1.0)
    low = np.maximum(np.floor(rank), 0).astype(np.int64)
    high = np.maximum(np.minimum(low + 1, counts - 1), 0)
    weight = rank - np.floor(rank)
    picked = np.take_along_axis(ordered, np.stack((low, high)), axis=0)
    return np.where(counts > 0, picked[0] * (1 - weight) + picked[1] * weight, np.nan)


def mean(values: Values, width: int, ends: Places) -> Values:
    """`avg_over_time` of the `width` samples up to each of `ends`, which are evenly spaced and ascending."""
    counts = count(values, width, ends)
    sums = _windows(np.where(np.isnan(values), 0.0, values), width, ends, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def count(values: Values, width: int, ends: Places) -> Places:
    """`count_over_time` of the `width` samples up to each of `ends`; 0 where Prometheus has no sample."""
    known = np.concatenate(([0], np.cumsum(~np.isnan(values))))
    last = len(values)
    counts: Places = known[np.clip(ends + 1, 0, last)] - known[np.clip(ends + 1 - width, 0, last)]
    return counts


def high_quantile(values: Values, quantile: float, width: int, ends: Places) -> Values:
    """`quantile_over_time` of the `width` samples up to each of `ends`, which are evenly spaced and ascending.

    `quantile` is near 1. Neighbouring windows differ only at their edges, so the highest of what they share are found
    once, and each adds its own edges to them.
    """
    hop = _hop(ends)
    edge = hop * (TOGETHER - 1)
    most = int(np.ceil((1 - quantile) * (width - 1))) + 2
    known = np.where(np.isnan(values), NOTHING, values)
    if most > width - edge:
        highest = _windows(known, width, ends, NOTHING)
    else:
        firsts = ends[::TOGETHER]
        shared = _highest(_windows(known, width - edge, firsts, NOTHING), most)
        around = _windows(known, width + edge, firsts + edge, NOTHING)
        turns = [_turn(shared, around[:, :edge], around[:, width:], hop * turn) for turn in range(TOGETHER)]
        highest = np.stack(turns, axis=1).reshape(-1, most)[: len(ends)]
    return _top(highest, count(values, width, ends), quantile)


def _turn(shared: Values, left: Values, right: Values, gone: int) -> Values:
    """The highest of windows that have left `gone` samples of the left edge behind, for as many of the right one."""
    return _highest(np.concatenate((shared, left[:, gone:], right[:, :gone]), axis=1), shared.shape[1])


def _highest(windows: Values, most: int) -> Values:
    """The highest `most` of each row, in no order."""
    return np.partition(windows, windows.shape[1] - most, axis=1)[:, -most:]


def _top(highest: Values, counts: Places, quantile: float) -> Values:
    """The quantile of rows that hold `counts` samples, of which at least the highest are here."""
    falling = -np.sort(-highest, axis=1)
    rank = quantile * (counts - 1.0)
    low = np.maximum(np.floor(rank), 0).astype(np.int64)
    high = np.maximum(np.minimum(low + 1, counts - 1), 0)
    weight = rank - np.floor(rank)
    from_top = np.clip(np.stack((counts - 1 - low, counts - 1 - high), axis=1), 0, falling.shape[1] - 1)
    picked = np.where(counts[:, None] > 0, np.take_along_axis(falling, from_top, axis=1), np.nan)
    found: Values = picked[:, 0] * (1 - weight) + picked[:, 1] * weight
    return found


def _windows(values: Values, width: int, ends: Places, missing: float) -> Values:
    """A view with a row for each of `ends`, which may lie before or beyond the values: the `width` samples up to it."""
    ahead = width + max(0, -int(ends.min(initial=0)))
    after = max(0, int(ends.max(initial=0)) + 1 - len(values))
    padded = np.pad(values, (ahead, after), constant_values=missing)
    first = int(ends[0]) + 1 + ahead - width if len(ends) else 0
    return sliding_window_view(padded, width)[first :: _hop(ends)][: len(ends)]


def _hop(ends: Places) -> int:
    return int(ends[1] - ends[0]) if len(ends) > 1 else 1
