"""What the dashboards' pictures are made of: numbers in words, settings that match, rows that join, round axes."""

import math
from typing import Any

import pytest

from tests.support.drawing.answers import Row, Span, merged
from tests.support.drawing.axes import ticks, times
from tests.support.drawing.fields import COLOURS, field_of
from tests.support.drawing.units import shown

NOW = 1_700_000_000.0

NUMBERS = [
    ("a count", 1234.0, "none", None, "1,234"),
    ("a small number keeps three digits", 0.01234, "none", None, "0.0123"),
    ("decimals as asked for", 2.0, "none", 1, "2.0"),
    ("a share", 0.423, "percentunit", 0, "42 %"),
    ("a suffix", 12.5, "suffix: /min", 1, "12.5 /min"),
    ("milliseconds", 0.0312, "s", None, "31.2 ms"),
    ("minutes", 90.0, "s", None, "1.5 min"),
    ("days as seconds", 2.7 * 86400, "s", 1, "2.7 d"),
    ("no time at all", 0.0, "s", None, "0 s"),
    ("days as days", 6.0, "d", 0, "6 d"),
    ("bytes", 3 * 1024.0**2, "bytes", None, "3 MiB"),
    ("a time that has been", 1000 * (NOW - 3 * 3600), "dateTimeFromNow", None, "3 hours ago"),
    ("a time to come", 1000 * (NOW + 86400), "dateTimeFromNow", None, "in 1 day"),
    ("no number", math.nan, "s", None, "\u2013"),
    ("without end", math.inf, "none", None, "\u221e"),
]


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "said"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS]
)
def test_a_value_is_said(value: float, unit: str, decimals: int | None, said: str) -> None:
    assert shown(value, unit, decimals, NOW) == said


CONFIG: dict[str, Any] = {
    "defaults": {
        "unit": "none",
        "custom": {"lineWidth": 2},
        "thresholds": {"steps": [{"color": "green", "value": None}, {"color": "red", "value": 1}]},
    },
    "overrides": [
        {"matcher": {"id": "byName", "options": "Since"}, "properties": [{"id": "unit", "value": "s"}]},
        {
            "matcher": {"id": "byRegexp", "options": "/ minimum$/"},
            "properties": [{"id": "custom.lineWidth", "value": 1}],
        },
        {"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": [{"id": "decimals", "value": 0}]},
    ],
}


def test_an_override_holds_for_the_fields_that_it_matches_alone() -> None:
    plain = field_of(CONFIG, "checkouts")
    assert (plain["unit"], plain["custom.lineWidth"], plain["decimals"]) == ("none", 2, None)
    assert field_of(CONFIG, "Since")["unit"] == "s"
    assert field_of(CONFIG, "checkouts minimum")["custom.lineWidth"] == 1
    assert field_of(CONFIG, "checkouts", "B")["decimals"] == 0


def test_a_threshold_colours_from_its_value_on() -> None:
    field = field_of(CONFIG, "checkouts")
    assert [field.colour(value) for value in (0.99, 1.0)] == [COLOURS["green"], COLOURS["red"]]


MERGES: list[tuple[str, list[list[Row]], list[Row]]] = [
    (
        "rows of one key become one",
        [[{"slo": "a", "Value #A": 1.0}, {"slo": "b", "Value #A": 2.0}], [{"slo": "b", "Value #B": 3.0}]],
        [{"slo": "a", "Value #A": 1.0}, {"slo": "b", "Value #A": 2.0, "Value #B": 3.0}],
    ),
    (
        "what only some answers know is added",
        [[{"card": "x", "owner": "finance", "Value #A": 1.0}], [{"card": "x", "provider": "mail", "Value #B": 2.0}]],
        [{"card": "x", "owner": "finance", "provider": "mail", "Value #A": 1.0, "Value #B": 2.0}],
    ),
    (
        "rows that contradict each other stay apart",
        [[{"provider": "mail", "plan": "a", "Value #A": 1.0}], [{"provider": "mail", "plan": "b", "Value #B": 2.0}]],
        [{"provider": "mail", "plan": "a", "Value #A": 1.0}, {"provider": "mail", "plan": "b", "Value #B": 2.0}],
    ),
    ("no answer, no row", [], []),
]


@pytest.mark.parametrize(("frames", "rows"), [row[1:] for row in MERGES], ids=[row[0] for row in MERGES])
def test_answers_are_joined_to_one_table(frames: list[list[Row]], rows: list[Row]) -> None:
    assert merged(frames) == rows


AXES = [
    ("round numbers that enclose the values", 0.0, 37.0, "none", [0, 10, 20, 30, 40]),
    ("below nought too", -2.0, 93.0, "none", [-50, 0, 50, 100]),
    ("seconds go by minutes", 0.0, 900.0, "s", [0, 300, 600, 900]),
    ("bytes go by their own thousands", 0.0, 100 * 1024.0**2, "bytes", [n * 50 * 1024.0**2 for n in range(3)]),
    ("a course that never moves", 5.0, 5.0, "none", [5.0, 5.5]),
]


@pytest.mark.parametrize(("low", "high", "unit", "wanted"), [row[1:] for row in AXES], ids=[row[0] for row in AXES])
def test_an_axis_has_round_values(low: float, high: float, unit: str, wanted: list[float]) -> None:
    assert ticks(low, high, unit) == pytest.approx(wanted)


def test_times_stand_at_round_hours() -> None:
    midnight = 1_700_006_400.0
    assert list(times(Span(midnight - 60, midnight + 6 * 3600 + 60)))[:2] == [
        (midnight, "00:00"),
        (midnight + 3600, "01:00"),
    ]
