"""Which series is the alert's own, which trace, which log lines; and how long an enricher is waited for."""

from collections.abc import Mapping

import pytest

from receiver.enrichers.logs import LINE_LENGTH, explore, fit, told
from receiver.enrichers.series import NoneOwn, only, own
from receiver.enrichers.traces import newest
from receiver.stages.enrich import BUDGET_SECONDS, HURRIED_SECONDS, LATE_FOR_SECONDS, Patience
from toolkit.loki import Line
from toolkit.prometheus import Exemplar, Sample
from toolkit.redaction import impersonal

ALERT = {"alertname": "Errors", "severity": "critical", "service": "shop", "instance": "a"}


def samples(*labels: Mapping[str, str]) -> list[Sample]:
    return [Sample(one, index) for index, one in enumerate(labels)]


OWN = [
    ("the only one", [{}], 0),
    ("the one with its labels", [{"instance": "b"}, {"instance": "a"}], 1),
    ("the one that agrees in the most", [{}, {"service": "shop"}, {"service": "shop", "instance": "a"}], 2),
    ("a name is no label", [{"__name__": "x", "instance": "a"}, {"__name__": "x", "instance": "b"}], 0),
    ("a label that the alert lacks contradicts nothing", [{"instance": "a", "replica": "1"}], 0),
]


@pytest.mark.parametrize(("labels", "place"), [row[1:] for row in OWN], ids=[row[0] for row in OWN])
def test_the_alert_has_its_own_series(labels: list[dict[str, str]], place: int) -> None:
    assert own(samples(*labels), ALERT).value == place


FOREIGN: list[tuple[str, list[dict[str, str]], str]] = [
    ("none at all", [], "the query returned no series"),
    ("another's", [{"instance": "b"}], "returned 1 series, none has the alert's labels"),
    ("two alike", [{"replica": "1"}, {"replica": "2"}], "2 series, which is the alert's own can't be told"),
    ("ten thousand", [{"instance": str(number)} for number in range(10_000)], "10,000 series, none has"),
]


@pytest.mark.parametrize(("labels", "words"), [row[1:] for row in FOREIGN], ids=[row[0] for row in FOREIGN])
def test_another_series_is_not_taken_for_its_own(labels: list[dict[str, str]], words: str) -> None:
    with pytest.raises(NoneOwn, match=words):
        own(samples(*labels), ALERT)


def test_one_series_alone_is_asked_for() -> None:
    assert only("x # all", {"__name__": "x", "a": 'b"$1', "c.d": "e"}) == (
        '(x # all\n) and on (a) label_replace(vector(1), "a", "b\\"$$1", "", "")'
    )
    assert only("sum(x)", {}) == "sum(x)"


def exemplar(at: float, trace: str, name: str = "trace_id", **series: str) -> Exemplar:
    return Exemplar({name: trace}, series, at)


TRACES = [
    ("the newest", [exemplar(1, "a1"), exemplar(3, "c3"), exemplar(2, "b2")], "c3"),
    ("of the alert's own series", [exemplar(1, "a1", service="shop"), exemplar(2, "b2", service="api")], "a1"),
    ("by another name", [exemplar(1, "a1", "traceID")], "a1"),
    ("none", [], ""),
    ("an exemplar of something else", [exemplar(1, "a1", "user")], ""),
    ("what is no id", [exemplar(2, "a/../b?c=<d>"), exemplar(1, "")], ""),
]


@pytest.mark.parametrize(("exemplars", "trace"), [row[1:] for row in TRACES], ids=[row[0] for row in TRACES])
def test_the_trace_is_the_newest_of_its_own(exemplars: list[Exemplar], trace: str) -> None:
    assert newest(exemplars, ALERT) == trace


# --- log lines -------------------------------------------------------------------------------------------------------


def test_three_different_lines_are_told_the_newest_first() -> None:
    lines = [Line(9 - at, text) for at, text in enumerate(["one", "one ", "", "two", "one", "three", "four"])]
    assert told(lines) == ("one", "two", "three")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("login of ana.lima+x@mail.example.com failed", "login of *** failed"),
        ("paid with 4111 1111 1111 1111, ok", "paid with ***, ok"),
        ("paid with 4111-1111-1111-1111", "paid with ***"),
        ("order 4111111111111112 is no card", "order 4111111111111112 is no card"),
        ("at 1795000123456 ms", "at 1795000123456 ms"),
        ("user%3Dana%40mail.example.com", "user=***"),
        ('{"token": "abcdefgh12345"}', '{"token": "***"}'),
        ("Authorization: Bearer abcDEF12345678", "Authorization: Bearer ***"),
        ("a\tb\n\x1b[31mred\u202e", "a b \\x1b[31mred\\x202e"),
    ],
)
def test_a_line_is_told_without_what_is_nobodys_business(line: str, shown: str) -> None:
    assert fit(line) == shown


def test_a_long_line_is_cut() -> None:
    assert fit("abc " * 100_000) == ("abc " * 100)[: LINE_LENGTH - 1] + "…"


def test_personal_data_goes_and_the_rest_stays() -> None:
    text = "ana@example.org wrote to <bo@mail.example.co.uk>: 5555 5555 5555 4444"
    assert impersonal(text) == "*** wrote to <***>: ***"


def test_the_link_to_grafana_holds_query_and_time() -> None:
    link = explore("https://grafana.example/g/", "loki-1", '{a="b&c"}', 100.0, 200.5)
    assert link.startswith("https://grafana.example/g/explore?schemaVersion=1&panes=%7B")
    assert "%5C%22b%26c%5C%22" in link
    assert "100000" in link
    assert "200500" in link
    assert " " not in link


# --- patience --------------------------------------------------------------------------------------------------------


def test_who_has_just_used_up_its_time_is_waited_for_less_until_it_answers() -> None:
    now = [1000.0]
    patience = Patience(lambda: now[0])
    assert patience.seconds("logs") == BUDGET_SECONDS
    patience.note("logs", BUDGET_SECONDS, in_time=False)
    assert (patience.seconds("logs"), patience.seconds("value")) == (HURRIED_SECONDS, BUDGET_SECONDS)
    patience.note("logs", HURRIED_SECONDS, in_time=True)
    assert patience.seconds("logs") == BUDGET_SECONDS


def test_a_hurried_enricher_that_is_late_gets_its_full_time_again_in_the_end() -> None:
    now = [1000.0]
    patience = Patience(lambda: now[0])
    patience.note("logs", BUDGET_SECONDS, in_time=False)
    now[0] += LATE_FOR_SECONDS - 1
    patience.note("logs", HURRIED_SECONDS, in_time=False)
    assert patience.seconds("logs") == HURRIED_SECONDS
    now[0] += 1
    assert patience.seconds("logs") == BUDGET_SECONDS
