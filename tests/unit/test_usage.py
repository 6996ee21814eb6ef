"""Events and rules: every row is a rule, an event and where it counts."""

import json
from collections import Counter
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.exposition import render
from exporter.usage.book import Book
from exporter.usage.collector import AT_ONCE, More, UsageCollector
from exporter.usage.delivery import Format
from exporter.usage.engine import Engine
from exporter.usage.plans import MAX_PLANS
from exporter.usage.rules import declared_labels
from exporter.usage.settings import Usage, UsageRule
from exporter.usage.tally import Tally

NOW = 1_700_000_000.0


def rule(**fields: Any) -> UsageRule:
    return UsageRule.model_validate(
        {"name": "r", "metric": "m_total", "help": "M.", "event": "buy", "owner": "me", **fields}
    )


def engine(*rules: UsageRule, **usage: Any) -> Engine:
    return Engine(Usage.model_validate({"rules": rules, **usage}), Book(), NOW)


def tallied(engine: Engine, body: bytes, ndjson: bool = False, source: str = "http") -> Tally:
    form: Format = "ndjson" if ndjson else "json"
    tally = engine.begin(source, NOW)
    for piece in engine.pieces(body, form):
        engine.count(tally, piece, form)
        tally.before.append(piece)
    return tally


def counted(engine: Engine, tally: Tally) -> dict[tuple[str, ...], Any]:
    deltas, _ = engine.deltas([tally])
    return {series.labels: delta for series, delta in deltas.items()}


def text(engine: Engine, *tallies: Tally) -> dict[str, list[str]]:
    """The families' lines once these tallies were added."""
    book_of = engine.deltas(tallies)[0]
    for series, delta in book_of.items():
        series.value = series.shelf.kind.add(series.value, delta)
    collector = UsageCollector(tuple(engine.rules))
    families = chain(collector.families(NOW), collector.own())
    return {family.name: b"".join(lines).decode().split("\n")[:-1] for family, lines in families}


