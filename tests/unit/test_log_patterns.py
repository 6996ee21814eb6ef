"""Log lines become events: whatever finds them fast, RE2 run pattern by pattern on each line says what is right."""

import string
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from exporter.usage.logs import finder as finder_module
from exporter.usage.logs.entries import readable
from exporter.usage.logs.finder import LineFinder, finder
from exporter.usage.logs.greedy import greedy
from exporter.usage.logs.literals import Literal, prefix, required
from exporter.usage.logs.pattern import CompiledPattern
from exporter.usage.logs.reader import Event, JsonReader, Read, TextReader, log_reader
from exporter.usage.logs.settings import LogPattern, LogSet

PAYMENT = r"payment (?P<id>\w+) failed after (?P<ms>\d+) ms: (?P<reason>\w+)"


def logs(*patterns: dict[str, Any], **more: Any) -> LogSet:
    return LogSet.model_validate({"name": "app", "patterns": patterns, **more})


def text(*patterns: str, **more: Any) -> TextReader:
    return TextReader(logs(*({"event": f"e{number}", "pattern": one} for number, one in enumerate(patterns)), **more))


def truth(patterns: list[str], chunk: bytes) -> list[Event]:
    """What RE2 finds: nothing is looked for first, and nothing is left out."""
    compiled = [re2.compile(one) for one in patterns]
    found = []
    for line in readable(chunk).decode().split("\n"):
        for number, one in enumerate(compiled):
            match = one.search(line)
            if match:
                fields = {name: match[name] for name in one.groupindex if match[name] is not None}
                found.append((f"e{number}", fields))
    return found


# --- which lines are which events

LINES: list[tuple[str, dict[str, Any], bytes, list[Event]]] = [
    (
        "a line that matches",
        {"pattern": PAYMENT},
        b"x payment a1 failed after 12 ms: card y\n",
        [("e", {"id": "a1", "ms": "12", "reason": "card"})],
    ),
    ("a last line without a line break", {"pattern": "a(?P<b>.*)"}, b"abc", [("e", {"b": "bc"})]),
    ("a line that ends as on Windows", {"pattern": "^a(?P<b>.*)$"}, b"abc\r\nx\r\n", [("e", {"b": "bc"})]),
    (
        "typed groups",
        {"pattern": r"(?P<i>\S+) (?P<n>\S+) (?P<b>\S+)", "types": {"i": "integer", "n": "number", "b": "boolean"}},
        b"-7 1.5e3 TRUE\n",
        [("e", {"i": -7, "n": 1500.0, "b": True})],
    ),
    (
        "groups that are not of their type stay text",
        {"pattern": r"(?P<i>\S+) (?P<n>\S+) (?P<b>\S+)", "types": {"i": "integer", "n": "number", "b": "boolean"}},
        b"1_0 nan maybe\n",
        [("e", {"i": "1_0", "n": "nan", "b": "maybe"})],
    ),
    (
        "a number too large for any counter stays text",
        {"pattern": r"(?P<i>\d+) (?P<n>\S+)", "types": {"i": "integer", "n": "number"}},
        b"9999999999999999999 1e999\n",
        [("e", {"i": "9999999999999999999", "n": "1e999"})],
    ),
    (
        "a group that took no part is no field",
        {"pattern": r"paid(?: by (?P<who>\w+))?"},
        b"paid\npaid by me\n",
        [("e", {}), ("e", {"who": "me"})],
    ),
    ("a line that matches twice counts once", {"pattern": "card"}, b"card card card\n", [("e", {})]),
    (
        "a name of a common format, with a type",
        {"pattern": "%{IP:client} took %{NUMBER:ms:number}"},
        b"192.0.2.1 took 1.5 s\n",
        [("e", {"client": "192.0.2.1", "ms": 1.5})],
    ),
    ("no regard to case", {"pattern": "(?i)ERROR in (?P<where>[a-z]+)"}, b"error IN Pay\n", [("e", {"where": "Pay"})]),
    (
        "the Kelvin sign is a k without regard to case",
        {"pattern": "(?i)kelvin"},
        "K\nKELVIN\n".replace("K\n", "\u212aelvin\n").encode(),
        [("e", {}), ("e", {})],
    ),
    (
        "characters beyond ASCII",
        {"pattern": "Zahlung für (?P<who>.{3}) abgelehnt"},
        "Zahlung für Jür abgelehnt\n".encode(),
        [("e", {"who": "Jür"})],
    ),
    (
        "bytes that are not UTF-8 are replaced",
        {"pattern": "user (?P<who>.*) failed"},
        b"user J\xfcrgen failed\n",
        [("e", {"who": "J\ufffdrgen"})],
    ),
    ("a NUL byte", {"pattern": "a(?P<b>.)c"}, b"a\x00c\n", [("e", {"b": "\x00"})]),
    ("a vertical tab is no white space", {"pattern": r"a(?P<x>\S)b|c\sd"}, b"a\x0bb\nc\x0bd\n", [("e", {"x": "\x0b"})]),
    ("a vertical tab is none where a try is enough", {"pattern": r"abc\sdef"}, b"abc\x0bdef\nabc def\n", [("e", {})]),
    ("empty lines", {"pattern": "^$"}, b"\n\nx\n", [("e", {}), ("e", {})]),
    (
        "alternatives, each with a literal",
        {"pattern": "(?:timeout|refused) by (?P<who>.+)|gave up"},
        b"refused by x\ngave up\nno\n",
        [("e", {"who": "x"}), ("e", {})],
    ),
]


