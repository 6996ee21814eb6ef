"""Episodes of an alert, and how they meet incidents."""

import math

import numpy as np
import pytest

from exporter.rulegen.episodes import Episode, Incident, Judged, episodes, firing, judge

STEP = 300.0


def _episodes(course: str, hold: float = 0.0, keep: float = 0.0) -> list[Episode]:
    """`course`: # where the expression is true, an evaluation each."""
    times = STEP * np.arange(len(course), dtype=np.float64)
    scores = np.array([float(place) for place in range(len(course))])
    return episodes(times, np.array([one == "#" for one in course]), scores, hold, keep)


@pytest.mark.parametrize(
    ("course", "hold", "keep", "expected"),
    [
        pytest.param("......", 0, 0, [], id="what is never true is never told"),
        pytest.param(".##...", 0, 0, [(1, 3, True)], id="it is resolved at the first evaluation that isn't true"),
        pytest.param(".###..", 2, 0, [(3, 4, True)], id="it waits for as long as for says"),
        pytest.param(".##...", 2, 0, [], id="what is too short isn't told"),
        pytest.param(".#.#.#", 0, 3, [(1, 5, False)], id="a gap that is shorter than it is kept is none"),
        pytest.param(".#....#.", 0, 3, [(1, 5, True), (6, 7, False)], id="a longer gap makes two of it"),
        pytest.param(".#...##.", 0, 3, [(1, 7, False)], id="true again at the evaluation that would resolve it"),
        pytest.param("...#", 0, 0, [(3, 3, False)], id="what is true at the end still fires"),
        pytest.param("##...##.", 1, 1, [(1, 3, True), (6, 7, False)], id="once resolved it waits anew"),
    ],
)
def test_an_alerts_course(course: str, hold: int, keep: int, expected: list[tuple[int, int, bool]]) -> None:
    found = _episodes(course, hold * STEP, keep * STEP)
    assert [(one.start / STEP, one.end / STEP, one.is_over) for one in found] == expected


def test_an_episodes_peak_is_the_highest_score_while_its_expression_was_true() -> None:
    assert [one.peak for one in _episodes(".##..#..", keep=600.0)] == [5.0]


def test_without_a_score_there_is_no_peak() -> None:
    [found] = episodes(
        STEP * np.arange(3, dtype=np.float64), np.array([False, True, False]), np.full(3, np.nan), 0.0, 0.0
    )
    assert math.isnan(found.peak)


def test_an_alert_fires_until_it_is_resolved_and_to_the_end_where_it_isnt() -> None:
    found = _episodes(".##..#")
    assert firing(STEP * np.arange(6, dtype=np.float64), found).tolist() == [False, True, True, False, False, True]


INCIDENT = Incident(1000.0, 2000.0)


@pytest.mark.parametrize(
    ("starts", "true", "found", "delays"),
    [
        pytest.param([1200.0], 1, 1, [200.0], id="told during it"),
        pytest.param([2500.0], 1, 1, [1500.0], id="told soon after it"),
        pytest.param([2700.0], 0, 0, [], id="told too late"),
        pytest.param([950.0], 1, 1, [0.0], id="still firing when it begins: there is no delay"),
        pytest.param([500.0], 0, 0, [], id="resolved before it begins"),
        pytest.param([1200.0, 1600.0], 2, 1, [200.0], id="told twice: the first counts"),
    ],
)
def test_episodes_of_100_seconds_meet_an_incident(
    starts: list[float], true: int, found: int, delays: list[float]
) -> None:
    told = [Episode(start, start + 100, 2.0) for start in starts]
    judged = judge(told, [INCIDENT], 604_800.0, 600.0)
    assert (judged.true_episodes, judged.found, list(judged.delays)) == (true, found, delays)


def test_figures_of_a_judgement() -> None:
    judged = Judged(5, 3, 4, 2, (60.0, 120.0), 4.0) + Judged(1, 1, 1, 1, (600.0,), 4.0)
    assert judged.precision == 4 / 6
    assert judged.recall == 3 / 5
    assert judged.noise == 2 / 8
    assert judged.delay_median == 120.0
    assert judged.delay_p75 == 600.0


def test_without_anything_there_are_no_shares() -> None:
    judged = judge([], [], 0.0, 0.0)
    assert (judged.precision, judged.recall, judged.noise, judged.delay_median) == (None, None, 0.0, None)
