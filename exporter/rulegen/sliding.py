"""Prometheus's functions over a range, on samples in even steps: NaN is no sample. Pure."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.int64]
TOGETHER = 8
"""So many windows share the sorting of what they have in common."""


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
    """`avg_over_time` of the `width` samples up to each of `ends`."""
    windows = _windows(values, width, ends)
    present = ~np.isnan(windows)
    counts = np.count_nonzero(present, axis=1)
    return np.where(counts > 0, np.where(present, windows, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)


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
    if not len(ends):
        return np.empty(0)
    hop = int(ends[1] - ends[0]) if len(ends) > 1 else 1
    edge = hop * (TOGETHER - 1)
    most = int(np.ceil((1 - quantile) * (width - 1))) + 2
    if most > width - edge:
        return _top(_windows(values, width, ends), count(values, width, ends), quantile)
    firsts = ends[::TOGETHER]
    shared = _highest(_windows(values, width - edge, firsts), most)
    edges = _windows(values, width + edge, firsts + edge)
    left, right = edges[:, :edge], edges[:, width:]
    places = np.arange(edge)
    found = []
    for turn in range(TOGETHER):
        own = np.where(places >= turn * hop, left, -np.inf), np.where(places < turn * hop, right, -np.inf)
        found.append(_highest(np.concatenate((shared, *own), axis=1), most))
    highest = np.stack(found, axis=1).reshape(-1, most)[: len(ends)]
    return _top(highest, count(values, width, ends), quantile)


def low_quantile(values: Values, quantile: float, width: int, ends: Places) -> Values:
    """The same for a `quantile` near 0."""
    return -high_quantile(-values, 1 - quantile, width, ends)


def _highest(windows: Values, most: int) -> Values:
    """The highest `most` of each row, in no order; -Inf stands for what is missing."""
    known = np.where(np.isnan(windows), -np.inf, windows)
    return np.partition(known, known.shape[1] - most, axis=1)[:, -most:]


def _top(highest: Values, counts: Places, quantile: float) -> Values:
    """The quantile of rows of which at least their highest values are here."""
    falling = -np.sort(-np.where(np.isnan(highest), -np.inf, highest), axis=1)
    rank = quantile * (counts - 1.0)
    low = np.maximum(np.floor(rank), 0).astype(np.int64)
    high = np.maximum(np.minimum(low + 1, counts - 1), 0)
    weight = rank - np.floor(rank)
    from_top = np.clip(np.stack((counts - 1 - low, counts - 1 - high), axis=1), 0, falling.shape[1] - 1)
    picked = np.take_along_axis(falling, from_top, axis=1)
    # an infinity that stands for nothing is never picked where counts > 0
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, picked[:, 0] * (1 - weight) + picked[:, 1] * weight, np.nan)


def _windows(values: Values, width: int, ends: Places) -> Values:
    """A row for each of `ends`, which may lie beyond the values: the `width` samples up to it."""
    ahead = width + max(0, -int(ends.min(initial=0)))
    after = max(0, int(ends.max(initial=0)) + 1 - len(values))
    padded = np.pad(values, (ahead, after), constant_values=np.nan)
    rows: Values = sliding_window_view(padded, width)[ends + 1 + ahead - width]
    return rows