@pytest.mark.parametrize(("pattern", "chunk", "events"), [row[1:] for row in LINES], ids=[row[0] for row in LINES])
def test_a_line_becomes_an_event(pattern: dict[str, Any], chunk: bytes, events: list[Event]) -> None:
    assert log_reader(logs({"event": "e", **pattern})).read(chunk).events == events


def test_a_line_that_matches_two_patterns_is_an_event_of_each() -> None:
    read = text("card", r"(?P<n>\d+)", "nothing").read(b"7 by card\nno\ncard\n")
    assert read == Read(3, 1, 0, [("e0", {}), ("e1", {"n": "7"}), ("e0", {})])


def test_an_empty_line_that_two_patterns_match_is_one_line() -> None:
    assert text("^$", "^").read(b"\n\n") == Read(2, 0, 0, [("e0", {}), ("e1", {})] * 2)


def test_fields_that_nobody_asks_for_are_not_told_and_the_line_counts() -> None:
    settings = logs({"event": "a", "pattern": PAYMENT}, {"event": "b", "pattern": "(?P<x>failed)"})
    read = TextReader(settings, {"a": {"reason", "other"}}).read(b"payment a1 failed after 12 ms: card\n")
    assert read.events == [("a", {"reason": "card"}), ("b", {})]


def test_an_empty_chunk_holds_nothing() -> None:
    assert text("a").read(b"") == Read(0, 0, 0, [])


# --- long lines


def test_of_a_long_line_the_beginning_is_looked_at_and_it_is_counted_as_cut() -> None:
    reader = text("first", "second", max_bytes=256)
    long = b"first " + b"x" * 400 + b" second second\n"
    read = reader.read(b"second\n" + long * 3 + b"first")
    assert read == Read(5, 0, 3, [("e1", {}), *[("e0", {})] * 4])


@pytest.mark.parametrize("length", [255, 256, 257, 511, 512, 513, 1024])
def test_lines_are_cut_past_the_limit_alone(length: int) -> None:
    line = b"y" * length
    assert text("x", max_bytes=256).read(b"\n".join([line, b"x", line])).cut == 2 * (length > 256)


# --- hostile lines

HOSTILE = [
    ("bait for engines that go back", r"(?:a+)+b.*(?:a+)+c", b"a" * 60_000),
    ("a choice that overlaps in a loop", r"^(?:a|aa|a\w)+$", b"a" * 60_000 + b"!"),
    ("gaps between literals that never come", r"x.*x.*x.*x.*y", b"x" * 60_000),
    ("a word that begins everywhere", r"\w+\w+\w+ failed", b"w" * 60_000),
    ("a literal that stands everywhere", r"aaa(?P<x>b)", b"a" * 1_048_576),
    ("a megabyte of NUL", r"\x00+x", b"\x00" * 1_048_576),
    ("a megabyte that is not UTF-8", r"abc.*d", b"abc" + b"\xff" * 1_048_576),
    ("a literal on each of many lines", r"abc (?P<x>d)", b"abc\n" * 100_000),
]


