"""What the local evaluation says of courses that people can follow; that it equals Prometheus's is shown elsewhere."""

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.rulegen.evaluate import Clock, Evaluation, Signal, evaluate
from exporter.rulegen.model import AHEAD, QUIET, STANDARD, STEP, Kind, Model, Sensitivity

START = 1_767_571_200
PER_DAY, PER_HOUR = 86_400 // STEP, 3600 // STEP
DAYS = 20
EVENT = 18 * PER_DAY + 12 * PER_HOUR
"""Noon of the 19th day."""


def _course(factor: float = 1.0, samples: int = PER_HOUR) -> NDArray[np.float64]:
    """A daily course with noise of 3 %; from EVENT on it is `factor` times itself."""
    chance, places = np.random.default_rng(1), np.arange(DAYS * PER_DAY)
    values = (2 + np.sin(places / PER_DAY * 2 * np.pi)) * chance.normal(1, 0.03, len(places))
    values[EVENT : EVENT + samples] *= factor
    return values


def _evaluated(values: NDArray[np.float64], kind: Kind = "count", sensitivity: Sensitivity = STANDARD) -> Evaluation:
    return evaluate(Signal(values, START), Model(kind, sensitivity=sensitivity))


def test_nothing_is_said_before_each_forecast_has_been_off_for_two_days() -> None:
    """The first day has none of the same hour; then come two days of misses, and the six hours that aren't learnt."""
    known = np.flatnonzero(~np.isnan(_evaluated(_course()).score))
    assert 3 * PER_DAY + 6 * PER_HOUR <= known[0] + PER_HOUR < 3 * PER_DAY + 12 * PER_HOUR


@pytest.mark.parametrize("by", [pytest.param(3600, id="to summer time"), pytest.param(-3600, id="to winter time")])
@pytest.mark.parametrize("days_ago", [pytest.param(days, id=f"{days} days ago") for days in (4, 10)])
def test_after_the_clocks_have_changed_the_same_hour_by_the_clock_is_normal(by: int, days_ago: int) -> None:
    places = np.arange(45 * PER_DAY)
    ago = (places - len(places) + days_ago * PER_DAY) * float(STEP)
    clock = Clock(np.where(ago >= 0, ago, np.inf), np.full(len(places), by))
    local = places + np.where(ago >= 0, by, 0) // STEP
    values = (2 + np.sin(local / PER_DAY * 2 * np.pi)) * np.random.default_rng(1).normal(1, 0.003, len(places))
    lead = AHEAD // STEP - 2  # what is normal is that of the hour around now; a level is that of the hour before
    off = [
        np.abs(found.normal[-PER_DAY - lead : -lead] - found.level[-PER_DAY:]).mean()
        for found in (evaluate(Signal(values, START, clock=one), Model("count")) for one in (clock, None))
    ]
    assert off[0] < 0.5 * off[1]


def test_the_usual_is_within_its_band() -> None:
    found = _evaluated(_course())
    late = slice(16 * PER_DAY, None)
    assert (found.lower[late] < found.normal[late]).all()
    assert (found.normal[late] < found.upper[late]).all()
    assert (found.score[late] > 1).mean() < 0.02


@pytest.mark.parametrize(
    ("factor", "side"), [pytest.param(0.4, "below", id="a drop"), pytest.param(2.5, "above", id="a surge")]
)
def test_what_leaves_its_band_scores_above_1_on_its_side(factor: float, side: str) -> None:
    found = _evaluated(_course(factor))
    at = EVENT + PER_HOUR - 1
    assert getattr(found, side)[at] > 1
    assert found.score[at] == getattr(found, side)[at]
    assert (found.below[at] if side == "above" else found.above[at]) < 0


def test_ten_minutes_tell_an_outage_sooner_than_an_hour() -> None:
    found = _evaluated(_course(0.0))
    assert found.fast_score[EVENT + 1] > 1
    assert found.below[EVENT + 1] < found.fast_score[EVENT + 1]


def test_only_counts_have_a_score_of_ten_minutes() -> None:
    assert np.isnan(_evaluated(_course(), "gauge").fast_score).all()


def test_quiet_has_a_wider_band() -> None:
    values = _course()
    standard, quiet = _evaluated(values), _evaluated(values, sensitivity=QUIET)
    late = slice(16 * PER_DAY, None)
    assert (quiet.upper[late] - quiet.lower[late] > standard.upper[late] - standard.lower[late]).all()


def test_an_anomaly_does_not_widen_its_band_for_six_hours() -> None:
    """A day at three times the usual, against the same without."""
    usual, off = _evaluated(_course(), "gauge"), _evaluated(_course(3.0, PER_DAY), "gauge")
    width, wider = usual.upper - usual.lower, off.upper - off.lower
    soon, later = EVENT + 5 * PER_HOUR, EVENT + 20 * PER_HOUR
    assert wider[soon] == pytest.approx(width[soon], rel=0.1)
    assert wider[later] > 2 * width[later]


def test_an_hour_without_a_value_a_week_ago_widens_nothing() -> None:
    whole, holed = _course(), _course()
    # so that weeks are summarised, at noon, with nothing from a week ago
    holed[EVENT - 7 * PER_DAY - 2 * PER_HOUR : EVENT - 7 * PER_DAY + 2 * PER_HOUR] = np.nan
    reached = [
        (found.upper - found.normal)[EVENT + PER_HOUR : EVENT + 6 * PER_HOUR].mean()
        for found in map(_evaluated, (whole, holed))
    ]
    assert reached[1] == pytest.approx(reached[0], rel=0.1)


def test_what_is_not_learnt_from_leaves_no_trace() -> None:
    values, off = _course(), _course(3.0, PER_DAY)
    learnt = np.ones(len(off), dtype=bool)
    learnt[EVENT : EVENT + PER_DAY + PER_HOUR] = False
    told = evaluate(Signal(off, START, learnt), Model("count"))
    clean = evaluate(Signal(values, START, learnt), Model("count"))
    after = EVENT + PER_DAY + 2 * PER_HOUR
    np.testing.assert_allclose(told.normal[after:], clean.normal[after:])
    np.testing.assert_allclose(told.upper[after:], clean.upper[after:])


def test_of_no_values_nothing_is_said() -> None:
    found = _evaluated(np.full(3 * PER_DAY, np.nan))
    assert np.isnan(found.score).all()


@pytest.mark.parametrize(
    ("monday", "unlearnt"),
    [
        pytest.param(42, [35, 28], id="two weeks of four are missing"),
        pytest.param(14, [], id="two weeks are all that is known"),
    ],
)
def test_a_mondays_normal_is_no_weekends_where(monday: int, unlearnt: list[int]) -> None:
    days = np.arange((monday + 1) * PER_DAY) // PER_DAY
    values = np.where(days % 7 >= 5, 0.4, 1.0) * np.random.default_rng(1).normal(1, 0.03, len(days))
    found = evaluate(Signal(values, START, learnt=~np.isin(days, unlearnt)), Model("count"))
    noon = slice(-PER_DAY // 2, None)
    assert np.abs(found.normal[noon] / found.level[noon] - 1).max() < 0.1
