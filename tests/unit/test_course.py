"""A value's course: its normal at this hour, since when it is off, the line and the chart; and the words for it."""

import io
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from receiver.enrichers.chart import HEIGHT, WIDTH, Picture, draw
from receiver.enrichers.course import (
    DAYS,
    SPAN_SECONDS,
    SPARKS,
    STEP_SECONDS,
    WINDOW_SECONDS,
    course,
    left_normal,
    sparkline,
)
from receiver.enrichers.expression import Threshold
from receiver.enrichers.wording import alerts, factor, number_in, wording
from toolkit.prometheus import Point

NOW = 1_795_000_123.0
DAY, HOUR = 86400.0, 3600.0
MOST_BYTES = 30_000


def points(value: Callable[[float], float], since: float = SPAN_SECONDS) -> list[Point]:
    """What a query over all of the time answers; `value` is asked with the seconds before NOW."""
    steps = int(min(since, SPAN_SECONDS) / STEP_SECONDS)
    return [(NOW - step * STEP_SECONDS, value(step * STEP_SECONDS)) for step in range(steps, -1, -1)]


def by_the_hour(ago: float) -> float:
    """A value that is its hour of the day."""
    return math.floor((NOW - ago) % DAY / HOUR)


def test_the_normal_is_that_of_this_hour_not_of_the_whole_day() -> None:
    found = course(
        points(lambda ago: 100 if round(ago) % DAY <= HOUR / 2 or round(ago) % DAY >= DAY - HOUR / 2 else 1), NOW
    )
    assert (found.normal, found.days) == (100, DAYS)


def test_the_trouble_itself_is_not_its_own_normal() -> None:
    assert course(points(lambda ago: 9 if ago < 20 * HOUR else 1), NOW).normal == 1


def test_a_bad_day_does_not_move_the_normal() -> None:
    assert course(points(lambda ago: 1000 if DAY / 2 < ago < 1.5 * DAY else 10), NOW).normal == 10


@pytest.mark.parametrize(("since", "days"), [(DAY, 1), (DAY * 0.9, 0), (0.0, 0)])
def test_what_is_younger_than_two_days_has_no_normal_yet(since: float, days: int) -> None:
    found = course(points(lambda _: 5, since), NOW)
    assert (found.normal, found.days) == (None, days)
    assert left_normal(found) is None


LEFT = [
    ("40 minutes ago", lambda ago: 9.0 if ago <= 2400 else 1.0, 2400),
    ("never, it is as always", lambda _: 1.0, None),
    ("before the course begins", lambda ago: 9.0 if ago < 5 * HOUR else 1.0, None),
    ("it came back meanwhile", lambda ago: 9.0 if 1200 < ago < 2400 else 1.0, None),
    ("after an earlier excursion", lambda ago: 9.0 if ago <= 600 or 3000 < ago < 5000 else 1.0, 600),
    ("with a gap in between", lambda ago: math.nan if 900 <= ago <= 1200 else 9.0 if ago <= 2400 else 1.0, 2400),
    ("a tenth more is chance", lambda ago: 1.09 if ago <= 2400 else 1.0, None),
    ("what was always 0 is not", lambda ago: 0.001 if ago <= 600 else 0.0, 600),
]


@pytest.mark.parametrize(("value", "ago"), [row[1:] for row in LEFT], ids=[row[0] for row in LEFT])
def test_when_it_left_its_normal(value: Callable[[float], float], ago: float | None) -> None:
    assert left_normal(course(points(value), NOW)) == (None if ago is None else NOW - ago)


