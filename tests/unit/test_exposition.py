"""Our writer against prometheus-client's: the same families, read back by its parsers."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.exposition import Family, line, lines, render, series

# prometheus-client's parser takes a carriage return and its like for the end of a line; Prometheus doesn't
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
VALUES = st.floats(allow_nan=False) | st.integers(min_value=-(2**53), max_value=2**53).map(float)


@given(label=TEXT, about=TEXT, value=VALUES)
def test_what_we_write_is_read_as_what_prometheus_client_writes(label: str, about: str, value: float) -> None:
    registry = CollectorRegistry()
    Gauge("g", about, ["l"], registry=registry).labels(label).set(value)
    ours = render([(Family("g", "gauge", about), [line(series("g", {"l": label}), value)])], openmetrics=False).decode()
    assert list(parse_text(ours)) == list(parse_text(generate_latest(registry).decode()))


@given(label=TEXT, about=TEXT, value=st.floats(min_value=0, allow_infinity=False))
def test_a_counter_in_openmetrics_too(label: str, about: str, value: float) -> None:
    registry = CollectorRegistry()
    Counter("c", about, ["l"], registry=registry).labels(label).inc(value)
    ours = render(
        [(Family("c_total", "counter", about), [line(series("c_total", {"l": label}), value)])], openmetrics=True
    )
    theirs = next(iter(parse_openmetrics(generate_openmetrics(registry).decode())))
    found = next(iter(parse_openmetrics(ours.decode() + "# EOF\n")))
    assert (found.name, found.type, found.documentation) == (theirs.name, theirs.type, theirs.documentation)
    assert found.samples == [sample for sample in theirs.samples if sample.name == "c_total"]


@given(st.lists(st.tuples(TEXT, st.integers(min_value=0))))
def test_many_at_once_are_written_as_one_by_one(samples: list[tuple[str, int]]) -> None:
    keys = [series("c_total", {"l": label}) for label, _ in samples]
    numbers = [number for _, number in samples]
    assert lines(keys, numbers) == b"".join(map(line, keys, numbers))


def test_not_a_number_and_the_infinities_are_spelled_as_prometheus_spells_them() -> None:
    samples = [line(series("g", {}), value) for value in (math.nan, math.inf, -math.inf)]
    assert render([(Family("g", "gauge", ""), samples)], openmetrics=False).endswith(b"g NaN\ng +Inf\ng -Inf\n")


def test_a_family_without_samples_leaves_no_trace() -> None:
    assert render([(Family("g", "gauge", "x"), [])], openmetrics=False) == b""
