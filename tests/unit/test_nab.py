"""The score of labelled anomalies, and when an alert begins to fire."""

from pathlib import Path

import numpy as np
import pytest

from tests.bench.nab.corpus import Labelled, load
from tests.bench.nab.onsets import onsets
from tests.bench.nab.score import tally, total

SERIES = Labelled("some/series.csv", 300 * np.arange(1000, dtype=np.float64), np.zeros(1000), [(400, 499), (700, 799)])


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        pytest.param([], 0.0, id="silence is 0"),
        pytest.param([400, 700], 100.0, id="both windows at their first row are 100"),
        pytest.param([400, 401, 499, 700], 100.0, id="more in a window adds nothing"),
        pytest.param([450, 750], 92.99, id="half a window late costs little"),
        pytest.param([400], 50.0, id="one of two"),
        pytest.param([499], 25.63, id="at a window's last row it is worth next to nothing, but not missed"),
        pytest.param([399], -2.75, id="a row too early is a false alarm at full cost"),
        pytest.param([500], -0.07, id="just after a window costs next to nothing"),
        pytest.param([600], -2.71, id="a window's width later it costs nearly all"),
        pytest.param([100], 0.0, id="what is said in probation doesn't count"),
    ],
)
def test_a_detection_earns_by_where_it_lies(rows: list[int], score: float) -> None:
    assert tally(SERIES, rows).score == pytest.approx(score, abs=0.01)


def test_a_corpus_is_scored_as_one() -> None:
    both = total([tally(SERIES, [400]), tally(SERIES, [700, 600])])
    assert (both.windows, both.found, both.true, both.false) == (4, 2, 2, 1)
    assert both.precision == pytest.approx(2 / 3)
    assert both.recall == 0.5
    assert both.noise == pytest.approx(1 / (2 * 849 * 300 / 604_800))


@pytest.mark.parametrize(
    ("course", "hold", "keep", "expected"),
    [
        pytest.param("..###..", 0, 0, [2], id="at once"),
        pytest.param("..###..", 2, 0, [4], id="after it held for two steps"),
        pytest.param("..###..", 3, 0, [], id="never when it doesn't hold"),
        pytest.param(".#..#...#", 0, 2, [1, 8], id="kept firing over a short pause, not over a longer"),
        pytest.param(".###.#..", 2, 3, [3], id="what keeps it firing need not hold again"),
        pytest.param("..##", 1, 0, [3], id="at the end"),
    ],
)
def test_an_alert_begins_once_for_each_episode(course: str, hold: int, keep: int, expected: list[int]) -> None:
    assert onsets(np.array([one == "#" for one in course]), hold, keep) == expected


def test_the_corpus_is_read_with_its_windows_as_rows(tmp_path: Path) -> None:
    folder = tmp_path / "kind"
    folder.mkdir()
    rows = [f"2026-01-05 00:{minute:02d}:00,{minute}" for minute in range(0, 60, 5)]
    (folder / "some.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    (tmp_path / "windows.json").write_text(
        '{"kind/some.csv": [["2026-01-05 00:10:00.000000", "2026-01-05 00:20:00.000000"]]}'
    )
    (series,) = load(tmp_path)
    assert (series.family, series.windows, series.probation) == ("kind", [(2, 4)], 1)
    assert series.times[0] == 1_767_571_200
    assert series.rows_at(np.array([1_767_571_200 + 301.0, 0.0])).tolist() == [1, 0]
