"""A list of incidents, and what may be wrong with it."""

from pathlib import Path

import pytest

from exporter.rulegen import incidents
from exporter.rulegen.episodes import Incident
from toolkit.configfile import ConfigError

NOW = 1_790_000_000.0
"""2026-09-21T14:13:20Z"""


def _read(folder: Path, text: str) -> list[Incident]:
    path = folder / "incidents.csv"
    path.write_text(text)
    return incidents.read(path, ["orders", "queue"], NOW)


def test_rows_are_read_in_the_order_of_time_whatever_way_a_time_is_written(tmp_path: Path) -> None:
    text = "Start, end ,name,signal\n2026-09-02T10:00:00Z,2026-09-02T11:00:00Z,a deploy,orders\n\n1788000000,1788000600,,\n"
    assert _read(tmp_path, text) == [
        Incident(1_788_000_000.0, 1_788_000_600.0),
        Incident(1_788_343_200.0, 1_788_346_800.0, "orders", "a deploy"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "1:1: the first line has to be 'start,end'", id="empty"),
        pytest.param(
            "2026-09-02T10:00:00Z,2026-09-02T11:00:00Z\n",
            "1:1: the first line has to be 'start,end' (and, where known, 'signal,name')",
            id="no header",
        ),
        pytest.param(
            "start,signal\n1788000000,orders\n",
            "1:1: the first line names the columns, and 'end' is not among them",
            id="a column is missing",
        ),
        pytest.param(
            "start,end\n1788000000,2026-09-02T11:00:00\n",
            "2:1: end: '2026-09-02T11:00:00' has no zone; write it like 2026-11-13T02:45:00Z or 2026-11-13T02:45:00+01:00",
            id="a time without its zone",
        ),
        pytest.param("start,ende\n", "1:2: unknown column 'ende'; did you mean 'end'?", id="a column misspelt"),
        pytest.param("start,end\nsoon,1788000000\n", "2:1: start: 'soon' is no time", id="no time"),
        pytest.param("start,end\n1788000000,\n", "2:1: end: '' is no time", id="a time is missing"),
        pytest.param("start,end\n1788000600,1788000000\n", "are they exchanged?", id="ends before it starts"),
        pytest.param(
            "start,end\n2026-10-01T00:00:00Z,2026-10-01T01:00:00Z\n",
            "2:1: starts at 2026-10-01 00:00:00 UTC, which is still to come",
            id="in the future",
        ),
        pytest.param(
            "start,end,signal\n1788000000,1788000600,order\n",
            "2:1: no signal is named 'order'; did you mean 'orders'?",
            id="a signal that nobody has",
        ),
        pytest.param(
            "start,end\n1788000000,1788000600\n1788000300,1788000900\n",
            "3:1: overlaps with line 2: make one of them",
            id="two overlap",
        ),
        pytest.param(
            "start,end\n1788000000,1788009000\n1788000300,1788000900\n1788001000,1788001100\n",
            "4:1: overlaps with line 2",
            id="two lie in a long one",
        ),
        pytest.param("start,end\nnan,1788000600\n", "2:1: start: 'nan' is no time", id="a number that is none"),
        pytest.param("start,end\n1e300,2e300\n", "is no time", id="a number beyond all times"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, text)
    assert said in str(caught.value)


def test_incidents_of_different_signals_may_overlap(tmp_path: Path) -> None:
    text = "start,end,signal\n1788000000,1788000600,orders\n1788000300,1788000900,queue\n"
    assert len(_read(tmp_path, text)) == 2


def test_a_file_that_isnt_there_is_a_problem_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv:1:1: can't read the file"):
        incidents.read(tmp_path / "none.csv", [], NOW)