ROWS = [
    ("the event's name", {}, {"event": "buy"}, ()),
    ("another event", {}, {"event": "sell"}, None),
    ("a field that has the value", {"where": {"currency": "EUR"}}, {"event": "buy", "currency": "EUR"}, ()),
    ("a field that has another", {"where": {"currency": "EUR"}}, {"event": "buy", "currency": "USD"}, None),
    ("a field that is missing", {"where": {"currency": "EUR"}}, {"event": "buy"}, None),
    ("a number is not its text", {"where": {"n": 1}}, {"event": "buy", "n": "1"}, None),
    ("true is not 1", {"where": {"n": True}}, {"event": "buy", "n": 1}, None),
    ("1 is not true", {"where": {"n": 1}}, {"event": "buy", "n": True}, None),
    ("JSON knows one kind of number", {"where": {"n": 1}}, {"event": "buy", "n": 1.0}, ()),
    ("a pattern matches the whole", {"where": {"path": {"regex": "/a.*"}}}, {"event": "buy", "path": "/abc"}, ()),
    ("a pattern doesn't match a part", {"where": {"path": {"regex": "/a"}}}, {"event": "buy", "path": "/abc"}, None),
    ("a listed label value", {"labels": {"plan": ["pro"]}}, {"event": "buy", "plan": "pro"}, ("pro",)),
    ("an unlisted one counts as other", {"labels": {"plan": ["pro"]}}, {"event": "buy", "plan": "x"}, ("other",)),
    ("a missing one counts as other", {"labels": {"plan": ["pro"]}}, {"event": "buy"}, ("other",)),
    ("a structure counts as other", {"labels": {"plan": ["pro"]}}, {"event": "buy", "plan": {}}, ("other",)),
    ("true as a label", {"labels": {"paid": ["true"]}}, {"event": "buy", "paid": True}, ("true",)),
    ("any value where none is listed", {"labels": {"plan": {}}}, {"event": "buy", "plan": "x"}, ("x",)),
    ("a label from a field of another name", {"labels": {"tier": {"field": "plan"}}}, {"event": "buy", "plan": "x"}, ("x",)),
    ("a value that is mapped", {"labels": {"plan": {"map": {"PRO": "pro"}, "values": ["pro"]}}}, {"event": "buy", "plan": "PRO"}, ("pro",)),
    ("a value of a thousand characters", {"labels": {"plan": {}}}, {"event": "buy", "plan": "x" * 1000}, ("other",)),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "event", "labels"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_event_counts_into_its_series(fields: dict[str, Any], event: dict[str, Any], labels: Any) -> None:
    one = engine(rule(**fields))
    tally = tallied(one, json.dumps(event).encode())
    assert counted(one, tally) == ({} if labels is None else {labels: 1})
    assert tally.matched == (labels is not None)
    assert tally.taken.unmatched == (labels is None)


BODIES = [
    ("one object", b'{"event": "buy"}', False, 1, []),
    ("an array", b'[{"event": "buy"}, {"event": "buy"}]', False, 2, []),
    ("lines", b'{"event": "buy"}\n{"event": "buy"}\n', True, 2, []),
    ("lines with carriage returns", b'{"event": "buy"}\r\n{"event": "buy"}\r\n', True, 2, []),
    ("empty lines are nothing", b'\n{"event": "buy"}\n\n', True, 1, []),
    ("lines that begin and end with spaces", b' {"event": "buy"} \n\t{"event": "buy"}\t\n', True, 2, []),
    ("an object that spans lines", b'{"event":\n"buy"}\n{"event": "buy"}', True, 1, [1, 2]),
    (
        "an object that goes on with an object",
        b'{"event": "buy", "n":\n{"event": "buy"}}\n{"event": "buy"}',
        True,
        1,
        [1, 2],
    ),
    ("a list that goes on with objects", b'{"event": "buy", "n": [\r\n{"a": 1}, \r\n{"a": 1}]}\n', True, 0, [1, 2, 3]),
    ("an object that was printed for people", b'{\n  "event": "buy"\n}\n', True, 0, [1, 2, 3]),
    ("two objects in a line", b'{"event": "buy"} {"event": "buy"}\n{"event": "buy"}', True, 1, [1]),
    ("one that spans lines and two in one", b'{"event":\n"buy"}{"event": "buy"}', True, 0, [1, 2]),
    ("a text that looks like two objects", b'{"event": "buy", "n": "} {"}\n{"event": "buy"}', True, 2, []),
    ("an object in an object", b'{"event": "buy", "n": {"a": {}}}\n{"event": "buy", "n": [{}]}', True, 2, []),
    ("no line at all", b"", True, 0, []),
    ("a bad line among good ones", b'{"event": "buy"}\n{oops\n{"event": "buy"}', True, 2, [2]),
    ("half a line at the end", b'{"event": "buy"}\n{"event": "b', True, 1, [2]),
    ("an array of other things", b'[3, {"event": "buy"}, null, {"name": "buy"}, {"event": 7}]', False, 1, [1, 3, 4, 5]),
    ("no JSON", b"hello", False, 0, [1]),
    ("nothing", b"", False, 0, [1]),
    ("bad UTF-8", b'{"event": "\xff"}', False, 0, [1]),
    ("a lone surrogate", b'{"event": "\\ud800"}', False, 0, [1]),
    ("NaN", b'{"event": "buy", "n": NaN}', False, 0, [1]),
    ("deep nesting", b'{"event": "buy", "n": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", False, 0, [1]),
]


@pytest.mark.parametrize(
    ("body", "ndjson", "events", "rejected"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_the_good_are_counted_and_the_bad_named_by_place(
    body: bytes, ndjson: bool, events: int, rejected: list[int]
) -> None:
    taken = tallied(engine(rule(where={})), body, ndjson).taken
    assert [reject.position for reject in taken.rejects] == rejected
    assert taken.events == events
    assert all(reject.reason for reject in taken.rejects)


@given(body=st.binary(max_size=300), ndjson=st.booleans())
def test_any_bytes_are_counted_or_rejected(body: bytes, ndjson: bool) -> None:
    tally = tallied(engine(rule()), body, ndjson)
    assert tally.matched <= tally.events


FRAGMENTS = [
    '{"event": "buy"}',
    '{"event": "buy", "n": [{"a": "}{"}]}',
    '{"event":',
    '"buy"',
    "}",
    "\n",
    "\r\n",
    " ",
    "\n",
]


@given(body=st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_a_bad_line_changes_nothing_for_the_others(body: str) -> None:
    alone, beside = (
        tallied(engine(rule()), given.encode(), ndjson=True).taken for given in (f"{body}\n", f"{body}\noops\n")
    )
    assert alone.events == beside.events
    assert [reject.position for reject in alone.rejects] == [reject.position for reject in beside.rejects][:-1]


def test_a_body_of_nothing_but_rubbish_is_counted_and_not_kept() -> None:
    tally = tallied(engine(rule()), b"x\n" * 50_000, ndjson=True)
    assert (tally.events, tally.taken.rejected, len(tally.taken.rejects)) == (0, 50_000, 20)
    assert len(tally.samples["not_json"]) == 20


def test_a_large_body_is_counted_in_pieces_and_its_lines_keep_their_numbers() -> None:
    lines = [b'{"event": "buy"}'] * 200_000
    lines[150_000] = b"oops"
    one = engine(rule())
    body = b"\n".join(lines)
    assert len(list(one.pieces(body, "ndjson"))) > 2
    tally = tallied(one, body, ndjson=True)
    assert (tally.events, [reject.position for reject in tally.rejects]) == (199_999, [150_001])


def test_in_a_large_body_of_log_lines_entries_stay_whole_however_long_they_are() -> None:
    joined = {
        "name": "java",
        "multiline": {"begins": r"^\d"},
        "patterns": [{"event": "failed", "pattern": "at a"}, {"event": "began", "pattern": r"^\d"}],
    }
    one = engine(rule(event="failed"), rule(name="s", metric="s_total", event="began"), logs=[joined])
    body = (b"1 x\n" + b"  at a\n" * 500_000) + b"2 y\n  at a\n3 z\n" * 200_000
    assert len(list(one.pieces(body, "lines"))) > 2
    tally = one.begin("http", NOW)
    for piece in one.pieces(body, "lines"):
        one.count(tally, piece, "lines")
    assert (tally.lines, sum(counted(one, tally).values())) == (400_001, 400_001)


CONTRACT = {
    "name": "buy",
    "fields": {
        "plan": {"values": ["free", "pro"], "required": True},
        "user": {"required": True},
        "amount": {"type": "number"},
        "items": {"type": "integer"},
        "gift": {"type": "boolean"},
        "at": {"type": "timestamp"},
    },
    "time": {"field": "at", "lateness": "1h"},
}
OTHER_CONTRACT = {"name": "sell", "fields": {"plan": {"type": "integer"}, "amount": {"type": "string"}}}
GOOD = {"event": "buy", "plan": "pro", "user": "u1", "amount": 3.5, "items": 2, "gift": False}
KEPT = [
    ("as agreed", GOOD, ""),
    ("a field that nobody named", {**GOOD, "more": {"a": 1}}, ""),
    ("null is absent", {**GOOD, "amount": None}, ""),
    ("a whole number is a number", {**GOOD, "amount": 3}, ""),
    ("a time of now", {**GOOD, "at": "2023-11-14T22:13:20Z"}, ""),
    ("a required field is missing", {"event": "buy", "plan": "pro"}, "missing"),
    ("a required field of a listed value is missing", {"event": "buy", "user": "u"}, "missing"),
    ("a required field is null", {**GOOD, "user": None}, "missing"),
    ("a value that is not allowed", {**GOOD, "plan": "gold"}, "not_allowed"),
    ("a number in the place of a text", {**GOOD, "user": 7}, "wrong_type"),
    ("a text in the place of a number", {**GOOD, "amount": "3"}, "wrong_type"),
    ("true is no number", {**GOOD, "amount": True}, "wrong_type"),
    ("a fraction of an item", {**GOOD, "items": 1.5}, "wrong_type"),
    ("3.0 items are 3", {**GOOD, "items": 3.0}, ""),
    ("3.0 where it is an integer here and text elsewhere", {"event": "sell", "plan": 3.0}, ""),
    ("3.5 there", {"event": "sell", "plan": 3.5}, "wrong_type"),
    ("1 is not true", {**GOOD, "gift": 1}, "wrong_type"),
    ("a list", {**GOOD, "user": ["u"]}, "wrong_type"),
    ("a time without its zone", {**GOOD, "at": "2023-11-14T22:13:20"}, "wrong_type"),
    ("a time of two hours ago", {**GOOD, "at": "2023-11-14T20:13:20Z"}, "late"),
    ("a clock that is a year ahead", {**GOOD, "at": "2024-11-14T22:13:20Z"}, "ahead"),
    ("an event that nobody declared may hold anything", {"event": "x", "plan": 3, "amount": []}, ""),
    ("another event has a contract of its own", {"event": "sell", "plan": 3, "amount": "7"}, ""),
    ("and breaks that", {"event": "sell", "plan": "pro"}, "wrong_type"),
]  # fmt: skip


@pytest.mark.parametrize("declared", ["integer", "number", "boolean"])
def test_true_is_not_1_in_an_event_whose_contract_does_not_name_what_anothers_does(declared: str) -> None:
    contracts = [{"name": "sell", "fields": {"n": {"type": declared}}}, {"name": "buy"}]
    one = engine(rule(labels={"n": ["1", "true"]}), events=contracts)
    tally = tallied(one, b"\n".join(b'{"event": "buy", "n": %s}' % n for n in (b"1", b"true", b"true")), ndjson=True)
    assert counted(one, tally) == {("1",): 1, ("true",): 2}


@pytest.mark.parametrize("logged", ["buy", "sell"], ids=["the event itself", "another event"])
@pytest.mark.parametrize("typed", ["integer", "number", "boolean"])
def test_true_is_not_1_where_a_log_pattern_gives_the_field_a_type(typed: str, logged: str) -> None:
    pattern = {"event": logged, "pattern": r"n=(?P<n>\w+)", "types": {"n": typed}}
    one = engine(rule(labels={"n": ["1", "true"]}), logs=[{"name": "l", "patterns": [pattern]}])
    tally = tallied(one, b"\n".join(b'{"event": "buy", "n": %s}' % n for n in (b"1", b"true", b"1.0", b"true")), True)
    one.count(tally, b"n=true\nn=1\n", "lines")
    lines = {("1",): 1, ("true",): 1} if typed != "boolean" else {("true",): 2}
    expected = Counter({("1",): 2, ("true",): 2}) + Counter(lines if logged == "buy" else {})
    assert counted(one, tally) == expected


@pytest.mark.parametrize("among_others", [False, True], ids=["alone", "among good ones"])
@pytest.mark.parametrize(("event", "why"), [row[1:] for row in KEPT], ids=[row[0] for row in KEPT])
def test_an_event_keeps_to_its_contract_or_is_rejected(event: dict[str, Any], why: str, among_others: bool) -> None:
    one = engine(rule(), events=[CONTRACT, OTHER_CONTRACT])
    events = [GOOD, event, GOOD] if among_others else [event]
    tally = tallied(one, "\n".join(map(json.dumps, events)).encode(), ndjson=True)
    assert dict(tally.rejected) == ({why: 1} if why else {})
    assert tally.events == len(events) - bool(why)
    if why:
        assert [reject.position for reject in tally.rejects] == [2 if among_others else 1]
        assert json.loads(tally.samples[why][0].raw) == event


HOUR = 3600.0
AT = "2023-11-14T22:13:20Z"
"""NOW."""
WAITED = [
    ("it waited for longer than the lateness", [AT], [NOW], NOW + 2 * HOUR, {}),
    ("it was late when it was sent", [AT], [NOW + 2 * HOUR], NOW + 2 * HOUR, {"late": 1}),
    ("it was ahead when it was sent", [AT], [NOW - HOUR], NOW + 2 * HOUR, {"ahead": 1}),
    ("each goes by its own message", [AT, AT, AT], [NOW, NOW + 2 * HOUR, NOW + HOUR], NOW + 9 * HOUR, {"late": 1}),
    ("its message says that it is yet to be sent", [AT], [NOW + 9 * HOUR], NOW, {}),
    ("both say so", ["2023-11-15T22:13:20Z"], [NOW + 24 * HOUR], NOW, {"ahead": 1}),
    ("its message is of a year that is none", [AT], [1e15], NOW, {}),
    ("nobody knows when it was sent", [AT], [], NOW + 2 * HOUR, {"late": 1}),
]


@pytest.mark.parametrize("form", ["records", "lines"])
@pytest.mark.parametrize(
    ("times", "sent", "now", "rejected"), [row[1:] for row in WAITED], ids=[row[0] for row in WAITED]
)
def test_what_waited_is_late_or_ahead_by_the_time_at_which_it_was_sent(
    times: list[str], sent: list[float], now: float, rejected: dict[str, int], form: Format
) -> None:
    logs = [
        {"name": "l", "patterns": [{"event": "buy", "pattern": r"(?P<user>\w+) buys (?P<plan>\w+) at (?P<at>\S+)"}]}
    ]
    one = engine(rule(), events=[CONTRACT], logs=logs)
    if form == "records":
        messages = [json.dumps({**GOOD, "at": at}).encode() for at in times]
    else:
        messages = [f"nothing\nu1 buys pro at {at}\n".encode() for at in times]
    tally = one.begin("shop", now, "part", [0.0, *sent] if sent else [])
    for piece in ([b"nothing"], messages):
        one.count(tally, piece, form)
        tally.before.append(piece)
    tally.rejected.pop("not_json", None)  # the first of the records
    assert (tally.rejected, tally.events) == (rejected, len(times) - sum(rejected.values()))


LOGGED = {
    "events": [
        {
            "name": "buy",
            "fields": {"plan": {"values": ["pro"]}, "at": {"type": "timestamp"}, "n": {"type": "integer"}},
            "time": {"field": "at"},
        }
    ],
    "logs": [
        {
            "name": "text",
            "multiline": {"begins": "^buy"},
            "patterns": [{"event": "buy", "pattern": r"^buy(?: (?P<plan>[a-z]+))?(?: (?P<n>\d+))?(?: (?P<at>2\S+))?$"}],
        },
        {"name": "json", "format": "json", "patterns": [{"event": "buy", "where": {"is": "buy"}}]},
    ],
}
LOST: list[tuple[str, str, bytes, str, int, bytes]] = [
    ("a value that is not allowed", "text", b"buy pro\r\n more\r\nbuy gold\r\n", "not_allowed", 3, b"buy gold"),
    ("text that is no number", "json", b'\n{"is": "buy"}\n{"is": "buy", "n": "x"}\n', "wrong_type", 3, b'{"is": "buy", "n": "x"}'),
    ("a time long past", "text", b"buy pro\nother\nbuy pro 2020-01-01T00:00:00Z\n", "late", 3, b"buy pro 2020-01-01T00:00:00Z"),
    ("no JSON", "json", b'{"is": "buy"}\n{oops\n', "not_json", 2, b"{oops"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("log", "body", "why", "position", "raw"), [row[1:] for row in LOST], ids=[row[0] for row in LOST]
)
def test_a_rejected_line_of_a_log_is_named_by_its_number(
    log: str, body: bytes, why: str, position: int, raw: bytes
) -> None:
    one = engine(rule(), **LOGGED)
    tally = one.begin("http", NOW)
    for piece in (b"buy pro\nbuy pro\n" if log == "text" else b'{"is": "buy"}\n' * 2, body):
        one.count(tally, piece, "lines", log)
        tally.before.append(piece)
    assert dict(tally.rejected) == {why: 1}
    assert [reject.position for reject in tally.rejects] == [2 + position]
    (sample,) = tally.samples[why]
    assert (sample.position, sample.raw, sample.event) == (2 + position, raw, "" if why == "not_json" else "buy")


def test_a_rejected_event_is_shown_with_its_name_as_far_as_it_has_one() -> None:
    one = engine(rule(), events=[CONTRACT])
    bad = {"event": "buy", "plan": "pro", "user": 7}, {"event": "buy", "plan": "pro"}, {"event": 3}
    tally = tallied(one, b"\n".join(json.dumps(event).encode() for event in bad), ndjson=True)
    assert {why: [(one.event, one.position) for one in found] for why, found in tally.samples.items()} == {
        "wrong_type": [("buy", 1)],
        "missing": [("buy", 2)],
        "no_event": [("", 3)],
    }


def test_an_event_of_an_undeclared_name_is_counted_as_unknown_and_shown() -> None:
    tally = tallied(engine(rule(), events=[CONTRACT]), b'{"event": "bye"}')
    assert (tally.events, tally.unknown, tally.matched) == (1, 1, 0)
    assert [sample.event for sample in tally.samples["unknown_event"]] == ["bye"]


def test_labels_of_the_source_are_believed_and_not_those_of_the_body() -> None:
    producers = [{"name": "web", "bearer_token_files": [__file__], "labels": {"app": "shop"}}]
    one = engine(rule(labels={"app": {}}), producers=producers)
    for source, labels in (("web", ("shop",)), ("http", ("",))):
        tally = tallied(one, b'{"event": "buy", "app": "forged"}', source=source)
        assert counted(one, tally) == {labels: 1}


@pytest.mark.parametrize(
    ("events", "source", "key"),
    [
        ([], "web", "shop"),
        ([], "http", ""),
        ([{"name": "buy", "fields": {"app": {}, "n": {"type": "integer"}}}], "web", "shop"),
        ([{"name": "buy", "fields": {"app": {}, "n": {"type": "integer"}}}], "http", "forged"),
    ],
    ids=["its own", "another's", "its own that is declared", "another's that is declared"],
)
@pytest.mark.parametrize("n", ["3", "3.0"], ids=["at the first look", "at the second look"])
def test_a_key_that_is_a_label_of_a_source_is_taken_from_no_body(
    events: list[Any], source: str, key: str, n: str
) -> None:
    producers = [{"name": "web", "bearer_token_files": [__file__], "labels": {"app": "shop"}}]
    names = {"name": "s", "metric": "s_total", "help": "S.", "owner": "me"}
    one = engine(events=events, producers=producers, sequences=[{**names, "key": "app", "silent": "buy", "for": "1h"}])
    tally = tallied(one, b'{"event": "buy", "app": "forged", "n": %s}' % n.encode(), source=source)
    assert (tally.rejected, list(one.sightings([tally]))) == ({}, [("s", "buy", key, (), NOW)])


@pytest.mark.parametrize("n", ["3", "3.0"], ids=["at the first look", "at the second look"])
def test_an_identity_that_is_a_label_of_the_source_is_taken_from_no_body(n: str) -> None:
    producers = [{"name": "web", "bearer_token_files": [__file__], "labels": {"app": "shop"}}]
    events = [{"name": "buy", "fields": {"app": {}, "n": {"type": "integer"}}}]
    one = engine(rule(kind="distinct", metric="apps", identity="app"), events=events, producers=producers)
    tallies = [
        tallied(one, b'{"event": "buy", "app": "%s", "n": %s}' % (forged, n.encode()), source="web")
        for forged in (b"a", b"b")
    ]
    assert text(one, *tallies)["apps"] == ['apps{period="day"} 1', 'apps{period="week"} 1']


@pytest.mark.parametrize("ndjson", [False, True])
@pytest.mark.parametrize(
    ("source", "event", "why"),
    [
        ("web", {"event": "buy"}, ""),
        ("web", {"event": "buy", "app": 7}, ""),
        ("web", {"event": "buy", "user": 7}, "wrong_type"),
        ("http", {"event": "buy"}, "missing"),
        ("http", {"event": "buy", "app": "shop"}, ""),
    ],
)
def test_a_required_field_that_the_source_has_is_not_missing(
    source: str, event: dict[str, Any], why: str, ndjson: bool
) -> None:
    producers = [{"name": "web", "bearer_token_files": [__file__], "labels": {"app": "shop"}}]
    contract = {"name": "buy", "fields": {"app": {"required": True}, "user": {}}}
    one = engine(rule(), events=[contract], producers=producers)
    assert dict(tallied(one, json.dumps(event).encode(), ndjson, source).rejected) == ({why: 1} if why else {})


MEASURED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("a sum", {"kind": "sum", "value": "n"}, ["m_total 6.5"]),
    ("a sum of cents, in whole units", {"kind": "sum", "value": {"field": "n", "unit": "cents"}}, ["m_total 0.065"]),
    ("the last value, of those at one time the greatest", {"kind": "last", "metric": "m", "value": "n"}, ["m 3.5"]),
    ("the distinct users of the day and the week", {"kind": "distinct", "metric": "m", "identity": "user"}, ['m{period="day"} 2', 'm{period="week"} 2']),
    ("a histogram, its bounds inclusive", {"kind": "histogram", "metric": "m", "value": "n", "buckets": [1, 2]}, ['m_bucket{le="1.0"} 1', 'm_bucket{le="2.0"} 2', 'm_bucket{le="+Inf"} 3', "m_sum 6.5", "m_count 3"]),
    ("a histogram of milliseconds, in seconds", {"kind": "histogram", "metric": "m", "value": {"field": "n", "unit": "ms"}, "buckets": [0.001, 0.002]}, ['m_bucket{le="0.001"} 1', 'm_bucket{le="0.002"} 2', 'm_bucket{le="+Inf"} 3', "m_sum 0.0065", "m_count 3"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "lines"), [row[1:] for row in MEASURED], ids=[row[0] for row in MEASURED])
def test_a_rule_takes_the_values_that_it_can(fields: dict[str, Any], lines: list[str]) -> None:
    one = engine(rule(**fields))
    values: list[dict[str, Any]] = [
        {"n": 1, "user": "a"},
        {"n": 3.5, "user": "a"},
        {"n": 2, "user": "b"},
        {"n": "x", "user": {}},
        {},
    ]
    first, second = (
        "\n".join(json.dumps({"event": "buy", **value}) for value in part).encode() for part in (values[:1], values[1:])
    )
    tallies = [tallied(one, first, ndjson=True), tallied(one, second, ndjson=True)]
    assert one.deltas(tallies)[1] == {"r": 2}
    assert text(one, *tallies)[fields.get("metric", "m_total")] == lines


def test_a_sum_takes_nothing_below_zero_for_a_counter_never_falls() -> None:
    one = engine(rule(kind="sum", value="n"))
    tally = tallied(one, b'[{"event": "buy", "n": 3}, {"event": "buy", "n": -2}]')
    assert one.deltas([tally])[1] == {"r": 1}
    assert text(one, tally)["m_total"] == ["m_total 3"]


def test_a_ratio_counts_all_and_the_good_ones() -> None:
    one = engine(rule(kind="ratio", good={"status": "ok"}))
    tally = tallied(one, b'[{"event": "buy", "status": "ok"}, {"event": "buy", "status": "bad"}, {"event": "buy"}]')
    shown = text(one, tally)
    assert shown["m_total"] == ["m_total 3"]
    assert shown["m_good_total"] == ["m_good_total 1"]
    assert shown["usage_rule_events_total"] == ['usage_rule_events_total{rule="r"} 3']


def test_declared_series_stand_at_zero_and_totals_stay_exact() -> None:
    one = engine(rule(labels={"plan": ["free", "pro"]}, minimum={"events": 30, "per": "1m"}))
    shown = text(one, tallied(one, b'[{"event": "buy", "plan": "pro"}, {"event": "buy", "plan": "gold"}]'))
    assert set(shown["m_total"]) == {'m_total{plan="free"} 0', 'm_total{plan="other"} 1', 'm_total{plan="pro"} 1'}
    assert shown["usage_rule_events_total"] == ['usage_rule_events_total{rule="r"} 2']
    assert shown["usage_rule_minimum_events_per_second"] == ['usage_rule_minimum_events_per_second{rule="r"} 0.5']


def test_beyond_its_cap_a_rule_counts_all_that_is_new_as_other() -> None:
    capped, free = rule(labels={"id": {}}, max_series=3), rule(name="s", metric="s_total", labels={"id": {}})
    one = engine(capped, free)
    body = b"\n".join(b'{"event": "buy", "id": %d}' % number for number in range(10))
    shown = text(one, tallied(one, body, ndjson=True))
    assert sorted(shown["m_total"]) == [
        'm_total{id="0"} 1',
        'm_total{id="1"} 1',
        'm_total{id="2"} 1',
        'm_total{id="other"} 7',
    ]
    assert len(shown["s_total"]) == 10
    assert 'usage_rule_overflows_total{rule="r"} 7' in shown["usage_rule_overflows_total"]


def test_two_rules_may_count_into_one_metric_and_add_up() -> None:
    one = engine(rule(name="a"), rule(name="b", event="sell"))
    assert text(one, tallied(one, b'[{"event": "buy"}, {"event": "sell"}]'))["m_total"] == ["m_total 2"]


@pytest.mark.parametrize("number", [AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 1])
def test_a_rule_shows_each_of_its_series_once_however_many_are_written_together(number: int) -> None:
    one = engine(rule(labels={"id": {}}, max_series=number))
    events = [{"event": "buy", "id": n} for n in range(number) for _ in range(1 + n % 3)]
    shown = text(one, tallied(one, json.dumps(events).encode()))["m_total"]
    assert shown == [f'm_total{{id="{n}"}} {1 + n % 3}' for n in range(number)]


def test_a_rule_with_thousands_of_combinations_declares_none() -> None:
    assert list(declared_labels(rule(labels={name: [str(n) for n in range(20)] for name in ("a", "b")}))) == []


def test_what_was_counted_before_a_reload_goes_on() -> None:
    book = Book()
    before = Engine(Usage(rules=(rule(),)), book, NOW)
    text(before, tallied(before, b'{"event": "buy"}'))
    after = Engine(Usage(rules=(rule(metric="renamed_total"), rule(name="new", metric="new_total"))), book, NOW)
    assert text(after, tallied(after, b'{"event": "buy"}'))["renamed_total"] == ["renamed_total 2"]


def test_an_idle_series_is_not_shown_until_it_grows_and_then_goes_on() -> None:
    one = engine(rule(labels={"id": {}}, expire="1h"))
    tally = tallied(one, b'{"event": "buy", "id": 1}')
    text(one, tally)
    collector = UsageCollector(tuple(one.rules))

    def lines(now: float) -> list[bytes]:
        return next(list(lines) for family, lines in collector.families(now) if family.name == "m_total")

    assert lines(NOW + 3000) == [b'm_total{id="1"} 1\n']
    assert b"".join(lines(NOW + 4000)) == b""
    (series,) = one.deltas([tally])[0]
    series.value, series.touched = 2, NOW + 5000
    assert lines(NOW + 5000) == [b'm_total{id="1"} 2\n']


HOSTILE = ('"', "\\", "\n", "\u202e", "{", "é" * 60, "\x00", "")


def test_hostile_values_without_end_take_no_more_than_the_caps_allow_and_disturb_no_other_rule() -> None:
    attacked = rule(labels={"id": {}}, max_series=100)
    calm = rule(name="calm", metric="calm_total", event="sell", labels={"plan": {}})
    one = engine(attacked, calm)
    number = 2 * MAX_PLANS + 1000
    events = [json.dumps({"event": "buy", "id": f"{HOSTILE[n % len(HOSTILE)]}{n}"}).encode() for n in range(number)]
    tally = tallied(one, b"\n".join(events) + b'\n{"event": "sell", "plan": "pro"}', ndjson=True)
    shown = text(one, tally)
    assert tally.events == tally.matched == number + 1
    assert len(shown["m_total"]) == 101
    assert f'm_total{{id="other"}} {number - 100}' in shown["m_total"]
    assert shown["calm_total"] == ['calm_total{plan="pro"} 1']
    assert all(len(plans) <= MAX_PLANS for plans in one._planner._plans.values())
    assert len(next(iter(parse("\n".join(["# TYPE m_total counter", *shown["m_total"], ""])))).samples) == 101


def openmetrics(engine: Engine, tally: Tally, more: More) -> str:
    for series, delta in engine.deltas([tally])[0].items():
        series.value = series.shelf.kind.add(series.value, delta)
    for series, exemplar in engine.exemplars([tally]).items():
        series.shelf.exemplars[series] = exemplar
    found = UsageCollector(tuple(engine.rules)).families(NOW, more=more)
    return render(found, openmetrics=True).decode() + "# EOF\n"


def test_an_event_stands_for_others_with_its_trace_and_openmetrics_can_read_it() -> None:
    one = engine(
        rule(exemplar="trace_id", labels={"plan": {}}),
        rule(
            name="h",
            kind="histogram",
            metric="took",
            value={"field": "ms", "unit": "ms"},
            buckets=[0.1, 1],
            exemplar="trace_id",
        ),
    )
    events = [
        {"plan": "pro", "ms": 20},
        {"plan": "pro", "ms": 250, "trace_id": "abc"},
        {"plan": "pro", "ms": 9, "trace_id": "x" * 200},
    ]
    tally = tallied(one, "\n".join(json.dumps({"event": "buy", **event}) for event in events).encode(), ndjson=True)
    text = openmetrics(one, tally, More(created=True, exemplars=True))
    assert 'm_total{plan="pro"} 3 # {trace_id="abc"} 1.0 1700000000\n' in text
    assert 'took_bucket{le="1.0"} 3 # {trace_id="abc"} 0.25 1700000000\n' in text
    assert 'm_created{plan="pro"} 1700000000\n' in text
    assert "took_created 1700000000\n" in text
    families = {family.name: family for family in parse_openmetrics(text)}
    assert [sample.exemplar.labels for sample in families["m"].samples if sample.exemplar] == [{"trace_id": "abc"}]
    plain = openmetrics(one, tally, More())
    assert "#" not in plain.replace("# HELP", "").replace("# TYPE", "").replace("# EOF", "")
    assert "_created" not in plain


FAR = 10**400
BEYOND: list[tuple[str, dict[str, Any], list[str]]] = [
    ("a sum", {"kind": "sum", "value": "n"}, ["m_total 2"]),
    ("a sum of hours", {"kind": "sum", "value": {"field": "n", "unit": "h"}}, ["m_total 7200"]),
    ("a histogram", {"kind": "histogram", "metric": "m", "value": "n", "buckets": [1]}, ['m_bucket{le="1.0"} 0', 'm_bucket{le="+Inf"} 1', "m_sum 2", "m_count 1"]),
    ("the last value", {"kind": "last", "metric": "m", "value": "n"}, ["m 2"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "lines"), [row[1:] for row in BEYOND], ids=[row[0] for row in BEYOND])
def test_numbers_beyond_all_reason_are_not_taken_and_break_nothing(fields: dict[str, Any], lines: list[str]) -> None:
    one = engine(rule(**fields))
    body = f'[{{"event": "buy", "n": 2}}, {{"event": "buy", "n": 1e308}}, {{"event": "buy", "n": -1e308}}, {{"event": "buy", "n": {FAR}}}]'
    tally = tallied(one, body.encode())
    if tally.rejected:  # the decoder may refuse so large a number, and then nothing of it is counted
        tally = tallied(one, b'[{"event": "buy", "n": 2}, {"event": "buy", "n": 1e308}, {"event": "buy", "n": -1e308}]')
    assert text(one, tally)[fields.get("metric", "m_total")] == lines


def test_one_bad_event_spoils_no_good_one_that_python_thinks_equal() -> None:
    contracts = [
        {"name": "a", "fields": {"ok": {"type": "boolean", "values": [True, False]}}},
        {"name": "b", "fields": {"ok": {"type": "integer"}}},
    ]
    one = engine(rule(event="a", where={"ok": True}), events=contracts)
    assert tallied(one, b'{"event": "a", "ok": 1}').rejected == {"wrong_type": 1}
    tally = tallied(one, b'{"event": "a", "ok": true}')
    assert (tally.matched, tally.rejected) == (1, {})


def test_of_two_events_on_a_line_none_is_counted_and_both_are_shown() -> None:
    one = engine(rule(), events=[{"name": "buy"}])
    tally = tallied(one, b'{"event": "zz"}{"event": "yy"}\n{"event": "buy"}', ndjson=True)
    assert (tally.events, tally.unknown, tally.matched) == (1, 0, 1)
    assert [one.raw for one in tally.samples["not_json"]] == [b'{"event": "zz"}{"event": "yy"}']


def test_keys_of_endless_texts_are_not_remembered() -> None:
    one = engine(rule(labels={"id": {}}))
    tallied(one, b"\n".join(b'{"event": "buy", "id": "%s"}' % (b"x" * 300 + b"%d" % n) for n in range(50)), ndjson=True)
    assert one._planner._plans["http"] == {}


LOG = {"name": "shop", "patterns": [{"event": "failed", "pattern": r"failed (?P<reason>\w+)"}]}


def test_a_patterns_event_that_comes_over_http_keeps_its_fields() -> None:
    contracts = [{"name": "buy", "fields": {"amount": {"type": "number"}}}]
    one = engine(rule(event="failed", labels={"reason": {}}), events=contracts, logs=[LOG])
    tally = tallied(one, b'{"event": "failed", "reason": "card", "amount": "much"}')
    assert counted(one, tally) == {("card",): 1}


def test_a_field_that_the_source_stands_for_is_not_missing() -> None:
    producers = [{"name": "web", "bearer_token_files": [__file__], "labels": {"app": "shop"}}]
    contracts = [{"name": "failed", "fields": {"reason": {}, "app": {"required": True}}}]
    one = engine(rule(event="failed", labels={"app": {}}), events=contracts, logs=[LOG], producers=producers)
    tally = one.begin("web", NOW)
    one.count(tally, b"failed card\nnothing\n", "lines")
    assert (tally.events, tally.rejected, counted(one, tally)) == (1, {}, {("shop",): 1})


def test_rules_of_log_lines_bind_no_event_that_has_a_field_of_that_name() -> None:
    one = engine(
        rule(event="failed", labels={"reason": {}}),
        rule(name="b", metric="b_total"),
        logs=[LOG],
        events=[{"name": "buy"}],
    )
    tally = tallied(
        one, b'[{"event": "buy", "reason": ["x"]}, {"event": "buy", "reason": 7}, {"event": "buy", "reason": "x"}]'
    )
    assert (tally.matched, tally.rejected) == (3, {})
    lines = one.begin("http", NOW)
    one.count(lines, b"failed card\nfailed bank\nfailed card\n", "lines")
    assert text(one, tally, lines)["m_total"] == ['m_total{reason="card"} 2', 'm_total{reason="bank"} 1']


STRICT = {"name": "buy", "fields": {"user": {"required": True}, "at": {"type": "timestamp"}}, "time": {"field": "at"}}
REJECTED = [
    ("a field is missing", {}, "missing"),
    ("a field has the wrong type", {"user": 3}, "wrong_type"),
    ("it is late", {"user": "u", "at": "2020-01-01T00:00:00Z"}, "late"),
]


@pytest.mark.parametrize(("fields", "why"), [row[1:] for row in REJECTED], ids=[row[0] for row in REJECTED])
def test_what_is_rejected_takes_no_room_from_what_is_counted(fields: dict[str, Any], why: str) -> None:
    ratio = rule(name="s", metric="s_total", kind="ratio", good={"plan": "a"}, labels={"plan": {}}, max_series=2)
    one = engine(rule(labels={"plan": {}}, max_series=2), ratio, events=[STRICT])
    bad = [{"event": "buy", "plan": f"bad {number}", **fields} for number in range(5)]
    assert tallied(one, json.dumps(bad).encode()).rejected == {why: 5}
    good = [{"event": "buy", "plan": plan, "user": "u"} for plan in ("a", "b")]
    tally = tallied(one, json.dumps([*good, *bad, *good]).encode())
    assert counted(one, tally) == {("a",): 2, ("b",): 2}
    assert all(set(shelf.series) == {("a",), ("b",)} for of in one.rules for shelf in of.shelves)
    assert all(shelf.overflowed == 0 for of in one.rules for shelf in of.shelves)


JAVA = {"name": "java", "multiline": {"begins": r"^\d"}, "patterns": [{"event": "failed", "pattern": "at a"}]}
MESSAGES = [
    ("an entry a message", [b"1 x\n at a", b"2 y\n at a"], 2, 2),
    ("one that begins with none", [b"1 x", b" at a\n at a", b" at a"], 3, 2),
    ("messages that end with line breaks", [b"1 x\n at a\n", b" at a\r\n", b"3 z\r\n at a\n4 z\n"], 4, 3),
    ("one that is no UTF-8", [b"1 \xff\xff\n at a", b"\xff at a", b"2"], 3, 2),
    ("an empty one", [b"1 x", b"", b" at a"], 3, 1),
    ("none", [], 0, 0),
]


@pytest.mark.parametrize(
    ("messages", "lines", "events"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES]
)
def test_entries_of_several_lines_stay_within_their_message(messages: list[bytes], lines: int, events: int) -> None:
    one = engine(rule(event="failed"), logs=[JAVA])
    tally = one.begin("kafka", NOW)
    one.count(tally, messages, "lines")
    assert (tally.lines, tally.events, tally.idle) == (lines, events, lines - events)


def test_what_is_rejected_of_messages_is_named_by_the_message_however_many_there_are() -> None:
    one = engine(
        rule(event="n"), logs=[{"name": "api", "format": "json", "patterns": [{"event": "n", "where": {"a": 1}}]}]
    )
    messages = [b'{"a": 1}\n{"a": 1}\n'] * 20_000
    messages[15_000] = b'{"a": 1}\noops'
    tally = one.begin("kafka", NOW)
    for piece in one.pieces(messages, "lines"):
        one.count(tally, piece, "lines")
        tally.before.append(piece)
    assert (tally.events, [reject.position for reject in tally.rejects]) == (39_999, [15_001])
    assert tally.samples["not_json"][0].raw == b"oops"
