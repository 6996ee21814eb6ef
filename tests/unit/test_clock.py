import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.clock import format_duration, parse_duration, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("100ms", 0.1), ("1d", 86400), ("2w", 1209600), ("0s", 0)],
)
def test_a_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("digits", [12, 300, 400, 5000])
def test_a_duration_without_end_is_refused(digits: int) -> None:
    with pytest.raises(ValueError, match="292 years at most; write it like 30s"):
        parse_duration("9" * digits + "d")


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "1.5h", "-5m", "5min", "5m ", "\u0665m".replace("\u0665", "x")])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 30s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.4, "0s"), (59.6, "1m"), (75.2, "1m15s"), (3600, "1h"), (90061, "1d1h"), (-5, "0s")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**7))
def test_a_told_duration_is_a_duration_again_and_not_longer(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) <= seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("1970-01-01T01:00:00.123456789+01:00", 0.123456),
        ("2026-11-20T21:54:12.853Z", 1795211652.853),
    ],
)
def test_an_instant_of_go_is_read_to_the_microsecond(text: str, seconds: float) -> None:
    assert parse_rfc3339(text) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-20T21:54:12", "2026-13-01T00:00:00Z"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)