@pytest.mark.parametrize(("pattern", "chunk"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_line_is_read_to_its_end(pattern: str, chunk: bytes) -> None:
    """An engine that goes back would take longer than the universe has for the first of them."""
    read = text(pattern).read(chunk + b"\nlast\n")
    assert read.entries == chunk.count(b"\n") + 2
    assert read.events == []


# --- whatever finds it, RE2 is right

_ATOMS = st.sampled_from([
    "a", "b", "ab", "abc", "bcd", "B", "k", " ", "é", ".", r"\d", r"\w", r"\s", r"\S", r"\b", "^", "$", "[ab]", "[^a]", r"[\w-]",
    r"\.", r"\Qa.b\E", "[]a]", "[[:alpha:]]", r"\x61", "{", "}", r"\t", "1", "12", "(?i)", "(?i:abc)", "(?-i)", "(?s:.)",
])  # fmt: skip
_QUANTIFIERS = st.sampled_from(
    ["", "", "", "", "*", "+", "?", "{2}", "{0,2}", "{0}", "{1,}", "*?", "+?", "{01}", "{,2}"]
)
_GROUPS = st.sampled_from(["({})", "(?:{})", "(?P<G>{})", "(?P<G>{})", "(?i:{})"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    branch = st.lists(st.tuples(inner, _QUANTIFIERS).map("".join), min_size=1, max_size=4).map("".join)
    choice = st.lists(branch, min_size=1, max_size=3).map("|".join)
    return st.tuples(_GROUPS, choice).map(lambda pair: pair[0].format(pair[1]))


_NODES = st.recursive(_ATOMS, _grown, max_leaves=8)
_SEQUENCES = st.lists(st.tuples(_NODES, _QUANTIFIERS).map("".join), min_size=1, max_size=6).map("".join)


def _named(pattern: str) -> str:
    for letter in string.ascii_lowercase:
        pattern = pattern.replace("<G>", f"<{letter}>", 1)
    return pattern


def _accepted(pattern: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error:
        return False
    return True


PATTERNS = st.lists(_SEQUENCES, min_size=1, max_size=2).map("|".join).map(_named).filter(_accepted)
CHUNKS = st.lists(st.text("abcdABkK 12.\té-{},\x0b", max_size=12), max_size=5).map(
    lambda lines: "\n".join(lines).encode()
)
BYTES = st.lists(st.binary(max_size=6), max_size=5).map(b"abc".join)


@given(st.lists(PATTERNS, min_size=1, max_size=4), CHUNKS | BYTES)
def test_what_is_found_fast_is_what_re2_finds(patterns: list[str], chunk: bytes) -> None:
    settings = logs(*({"event": f"e{number}", "pattern": f"(?:){one}"} for number, one in enumerate(patterns)))
    patterns = [one.pattern for one in settings.patterns]
    expected = [] if not chunk else truth(patterns, chunk.removesuffix(b"\n"))
    for find in (finder, LineFinder):
        assert TextReader(settings, find=find).read(chunk).events == expected


@given(PATTERNS, st.text("abcdABkK 12.\té-{},\x0b", max_size=14))
def test_a_greedy_match_is_the_one_of_re2(pattern: str, line: str) -> None:
    found = CompiledPattern(LogPattern(event="e", pattern=pattern)).fields_of(line)
    match = re2.compile(pattern).search(line)
    expected = match and {name: match[name] for name in re2.compile(pattern).groupindex if match[name] is not None}
    assert found == expected


@given(PATTERNS, st.text("abcdABkK 12.\té-{},", max_size=14))
def test_a_line_that_matches_holds_what_is_required(pattern: str, line: str) -> None:
    if re2.compile(pattern).search(line):
        for one in required(pattern):
            assert any(literal.text in (line.lower() if literal.caseless else line) for literal in one)
        assert prefix(pattern) in line


REQUIRED = [
    ("a literal with a group in it", "payment (?P<id>\\w+) failed", [{"payment "}, {" failed"}]),
    ("a group that goes on in what surrounds it", "pay(ment) failed", [{"payment failed"}]),
    ("a choice", "(?:timeout|refused) by", [{"timeout", "refused"}, {" by"}]),
    ("a choice at the top", "timeout at|refused", [{"timeout at", "refused"}]),
    ("a choice of which one is short", "(?:timeout|no) by", [{" by"}]),
    ("what may be left out", "paid(?: by card)? today", [{"paid"}, {" today"}]),
    ("what stands there once at least", "(?:abc)+def", [{"abc"}, {"def"}]),
    ("a character that may be left out", "abcd?efg", [{"abc"}, {"efg"}]),
    ("quoted text", r"\Qa.b*c\E", [{"a.b*c"}]),
    ("an escaped dot", r"example\.org", [{"example.org"}]),
    ("places take no room", r"^abc\bdef$", [{"abcdef"}]),
    ("a line break ends a literal", r"abc\ndef", [{"abc"}, {"def"}]),
    ("flags between a text and its repetition", "abcd(?i)*", []),
    ("nothing but sets", r"\d+ [a-z]*", []),
    ("a brace that is no repetition", "abc{x}", [{"abc{x}"}]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "expected"), [row[1:] for row in REQUIRED], ids=[row[0] for row in REQUIRED])
def test_literals_are_told_that_every_match_holds(pattern: str, expected: list[set[str]]) -> None:
    assert [{literal.text for literal in one} for one in required(pattern)] == expected


def test_without_regard_to_case_a_literal_is_in_small_letters() -> None:
    assert required("(?i)FAILED by NIL") == [frozenset({Literal("failed by nil", caseless=True)})]


def test_more_patterns_than_re2_has_room_for_are_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder_module, "SET_MEMORY", 4096)
    patterns = [rf"\d{{3}}{letter}\w{{30}}" for letter in "abcdefgh"]
    chunk = b"123c" + b"x" * 30 + b"\nno\n"
    assert text(*patterns).read(chunk) == Read(2, 1, 0, [("e2", {})])


GREEDY = [
    ("a literal, words and numbers", PAYMENT, True),
    ("a choice", "(?:GET|POST) (?P<path>/[^ ]*)", True),
    ("optional parts with loops in them", r"a(?: (\d+))?", True),
    ("a loop of a choice between characters", r'"(?:[^"\\]|\\.)*"', True),
    ("a loop in a loop", r"(?:a+)+", False),
    ("a loop of what may be empty", r"(?:a?)*", False),
    ("as little as possible", "a.*?b", False),
    ("flags", "(?i)abc", False),
    ("a class by its name", "[[:alpha:]]", False),
    ("a choice at the top", "a|b", False),
]


@pytest.mark.parametrize(("pattern", "is_known"), [row[1:] for row in GREEDY], ids=[row[0] for row in GREEDY])
def test_only_what_takes_linear_time_is_left_to_python(pattern: str, is_known: bool) -> None:
    assert (greedy(pattern, ()) is not None) == is_known


# --- entries of several lines

TRACE = (
    b"2026-11-21 ERROR pay failed\n  at Pay.java:7\r\n  at Main.java:1\n"
    b"2026-11-21 INFO ok\n"
    b"2026-11-21 ERROR pay failed\n  at Pay.java:9\n"
)
BEGINS = {"begins": r"^\d{4}-"}


def test_lines_are_joined_to_the_one_that_begins_the_entry() -> None:
    reader = text(r"(?s)ERROR (?P<what>[^\n]*)\n.*Pay\.java:(?P<line>\d+)", "INFO", multiline=BEGINS)
    events: list[Event] = [
        ("e0", {"what": "pay failed", "line": "7"}),
        ("e1", {}),
        ("e0", {"what": "pay failed", "line": "9"}),
    ]
    assert reader.read(TRACE) == Read(3, 0, 0, events)


def test_lines_before_the_first_beginning_are_an_entry() -> None:
    assert text("at (?P<x>.*)", multiline=BEGINS).read(b"  at a\n  at b\n2026-x\n").events == [("e0", {"x": "a"})]


@pytest.mark.parametrize(
    ("bounds", "found"), [({}, 1), ({"multiline": {**BEGINS, "max_lines": 3}}, 0), ({"max_bytes": 256}, 0)]
)
def test_of_an_entry_that_is_too_long_the_beginning_is_looked_at(bounds: dict[str, Any], found: int) -> None:
    reader = text("needle", "begin", **{"multiline": BEGINS, **bounds})
    read = reader.read(b"2026- begin\n" + b"x" * 100 + b"\ny\n" + b"z" * 200 + b"\nneedle needle\n2026- begin\n")
    assert [event for event, _ in read.events] == ["e0", "e1", "e1"][1 - found :]
    assert (read.entries, read.cut) == (2, 1 - found)


FINISHED = [
    ("whole lines", {}, b"a\nb\n", 4),
    ("half a line", {}, b"a\nb", 2),
    ("nothing whole", {}, b"ab", 0),
    ("an entry that may go on", {"multiline": BEGINS}, b"2026-a\n b\n2026-c\n d\n e", 10),
    ("one entry that may go on", {"multiline": BEGINS}, b"2026-a\n b\n", 0),
    ("an entry that is too long already", {"multiline": BEGINS, "max_bytes": 256}, b"2026-a\n" + b"x\n" * 200, 0),
    ("lines with carriage returns", {"multiline": {"begins": "^2026-.$"}}, b"2026-a\r\n b\r\n2026-c\r\n", 12),
    ("lines of JSON", {"format": "json"}, b"{}\n{", 3),
]  # fmt: skip


@pytest.mark.parametrize(("more", "chunk", "end"), [row[1:] for row in FINISHED], ids=[row[0] for row in FINISHED])
def test_a_source_holds_back_what_is_not_finished(more: dict[str, Any], chunk: bytes, end: int) -> None:
    where = {"where": {"a": 1}} if more.get("format") == "json" else {"pattern": "a"}
    assert log_reader(logs({"event": "e", **where}, **more)).finished(chunk) == end


# --- JSON

JSON: list[tuple[str, dict[str, Any], bytes, list[Event]]] = [
    ("a line that meets the condition", {"where": {"level": "error"}}, b'{"level": "error", "n": 1, "ok": true}', [("e", {"level": "error", "n": 1, "ok": True})]),
    ("a line that doesn't", {"where": {"level": "error"}}, b'{"level": "info"}', []),
    ("a condition with a pattern", {"where": {"status": {"regex": "5.."}}}, b'{"status": 503}', [("e", {"status": 503})]),
    ("true is not 1", {"where": {"ok": True}}, b'{"ok": 1}\n{"ok": true}', [("e", {"ok": True})]),
    ("the message is searched", {"pattern": PAYMENT}, b'{"message": "payment a1 failed after 12 ms: card"}', [("e", {"message": "payment a1 failed after 12 ms: card", "id": "a1", "ms": "12", "reason": "card"})]),
    ("a message that is no text", {"pattern": PAYMENT}, b'{"message": 7}', []),
    ("objects in it have dotted names", {"where": {"http.status": 500}}, b'{"http": {"status": 500, "tags": [1], "x": null}}', [("e", {"http.status": 500})]),
    ("text that has to be a number", {"where": {"a": "1"}, "types": {"a": "integer"}}, b'{"a": "1"}', [("e", {"a": 1})]),
    ("a field that is named as the event is not told", {"where": {"a": 1}}, b'{"a": 1, "event": "x"}', [("e", {"a": 1})]),
    ("an emoji as JSON escapes it", {"pattern": "pay (?P<x>.) now"}, rb'{"message": "pay \ud83d\ude00 now"}', [("e", {"message": "pay 😀 now", "x": "😀"})]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "chunk", "events"), [row[1:] for row in JSON], ids=[row[0] for row in JSON])
def test_a_json_line_becomes_an_event(pattern: dict[str, Any], chunk: bytes, events: list[Event]) -> None:
    assert log_reader(logs({"event": "e", **pattern}, format="json")).read(chunk).events == events


def test_a_line_that_is_no_json_object_is_named_and_the_others_count() -> None:
    reader = JsonReader(logs({"event": "e", "where": {"a": 1}}, format="json", max_bytes=256))
    bad = [b'{"a": ', b"[1]", b"\x00", b'{"a": "' + b"x" * 400 + b'"}', b"[" * 200, rb'{"a": "\ud800"}', b'{"a": NaN}']
    read = reader.read(b'{"a": 1}\n\n' + b"\n".join(bad) + b'\n{"a": 2}\n')
    assert [reject.position for reject in read.rejects] == list(range(3, 10))
    assert (read.entries, read.unmatched, read.cut, len(read.events)) == (10, 2, 1, 1)


def test_of_a_json_line_only_wanted_fields_are_told() -> None:
    reader = log_reader(logs({"event": "e", "pattern": "(?P<x>a)(?P<y>b)"}, format="json"), {"e": {"x", "z"}})
    assert reader.read(b'{"message": "ab", "z": 1, "w": 2}').events == [("e", {"x": "a", "z": 1})]
