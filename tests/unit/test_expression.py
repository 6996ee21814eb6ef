"""What an alert's expression measures, and what stands in a query's placeholders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.enrichers.expression import MAX_QUERY, Expression, Threshold, constant, expression_in, understand
from receiver.enrichers.template import QueryTemplate
from receiver.enrichers.tokens import Unreadable

ABOVE_5 = Threshold(">", 5)
UNDERSTOOD = [
    ("the comparison is left out", "errors > 5", "errors", ABOVE_5),
    ("a constant on the left is turned round", "5 < errors", "errors", ABOVE_5),
    ("arithmetic of constants is a threshold", "age > 24 * 3600", "age", Threshold(">", 86400)),
    ("a negative one as well", "x <= -1.5e2", "x", Threshold("<=", -150)),
    ("bool changes nothing", "x > bool 5", "x", ABOVE_5),
    ("what is compared with another series has no threshold", "a > on(job) group_left(x) b", "a", None),
    ("two comparisons have none", "0 < x < 5", "x", None),
    ("a comparison inside a function stays", "sum(x > 1) > 5", "sum(x > 1)", ABOVE_5),
    ("one inside a label's value is text", 'x{a=">5 or ("} > 5', 'x{a=">5 or ("}', ABOVE_5),
    ("a matcher is no comparison", 'x{a!="b", c=~"d"} > 5', 'x{a!="b", c=~"d"}', ABOVE_5),
    ("a string in back quotes", "x{a=`\\ > 1`} > 5", "x{a=`\\ > 1`}", ABOVE_5),
    ("an escaped quote ends no string", r'x{a="\" > 1"} > 5', r'x{a="\" > 1"}', ABOVE_5),
    ("a comment is none of it", "x # > 1\n > 5", "x", ABOVE_5),
    ("the left side of and", "a > 5 and on(x) b > 2", "a", ABOVE_5),
    ("the left side of unless, in brackets", "(a > 5) unless b", "a", ABOVE_5),
    ("and in capitals", "a > 5 AND b", "a", ABOVE_5),
    ("brackets around all of it", "((a > 5))", "a", ABOVE_5),
    ("brackets that only look like it", "(a) / (b) > 5", "(a) / (b)", ABOVE_5),
    ("either of two is asked whole", "a > 5 or b > 2", "a > 5 or b > 2", None),
    ("no comparison at all", "a - b", "a - b", None),
    ("grouping after the brackets", "sum(rate(x[5m])) by (a) > 5", "sum(rate(x[5m])) by (a)", ABOVE_5),
    (
        "a subquery and modifiers",
        "max_over_time(x[5m:1m] @ end() offset 1h) > 5",
        "max_over_time(x[5m:1m] @ end() offset 1h)",
        ABOVE_5,
    ),
    ("a unary minus is no comparison", "-x > 5", "-x", ABOVE_5),
    ("not a number is no threshold", "x > NaN", "x", None),
]


@pytest.mark.parametrize(
    ("query", "measured", "threshold"), [row[1:] for row in UNDERSTOOD], ids=[row[0] for row in UNDERSTOOD]
)
def test_what_an_expression_measures(query: str, measured: str, threshold: Threshold | None) -> None:
    assert understand(query) == Expression(measured, threshold)


def test_the_value_of_an_absence_says_nothing() -> None:
    assert understand('absent(up{job="x"})').of_absence
    assert understand("absent_over_time(x[5m]) == 1").of_absence
    assert not understand("absent(x) + y").of_absence


@pytest.mark.parametrize(
    "query", ["", " ", "# nothing", "a > (5", "a) > 5", "(a]", "a >", "> 5", "and b", 'x{a="} > 5', "x > 5;", "a </ b", "(" * 500 + ")" * 500, "x" * (MAX_QUERY + 1)]
)  # fmt: skip
def test_what_is_in_doubt_is_not_taken_apart(query: str) -> None:
    with pytest.raises(Unreadable):
        understand(query)


@given(st.text("ab()[]{}\"'`\\<>=!~ \n#5.e-or and", max_size=60))
def test_no_text_breaks_it(query: str) -> None:
    try:
        measured = understand(query).measured
    except Unreadable:
        return
    assert measured
    assert measured in query


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("2^10", 1024), ("-(1 + 2) * 3", -9), (".5", 0.5), ("1/0", None), ("9^9^9^9", None), ("(-8)^0.5", None), ("x", None), ("", None), ("5m", None), ("1, 2", None)],
)  # fmt: skip
def test_a_constant_is_arithmetic_with_numbers_alone(text: str, value: float | None) -> None:
    assert constant(text) == value


@pytest.mark.parametrize(
    ("link", "expression"),
    [
        ("http://p:9090/graph?g0.expr=errors+%3E+0.1&g0.tab=1", "errors > 0.1"),
        ("http://p:9090/graph?g0.tab=1", ""),
        ("https://grafana/alerting/grafana/x/view", ""),
        ("http://[", ""),
        ("http://p/?" + "a=1&" * 60 + "g0.expr=x", ""),
        ("", ""),
    ],
)
def test_the_expression_stands_in_the_link_to_prometheus(link: str, expression: str) -> None:
    assert expression_in(link) == expression


# --- placeholders ----------------------------------------------------------------------------------------------------

FILLED = [
    ("a value between quotes", '{service="$service"}', {"service": "shop"}, '{service="shop"}'),
    ("in braces", 'x{a="${a}_b"}', {"a": "1"}, 'x{a="1_b"}'),
    ("twice", 'x{a="$a"} / y{a="$a"}', {"a": "1"}, 'x{a="1"} / y{a="1"}'),
    ("a quote in it is escaped", '{a="$a"}', {"a": '"} or {b="c\\'}, r'{a="\"} or {b=\"c\\"}'),
    ("so is a line's end", '{a="$a"}', {"a": "b\nc"}, r'{a="b\U0000000ac"}'),
    ("in a pattern it is plain text", '{a=~"$a.*"}', {"a": "b.*|c"}, r'{a=~"b\\.\\*\\|c.*"}'),
    ("and in a line filter's", '{b="c"} |~ "$a$"', {"a": "x+"}, r'{b="c"} |~ "x\\+$"'),
    (
        "a stage's comparison",
        '{b="c"} | json | label_format d=e | f="$a" or g!~"$a"',
        {"a": "x+"},
        r'{b="c"} | json | label_format d=e | f="x+" or g!~"x\\+"',
    ),
    ("a filter of lines", '{b="c"} |= "$a" != "$a"', {"a": "x+"}, '{b="c"} |= "x+" != "x+"'),
    ("a label that is missing", '{a="$a"}', {}, None),
    ("or empty", '{a="$a"}', {"a": ""}, None),
    ("nothing to fill", 'rate(x{a="b$"}[5m])', {}, 'rate(x{a="b$"}[5m])'),
]


@pytest.mark.parametrize(("text", "labels", "query"), [row[1:] for row in FILLED], ids=[row[0] for row in FILLED])
def test_labels_are_filled_in_as_data(text: str, labels: dict[str, str], query: str | None) -> None:
    assert QueryTemplate(text).fill(labels) == query


@pytest.mark.parametrize("text", ["x{a=$a}", "x{a='$a'}", "x{a=`$a`}", "$a > 5", 'x{a="$a"', 'x # "$a"'])
def test_a_placeholder_where_it_could_become_query_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"double quotes|can't be read"):
        QueryTemplate(text)


NO_COMPARISON = [
    ("the second pattern of a line filter", '{b="c"} |~ "d" or "$a"'),
    ("the pattern of a stage", '{b="c"} | regexp "$a"'),
    ("a stage's template", '{b="c"} | line_format "$a"'),
    ("a label's template", '{b="c"} | label_format d="$a"'),
    ("one behind another", 'sum(count_over_time({b="c"} | label_format d=e, f="$a" [5m]))'),
    ("a path into JSON", '{b="c"} | json d="$a"'),
    ("a pattern of its own kind", '{b="c"} |> "<_>$a"'),
    ("a function's pattern", 'label_replace(x{b="c"}, "d", "e", "f", "$a")'),
    ("a function's text", '{b="c"} != ip("$a")'),
    ("a metric's name", '{"$a"}'),
    ("a comparison of values", 'x > "$a"'),
    ("nothing but a text", '"$a"'),
]


@pytest.mark.parametrize("text", [row[1] for row in NO_COMPARISON], ids=[row[0] for row in NO_COMPARISON])
def test_a_placeholder_where_a_text_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\$a may only be what a label or a line is compared with"):
        QueryTemplate(text)


@pytest.mark.parametrize("text", [r'{a="\$a"}', r'{a=~"\\$a"}'])
def test_a_placeholder_behind_a_backslash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must not follow a backslash"):
        QueryTemplate(text)


@given(st.text())
def test_no_label_gets_out_of_its_quotes(value: str) -> None:
    filled = QueryTemplate('x{a="$a", b="c"}').fill({"a": value or "x"})
    assert filled is not None
    assert understand(filled).measured == filled
