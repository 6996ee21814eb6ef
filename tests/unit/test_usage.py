"""Events and rules: every row is a rule, an event and where it counts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import UsageRule
from exporter.usage.collector import UsageCollector
from exporter.usage.engine import count
from exporter.usage.rules import compile_rules, declared_series


def rule(**fields: Any) -> UsageRule:
    return UsageRule.model_validate(
        {"name": "r", "metric": "m_total", "help": "M.", "event": "buy", "owner": "me", **fields}
    )


ROWS = [
    ("the event's name", {}, {"event": "buy"}, ()),
    ("another event", {}, {"event": "sell"}, None),
    ("a field that has the value", {"where": {"currency": "EUR"}}, {"event": "buy", "currency": "EUR"}, ()),
    ("a field that has another", {"where": {"currency": "EUR"}}, {"event": "buy", "currency": "USD"}, None),
    ("a field that is missing", {"where": {"currency": "EUR"}}, {"event": "buy"}, None),
    ("a number is not its text", {"where": {"n": 1}}, {"event": "buy", "n": "1"}, None),
    ("true is not 1", {"where": {"n": True}}, {"event": "buy", "n": 1}, None),
    ("a pattern matches the whole", {"where": {"path": {"regex": "/a.*"}}}, {"event": "buy", "path": "/abc"}, ()),
    ("a pattern doesn't match a part", {"where": {"path": {"regex": "/a"}}}, {"event": "buy", "path": "/abc"}, None),
    ("a listed label value", {"labels": {"plan": ["pro"]}}, {"event": "buy", "plan": "pro"}, (("plan", "pro"),)),
    ("an unlisted one counts as other", {"labels": {"plan": ["pro"]}}, {"event": "buy", "plan": "x"}, (("plan", "other"),)),
    ("a missing one counts as other", {"labels": {"plan": ["pro"]}}, {"event": "buy"}, (("plan", "other"),)),
    ("a structure counts as other", {"labels": {"plan": ["pro"]}}, {"event": "buy", "plan": {}}, (("plan", "other"),)),
    ("true as a label", {"labels": {"paid": ["true"]}}, {"event": "buy", "paid": True}, (("paid", "true"),)),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "event", "labels"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_event_counts_into_its_series(fields: dict[str, Any], event: dict[str, Any], labels: Any) -> None:
    counted = count(json.dumps(event).encode(), False, compile_rules([rule(**fields)]))
    assert counted.deltas == ({} if labels is None else {("r", labels): 1})
    assert (counted.matched, counted.unmatched) == ((0, 1) if labels is None else (1, 0))


BODIES = [
    ("one object", b'{"event": "buy"}', False, 1, []),
    ("an array", b'[{"event": "buy"}, {"event": "buy"}]', False, 2, []),
    ("lines", b'{"event": "buy"}\n{"event": "buy"}\n', True, 2, []),
    ("empty lines are nothing", b'\n{"event": "buy"}\n\n', True, 1, []),
    ("a bad line among good ones", b'{"event": "buy"}\n{oops\n{"event": "buy"}', True, 2, [2]),
    ("half a line at the end", b'{"event": "buy"}\n{"event": "b', True, 1, [2]),
    ("an array of other things", b'[3, {"event": "buy"}, null, {"name": "buy"}, {"event": 7}]', False, 1, [1, 3, 4, 5]),
    ("no JSON", b"hello", False, 0, [1]),
    ("nothing", b"", False, 0, [1]),
    ("bad UTF-8", b'{"event": "\xff"}', False, 0, [1]),
    ("a lone surrogate", b'{"event": "buy", "x": "\\ud800"}', False, 0, [1]),
    ("NaN", b'{"event": "buy", "n": NaN}', False, 0, [1]),
    ("a number of five thousand digits", b'{"event": "buy", "n": ' + b"9" * 5000 + b"}", False, 0, [1]),
    ("deep nesting", b'{"event": "buy", "n": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", False, 0, [1]),
]


@pytest.mark.parametrize(
    ("body", "ndjson", "events", "rejected"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_the_good_are_counted_and_the_bad_named_by_place(
    body: bytes, ndjson: bool, events: int, rejected: list[int]
) -> None:
    counted = count(body, ndjson, compile_rules([rule()]))
    assert counted.events == events
    assert [reject.position for reject in counted.rejects] == rejected
    assert all(reject.reason for reject in counted.rejects)


@given(body=st.binary(max_size=300), ndjson=st.booleans())
def test_any_bytes_are_counted_or_rejected(body: bytes, ndjson: bool) -> None:
    counted = count(body, ndjson, compile_rules([rule()]))
    assert counted.matched <= counted.events


def test_a_body_of_nothing_but_rubbish_is_counted_and_not_kept() -> None:
    counted = count(b"x\n" * 50_000, True, compile_rules([rule()]))
    assert (counted.events, counted.rejected, len(counted.rejects)) == (0, 50_000, 20)


def test_declared_series_stand_at_zero_and_totals_stay_exact() -> None:
    listed = rule(labels={"plan": ["free", "pro"]}, minimum={"events": 30, "per": "1m"})
    families = {
        family.name: set(lines) for family, lines in UsageCollector([listed]).families({("r", (("plan", "pro"),)): 5})
    }
    assert families["m_total"] == {
        b'm_total{plan="free"} 0\n',
        b'm_total{plan="other"} 0\n',
        b'm_total{plan="pro"} 5\n',
    }
    assert families["usage_rule_events_total"] == {b'usage_rule_events_total{rule="r"} 5\n'}
    assert families["usage_rule_minimum_events_per_second"] == {b'usage_rule_minimum_events_per_second{rule="r"} 0.5\n'}


def test_two_rules_may_count_into_one_metric_and_add_up() -> None:
    rules = [rule(name="a"), rule(name="b", event="sell")]
    families = {
        family.name: set(lines) for family, lines in UsageCollector(rules).families({("a", ()): 2, ("b", ()): 3})
    }
    assert families["m_total"] == {b"m_total 5\n"}


def test_counts_of_a_rule_that_had_other_labels_are_left_out() -> None:
    families = {
        family.name: set(lines) for family, lines in UsageCollector([rule()]).families({("r", (("x", "y"),)): 5})
    }
    assert families["m_total"] == {b"m_total 0\n"}


def test_a_rule_with_thousands_of_combinations_declares_none() -> None:
    assert declared_series(rule(labels={name: [str(n) for n in range(20)] for name in ("a", "b")})) == []