def test_the_line_shows_the_last_hours_with_their_gaps() -> None:
    rising = sparkline(course(points(lambda ago: -ago), NOW).values)
    assert len(rising) == SPARKS
    assert (rising[0], rising[-1], rising) == ("▁", "█", "".join(sorted(rising)))
    assert sparkline(course(points(lambda _: 3), NOW).values) == "▄" * SPARKS
    half = sparkline(course(points(lambda ago: 3 + ago, WINDOW_SECONDS / 2), NOW).values)
    assert (half[: SPARKS // 2 - 1], "·" in half[SPARKS // 2 :]) == ("·" * (SPARKS // 2 - 1), False)
    assert sparkline(course([(NOW, 1.0)], NOW).values) == ""
    assert sparkline(course([], NOW).values) == ""


def picture(made: bytes) -> Image.Image:
    return Image.open(io.BytesIO(made)).convert("RGB")


def near(image: Image.Image, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    """The pixels of about this colour."""
    return [
        (x, y)
        for x in range(image.width)
        for y in range(image.height)
        if all(abs(a - b) < 6 for a, b in zip(image.getpixel((x, y)), colour, strict=True))  # type: ignore[arg-type]  # RGB
    ]


def test_the_chart_shows_value_band_threshold_and_start() -> None:
    found = course(points(lambda ago: 90 if ago <= 2400 else 8 + 4 * (ago % 900) / 900), NOW)
    made = draw(Picture(found, "", Threshold(">", 50), NOW - 1500))
    image = picture(made)
    assert (image.size, len(made) < MOST_BYTES) == ((WIDTH, HEIGHT), True)
    # below the plot is the legend
    plot = image.crop((0, 0, WIDTH, 199))
    value, band, limit, start = (
        near(plot, colour) for colour in ((31, 95, 191), (215, 234, 217), (192, 57, 43), (217, 119, 6))
    )
    assert min(len(part) for part in (value, band, limit, start)) > 20
    # the value rises above the threshold, and the band lies below it; the alert's line is a vertical one
    heights = [y for _, y in limit]
    assert min(y for _, y in value) < max(heights) < min(y for _, y in band)
    upright = [x for x, y in start if y > 60]
    assert max(upright) - min(upright) <= 2


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(st.tuples(st.integers(0, 100), numbers), max_size=60),
    st.none() | st.builds(Threshold, st.sampled_from([">", "<=", "=="]), st.floats(-1e299, 1e299)),
    st.sampled_from(["", "% of calls", "EUR"]),
)
def test_no_value_breaks_chart_or_words(
    given_points: list[tuple[int, float]], threshold: Threshold | None, unit: str
) -> None:
    found = course([(NOW - step * STEP_SECONDS, value) for step, value in given_points], NOW)
    made = draw(Picture(found, "%" if unit.startswith("%") else "", threshold, NOW - 600))
    assert bool(made) == (found.known > 1)
    assert len(made) < MOST_BYTES
    assert len(sparkline(found.values)) in {0, SPARKS}
    for _, value in given_points:
        wording(value, unit)
        factor(value, found.normal or 1.0)


@pytest.mark.parametrize("value", [0.0, -5.0, 1e-300, 1e299, -1e299])
def test_a_value_that_never_moves_is_drawn(value: float) -> None:
    assert len(draw(Picture(course(points(lambda _: value), NOW), "%", Threshold(">", value), NOW))) < MOST_BYTES


def test_times_that_are_none_are_left_out() -> None:
    assert course([(math.inf, 1.0), (math.nan, 1.0), (-1e300, 1.0), (NOW + DAY, 1.0)], NOW).known == 0


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "normal", "words"),
    [
        (62, 10, "6.2 times its normal"),
        (10, 31, "3.1 times below its normal"),
        (310, 10, "31 times its normal"),
        (9970, 100, "100 times its normal"),
        (1e9, 1, "more than 1,000 times its normal"),
        (1, 1e9, "more than 1,000 times below its normal"),
        (1e-300, 1e300, "more than 1,000 times below its normal"),
        (1e300, 1e-300, "more than 1,000 times its normal"),
        (-1e-300, -1e300, "more than 1,000 times below its normal"),
        (-1e-300, 1e-300, ""),
        (10.5, 10, "near its normal"),
        (10, 10, "at its normal"),
        (0, 10, "fallen to 0"),
        (0, 0, "at its normal"),
        (5, 0, ""),
        (-5, 5, ""),
        (-50, -5, "10 times its normal"),
    ],
)
def test_how_far_a_value_is_from_its_normal(value: float, normal: float, words: str) -> None:
    assert factor(value, normal) == words


@pytest.mark.parametrize(
    ("words", "number"),
    [("0", 0), ("0.5 % of calls", 0.5), ("5%", 5), ("1,200 a minute", 1200), ("-3 EUR", -3), ("below 24 h", None), ("3-5 a minute", None), ("", None), ("5m", None)],
)  # fmt: skip
def test_the_number_that_words_begin_with(words: str, number: float | None) -> None:
    assert number_in(words) == number


@pytest.mark.parametrize(
    ("comparison", "unit", "words"),
    [
        (">", "% of calls", "alerts above 5 % of calls"),
        (">=", "", "alerts from 0.05 up"),
        ("<", "", "alerts below 0.05"),
        ("<=", "", "alerts from 0.05 down"),
        ("==", "", "alerts at 0.05"),
        ("!=", "", "alerts when not 0.05"),
    ],
)
def test_a_threshold_is_told_in_words(comparison: str, unit: str, words: str) -> None:
    assert alerts(Threshold(comparison, 0.05), unit) == words
