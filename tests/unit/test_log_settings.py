"""The settings of logs: names of common formats, mistakes with their places, and examples that are run."""

from typing import Any

import pydantic
import pytest
import re2

from exporter.usage.logs import grok
from exporter.usage.logs.examples import failing
from exporter.usage.logs.reader import log_reader
from exporter.usage.logs.settings import LogPattern, LogSet, lint

PAYMENT = r"payment (?P<id>\w+) failed after (?P<ms>\d+) ms: (?P<reason>\w+)"


def log_set(*patterns: dict[str, Any], **more: Any) -> LogSet:
    return LogSet.model_validate({"name": "app", "patterns": patterns, **more})


# --- names of common formats


@pytest.mark.parametrize("name", grok.definitions())
def test_a_name_matches_its_examples_as_a_whole_and_tells_their_fields(name: str) -> None:
    definition = grok.definitions()[name]
    reader = log_reader(log_set({"event": "e", "pattern": f"^%{{{name}}}$"}))
    assert definition.examples
    for example in definition.examples:
        [(_, fields)] = reader.read(example.text.encode() or b"\n").events
        assert {key: fields.get(key) for key in example.fields} == example.fields
    for refused in definition.refuses:
        assert re2.compile(grok.expand(definition.pattern).regex).fullmatch(refused) is None


def test_a_name_with_a_field_and_a_type_becomes_a_typed_group() -> None:
    expanded = grok.expand("took %{NUMBER:ms:float} of %{INT:n:int} by %{WORD}")
    assert expanded.names == ["ms", "n"]
    assert expanded.types == {"ms": "number", "n": "integer"}


# --- mistakes in one pattern

MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("a name that is not known", {"pattern": "%{NUMBRE:ms}"}, "no pattern is named 'NUMBRE'; did you mean 'NUMBER'?"),
    ("a type that is not known", {"pattern": "%{INT:ms:intger}"}, "no type is named 'intger'; did you mean 'integer'?"),
    ("a field that can't be a group", {"pattern": "%{INT:a.b}"}, "the field 'a.b' has to be of letters, digits and _"),
    ("no pattern of RE2", {"pattern": "(?=a)b"}, "not a regular expression of RE2"),
    ("one group twice", {"pattern": r"\(?P<a> %{INT:a} %{INT:a}"}, "the group 'a' stands here twice"),
    ("neither pattern nor where", {}, "give a pattern, or where"),
    ("a group called event", {"pattern": "(?P<event>a)"}, "the field 'event' is the event's name"),
    ("a type for nothing", {"pattern": "a", "types": {"a": "whole"}}, "Input should be"),
    ("an example that matches nothing, with fields", {"pattern": "a", "examples": [{"line": "b", "matches": False, "fields": {"a": 1}}]}, "matches nothing has no fields"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_told(pattern: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError) as told:
        LogPattern.model_validate({"event": "e", **pattern})
    assert message in str(told.value)


# --- what contradicts something else

LINT: list[tuple[str, list[dict[str, Any]], list[tuple[tuple[int | str, ...], str]]]] = [
    ("nothing wrong", [{"patterns": [{"event": "e", "pattern": "%{INT:a}", "types": {"a": "integer"}}]}], []),
    ("a name twice", [{"patterns": [{"event": "e", "pattern": "a"}]}] * 2, [((1, "name"), "the name 'app' is used twice")]),
    ("a type for no group", [{"patterns": [{"event": "e", "pattern": "(?P<reason>a)", "types": {"raeson": "integer"}}]}], [((0, "patterns", 0, "types", "raeson"), "the pattern has no group 'raeson'; did you mean 'reason'?")]),
    ("an example's field that is no group", [{"patterns": [{"event": "e", "pattern": "(?P<ms>a)", "examples": [{"line": "a", "fields": {"mss": "a"}}]}]}], [((0, "patterns", 0, "examples", 0, "fields", "mss"), "the pattern has no group 'mss'; did you mean 'ms'?")]),
    ("fields of JSON asked of text", [{"patterns": [{"event": "e", "where": {"a": 1}}]}], [((0, "patterns", 0, "where"), "asks for fields of JSON; with format: text give a pattern")]),
    ("a message in text", [{"message": "msg", "patterns": [{"event": "e", "pattern": "a"}]}], [((0, "message"), "names a field of JSON; with format: text the whole line is searched")]),
    ("JSON of several lines", [{"format": "json", "multiline": {"begins": "a"}, "patterns": [{"event": "e", "where": {"a": 1}}]}], [((0, "multiline"), "a JSON line is whole; lines are joined with format: text")]),
]  # fmt: skip


@pytest.mark.parametrize(("logs", "problems"), [row[1:] for row in LINT], ids=[row[0] for row in LINT])
def test_a_contradiction_is_told_with_its_place(logs: list[dict[str, Any]], problems: list[Any]) -> None:
    assert list(lint(tuple(LogSet.model_validate({"name": "app", **one}) for one in logs))) == problems


# --- examples

EXAMPLES: list[tuple[str, dict[str, Any], str]] = [
    ("a line that matches with its fields", {"line": "payment a1 failed after 12 ms: card", "fields": {"id": "a1", "ms": 12}}, ""),
    ("a line that doesn't match and needn't", {"line": "payment a1 done", "matches": False}, ""),
    ("a line that should match", {"line": "payment a1 failed after 1.5 ms: card"}, r"doesn't match: it does up to 'payment (?P<id>\\w+) failed after (?P<ms>\\d+)', not with ' ms: (?P<reason>\\w+)'"),
    ("a line of another event", {"line": "refund a1 failed"}, "doesn't match: not even where the pattern begins; the line is refund_failed instead"),
    ("a line that shouldn't match", {"line": "payment a1 failed after 12 ms: card", "matches": False}, "matches, and shouldn't; it is payment_failed with id='a1', ms=12, reason='card'"),
    ("another value", {"line": "payment a1 failed after 12 ms: card", "fields": {"id": "a2"}}, "id is 'a1', not 'a2'"),
    ("another type", {"line": "payment a1 failed after 12 ms: card", "fields": {"ms": "12"}}, "ms is 12, not '12'"),
]  # fmt: skip


@pytest.mark.parametrize(("example", "problem"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES])
def test_an_example_is_run(example: dict[str, Any], problem: str) -> None:
    payment = {"event": "payment_failed", "pattern": PAYMENT, "types": {"ms": "integer"}, "examples": [example]}
    logs = [log_set({"event": "refund_failed", "pattern": "refund .* failed"}, payment)]
    assert list(failing(logs)) == ([((0, "patterns", 1, "examples", 0), problem)] if problem else [])


def test_an_example_of_json_is_a_line_of_json() -> None:
    examples = [
        {"line": '{"level": "error", "ms": 5}', "fields": {"ms": 5}},
        {"line": '{"level": "info"}'},
        {"line": "no JSON"},
    ]
    logs = [log_set({"event": "e", "where": {"level": "error"}, "examples": examples}, format="json")]
    assert [(location[-1], problem) for location, problem in failing(logs)] == [
        (1, "doesn't match"),
        (2, "doesn't match"),
    ]


def test_an_example_of_several_lines_is_one_entry() -> None:
    pattern = {"event": "e", "pattern": r"(?s)ERROR.*Pay\.java", "examples": [{"line": "2026 ERROR\n  at Pay.java"}]}
    assert list(failing([log_set(pattern, multiline={"begins": r"^\d{4}"})])) == []
    assert len(list(failing([log_set(pattern)]))) == 1
