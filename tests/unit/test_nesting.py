"""Fields inside objects: every row is an event, and what a contract or a rule about `order.total` makes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.usage.book import Book
from exporter.usage.engine import Engine
from exporter.usage.jsonschema import json_schema
from exporter.usage.lint import lint
from exporter.usage.settings import Usage
from exporter.usage.tally import Tally

NOW = 1_700_000_000.0
FIELDS = {
    "order.id": {"type": "integer", "required": True},
    "order.total": {"type": "number"},
    "order.plan": {"values": ["free", "pro"]},
    "order.ship.city": {},
    "meta.at": {"type": "timestamp"},
    "gift": {"type": "boolean"},
}
CONTRACT = {"name": "buy", "fields": FIELDS, "time": {"field": "meta.at"}}
OTHER = {"name": "sell", "fields": {"order": {}, "meta": {"type": "integer"}}}
RULES = [
    {"name": "plans", "metric": "plans_total", "labels": {"plan": {"field": "order.plan"}}},
    {"name": "eur", "metric": "eur_total", "kind": "sum", "value": "order.total"},
    {"name": "bonn", "metric": "bonn_total", "where": {"order.ship.city": "Bonn"}},
    {"name": "cities", "metric": "cities", "kind": "distinct", "identity": "order.ship.city"},
]
GOOD = {"event": "buy", "order": {"id": 7, "total": 3.5, "plan": "pro", "ship": {"city": "Bonn"}}}


def usage(*contracts: Any, rules: Any = RULES, **more: Any) -> Usage:
    return Usage.model_validate(
        {"events": contracts, "rules": [{"help": "H.", "event": "buy", "owner": "me", **one} for one in rules], **more}
    )


def order(**fields: Any) -> dict[str, Any]:
    return {**GOOD, "order": {**GOOD["order"], **fields}}  # type: ignore[dict-item]  # an object, see above


def tallied(engine: Engine, *events: Any) -> Tally:
    tally = engine.begin("http", NOW)
    engine.count(tally, "\n".join(map(json.dumps, events)).encode(), "ndjson")
    return tally


def counted(engine: Engine, tally: Tally) -> dict[str, Any]:
    return {
        " ".join((series.shelf.rule, *series.labels)): delta
        for series, delta in engine.deltas([tally])[0].items()
        if delta and series.shelf.rule != "cities"
    }


REST = {"eur": 3.5, "bonn": 1}
ALL = {**REST, "plans pro": 1}
ROWS: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("as agreed", GOOD, "", ALL),
    ("with names that have dots", {"event": "buy", "order.id": 7, "order.total": 3.5, "order.plan": "pro", "order.ship.city": "Bonn"}, "", ALL),
    ("a name with a dot is believed before an object", {**GOOD, "order.plan": "free"}, "", {**REST, "plans free": 1}),
    ("more objects than anybody named", {**order(more={"a": [1]}), "else": {"order": 1}}, "", ALL),
    ("null in the place of a field", order(total=None), "", {"plans pro": 1, "bonn": 1}),
    ("null in the place of an object", order(ship=None), "", {"plans pro": 1, "eur": 3.5}),
    ("text in the place of an inner object", order(ship="Bonn"), "wrong_type", {}),
    ("a required one is missing", order(id=None), "missing", {}),
    ("its object is missing", {"event": "buy"}, "missing", {}),
    ("null is its object", {"event": "buy", "order": None}, "missing", {}),
    ("text in the place of its object", {"event": "buy", "order": "o7"}, "wrong_type", {}),
    ("a list in the place of its object", {"event": "buy", "order": [{"id": 7}]}, "wrong_type", {}),
    ("a value that is not allowed", order(plan="gold"), "not_allowed", {}),
    ("text in the place of a number", order(total="3"), "wrong_type", {}),
    ("a whole number with a point", order(id=7.0), "", ALL),
    ("a whole number of no integer's size", order(id=1e300), "wrong_type", {}),
    ("a fraction in the place of an integer", order(id=7.5), "wrong_type", {}),
    ("a time inside an object that is long past", {**GOOD, "meta": {"at": "2020-01-01T00:00:00Z"}}, "late", {}),
    ("an event that nobody declared", {"event": "x", "order": 7, "meta": []}, "", {}),
]  # fmt: skip


@pytest.mark.parametrize("others", [(), (OTHER,)], ids=["one contract", "beside one whose order is text"])
@pytest.mark.parametrize("among_others", [False, True], ids=["alone", "among good ones"])
@pytest.mark.parametrize(("event", "why", "found"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_event_keeps_to_its_contract_inside_objects_too(
    event: Any, why: str, found: dict[str, Any], among_others: bool, others: tuple[Any, ...]
) -> None:
    engine = Engine(usage(CONTRACT, *others), Book(), NOW)
    neighbours = [{"event": "buy", "order": {"id": 1}}] * (2 if among_others else 0)
    tally = tallied(engine, *neighbours, event)
    assert dict(tally.rejected) == ({why: 1} if why else {})
    assert counted(engine, tally) == {**found, **({"plans ": 2} if among_others else {})}


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"event": "sell", "order": "o7", "meta": 3}, ""),
        ({"event": "sell", "order": {"id": 7}}, "wrong_type"),
        ({"event": "sell", "meta": {"at": "x"}}, "wrong_type"),
    ],
    ids=["text", "an object in the place of text", "an object that is no time in the place of a number"],
)
def test_what_is_an_object_in_one_event_may_be_text_in_another(event: Any, why: str) -> None:
    engine = Engine(usage(CONTRACT, OTHER), Book(), NOW)
    tally = tallied(engine, GOOD, event, GOOD)
    assert dict(tally.rejected) == ({why: 1} if why else {})
    assert counted(engine, tally)["bonn"] == 2


@pytest.mark.parametrize("among_bad", [False, True], ids=["alone", "beside a bad line"])
@pytest.mark.parametrize("labelled", [False, True], ids=["asked by nobody", "a label"])
@pytest.mark.parametrize("field", [{}, {"required": True}, {"values": ["o7"]}], ids=["plain", "required", "listed"])
@pytest.mark.parametrize("value", [{}, {"id": 7}, {"plan": "pro"}, []], ids=str)
def test_an_object_is_no_text_however_it_is_declared_and_used(
    value: Any, field: dict[str, Any], labelled: bool, among_bad: bool
) -> None:
    sell = {"name": "sell", "fields": {"order": field}}
    rules = [{"name": "r", "metric": "r_total", "event": "sell", "labels": {"order": {}} if labelled else {}}]
    engine = Engine(usage(CONTRACT, sell, rules=[*RULES, *rules]), Book(), NOW)
    bad = [{"event": 7}] if among_bad else []
    tally = tallied(engine, {"event": "sell", "order": value}, {"event": "sell", "order": "o7"}, *bad)
    assert dict(tally.rejected) == {"wrong_type": 1, **({"no_event": 1} if among_bad else {})}
    assert sorted(reject.position for reject in tally.rejects) == ([1, 3] if among_bad else [1])
    assert counted(engine, tally) == {"r o7" if labelled else "r": 1}


def test_rules_see_inside_objects_without_any_contract() -> None:
    engine = Engine(usage(), Book(), NOW)
    tally = tallied(engine, GOOD, {"event": "buy", "order": 3}, {"event": "buy", "order": {"plan": ["x"]}})
    assert not tally.rejected
    assert counted(engine, tally) == {"plans pro": 1, "plans ": 2, "eur": 3.5, "bonn": 1}


def test_an_object_itself_is_no_label_and_its_fields_are() -> None:
    rules = [{"name": "r", "metric": "r_total", "labels": {"order": {}, "plan": {"field": "order.plan"}}}]
    engine = Engine(usage(rules=rules), Book(), NOW)
    tally = tallied(engine, GOOD, {"event": "buy", "order": "text"}, {"event": "buy", "order": {}})
    assert counted(engine, tally) == {"r  pro": 1, "r text ": 1, "r  ": 1}


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["free", "pro", "x"])


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *objects, last = name.split(".")
        inside = found
        for one in objects:
            inside = inside.setdefault(one, {})
        inside[last] = value
    return found


@given(st.lists(st.dictionaries(st.sampled_from(["a.b", "a.c", "b.a.c", "b.a.b"]), VALUES), max_size=6), st.booleans())
def test_dots_and_objects_mean_one_thing(events: list[dict[str, Any]], is_declared: bool) -> None:
    fields = {"a.b": {"type": "integer"}, "b.a.c": {"values": ["free", "pro"]}, "b.a.b": {"required": True}}
    contracts = [{"name": "buy", "fields": fields}] if is_declared else []
    rules = [{"name": "r", "metric": "r_total", "labels": {"x": {"field": "b.a.c"}, "y": {"field": "a.b"}}}]
    engine = Engine(usage(*contracts, rules=rules), Book(), NOW)
    first, second = (
        tallied(engine, *({"event": "buy", **made(event)} for event in events)) for made in (dict, _nested)
    )
    assert counted(engine, first) == counted(engine, second)
    assert first.rejected == second.rejected


def test_the_events_name_is_no_object() -> None:
    rules = [{"name": "r", "metric": "r_total", "labels": {"kind": {"field": "event.kind"}}}]
    given = usage({"name": "buy", "fields": {"event.kind": {"required": True}}}, rules=rules)
    engine = Engine(given, Book(), NOW)
    tally = tallied(engine, {"event": "buy", "event.kind": "x"}, {"event": "buy"}, {"event": {"kind": "x"}})
    assert counted(engine, tally) == {"r x": 1}
    assert dict(tally.rejected) == {"missing": 1, "no_event": 1}
    assert list(lint(given)) == []
    assert set(json_schema(given.events[0])["properties"]) == {"event", "event.kind"}


def test_the_json_schema_nests_as_the_event_does() -> None:
    (contract,) = usage(CONTRACT).events
    found = json_schema(contract)
    assert found["required"] == ["event", "order"]
    assert found["properties"]["order"] == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "total": {"type": "number"},
            "plan": {"type": "string", "enum": ["free", "pro"]},
            "ship": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
        "required": ["id"],
    }


AT = {"meta.at": {"type": "timestamp"}}
MISTAKES: list[tuple[str, dict[str, Any], list[Any], tuple[Any, ...], str]] = [
    ("a path through text", {"order": {}, "order.id": {}}, [], ("events", 0, "fields", "order.id"), "'order' is a string, and no object that 'order.id' could be in"),
    ("a path through an inner number", {"a.b": {"type": "number"}, "a.b.c.d": {}}, [], ("events", 0, "fields", "a.b.c.d"), "'a.b' is a number, and no object that 'a.b.c.d' could be in"),
    ("two dots", {"order..id": {}}, [], ("events", 0, "fields", "order..id"), "'order..id' is no path: between dots there has to be a name"),
    ("a dot at the end", {"order.": {}}, [], ("events", 0, "fields", "order."), "'order.' is no path: between dots there has to be a name"),
    ("too deep", {"a.b.c.d.e.f.g.h.i": {}}, [], ("events", 0, "fields", "a.b.c.d.e.f.g.h.i"), "'a.b.c.d.e.f.g.h.i' lies deeper than 8 objects"),
    ("a rule with a field that is almost there", {"order.total": {"type": "number"}}, [{"name": "r", "metric": "r_total", "kind": "sum", "value": "order.totl"}], ("rules", 0, "value"), "the event buy has no field 'order.totl'; did you mean 'order.total'?"),
    ("a label of a time", AT, [{"name": "r", "metric": "r_total", "labels": {"at": {"field": "meta.at"}}}], ("rules", 0, "labels", "at"), "'meta.at' is a timestamp, and a label of it would be a series for every moment"),
    ("a condition on a time", AT, [{"name": "r", "metric": "r_total", "where": {"meta.at": "x"}}], ("rules", 0, "where", "meta.at"), "'meta.at' is a timestamp, and conditions are about text, numbers and truths"),
    ("the distinct times", AT, [{"name": "r", "metric": "r", "kind": "distinct", "identity": "meta.at"}], ("rules", 0, "identity"), "'meta.at' is a timestamp, and no identity"),
    ("a rule that adds up text", {"order.total": {}}, [{"name": "r", "metric": "r_total", "kind": "sum", "value": "order.total"}], ("rules", 0, "value"), "it is a string; a sum needs a number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "rules", "at", "words"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_check_names_mistakes(fields: Any, rules: Any, at: Any, words: str) -> None:
    assert list(lint(usage({"name": "buy", "fields": fields}, rules=rules))) == [(at, words)]


def test_a_time_is_no_key_and_no_label_of_one() -> None:
    bursts = {"name": "b", "key": "at", "more_than": 2, "of": "buy", "within": "1m", "metric": "b_total", "help": "B.", "owner": "me", "labels": {"then": ["x"]}}  # fmt: skip
    fields = {"at": {"type": "timestamp"}, "then": {"type": "timestamp"}}
    assert list(lint(usage({"name": "buy", "fields": fields}, rules=[], sequences=[bursts]))) == [
        (("sequences", 0, "key"), "'at' is a timestamp, and no key"),
        (("sequences", 0, "labels", "then"), "'then' is a timestamp, and no label"),
    ]


def test_a_sample_is_held_against_its_contract_inside_objects() -> None:
    fine, bad = {"order": {"id": 7}}, {"order": {"id": "x"}}
    assert list(lint(usage({**CONTRACT, "sample": fine}))) == []
    assert list(lint(usage({**CONTRACT, "sample": bad}))) == [
        (("events", 0, "sample"), "the field 'order.id' is no integer")
    ]
