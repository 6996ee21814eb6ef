"""Prometheus's functions over ranges, on arrays: what they give, beside the same said plainly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.rulegen import sliding

Values = NDArray[np.float64]
NAN = float("nan")


def _series(gaps: float) -> Values:
    chance = np.random.default_rng(3)
    values = chance.normal(size=3000)
    values[chance.random(3000) < gaps] = NAN
    values[500:1400] = NAN
    return values


def _window(values: Values, width: int, end: int) -> Values:
    window = values[max(0, end - width + 1) : end + 1] if end >= 0 else values[:0]
    return window[~np.isnan(window)]


@pytest.mark.parametrize(
    ("width", "hop", "quantile"),
    [
        pytest.param(1000, 36, 0.99, id="windows that share most of their samples"),
        pytest.param(1000, 36, 0.7, id="a quantile that needs many of the highest"),
        pytest.param(100, 36, 0.99, id="windows that share little"),
        pytest.param(400, 1, 0.995, id="a window for each sample"),
        pytest.param(2900, 36, 0.99, id="windows that begin before the samples"),
    ],
)
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_quantiles_are_those_of_each_window_alone(width: int, hop: int, quantile: float, gaps: float) -> None:
    values = _series(gaps)
    ends = np.arange(-50, len(values) + 20, hop)
    for found, share in (
        (sliding.high_quantile(values, quantile, width, ends), quantile),
        (-sliding.high_quantile(-values, quantile, width, ends), 1 - quantile),
    ):
        windows = [_window(values, width, end) for end in ends.tolist()]
        expected = [np.quantile(window, share) if len(window) else NAN for window in windows]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_means_and_counts_leave_out_what_is_missing() -> None:
    values = np.array([1.0, NAN, 3.0, NAN, NAN, NAN, 8.0])
    ends = np.arange(len(values))
    np.testing.assert_array_equal(sliding.mean(values, 3, ends), [1.0, 1.0, 2.0, 3.0, 3.0, NAN, 8.0])
    np.testing.assert_array_equal(sliding.count(values, 3, ends), [1, 1, 2, 1, 1, 0, 1])


def test_the_median_is_of_the_rows_that_have_a_value() -> None:
    rows = np.array([[1.0, NAN, NAN], [5.0, 4.0, NAN], [2.0, 6.0, NAN]])
    np.testing.assert_array_equal(sliding.median(rows), [2.0, 5.0, NAN])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, [1.0, 2.0, 3.0]), (1, [NAN, 1.0, 2.0]), (3, [NAN, NAN, NAN]), (9, [NAN, NAN, NAN])],
)
def test_an_offset_looks_back_and_finds_nothing_before_the_first(steps: int, expected: list[float]) -> None:
    np.testing.assert_array_equal(sliding.before(np.array([1.0, 2.0, 3.0]), steps), expected)


def test_of_no_windows_there_is_nothing() -> None:
    assert len(sliding.high_quantile(np.ones(5), 0.99, 3, np.empty(0, dtype=np.int64))) == 0
