"""The examples in the configuration -> what is wrong with them, so that a pattern is tried before it counts."""

from collections.abc import Iterable, Iterator, Sequence

from exporter.usage.logs import grok
from exporter.usage.logs.fields import Value
from exporter.usage.logs.reader import Event, log_reader
from exporter.usage.logs.settings import Example, LogPattern, LogSet
from toolkit.configfile import Location

SHOWN = 60
"""Characters of a text that a message shows."""


def failing(logs: Iterable[LogSet]) -> Iterator[tuple[Location, str]]:
    """Each example that doesn't hold, with what came instead. Locations start in `logs`."""
    for index, one in enumerate(logs):
        for number, pattern in enumerate(one.patterns):
            for place, example in enumerate(pattern.examples):
                problem = _problem(one, number, example)
                if problem:
                    yield (index, "patterns", number, "examples", place), problem


def _problem(one: LogSet, number: int, example: Example) -> str:
    """In words, or nothing. The line is read with the other patterns of its log too, to tell which matches instead."""
    pattern = one.patterns[number]
    alone = _read(one, [pattern], example.line)
    if not example.matches:
        return f"matches, and shouldn't; it is {pattern.event} with {_shown(alone[0][1])}" if alone else ""
    if not alone:
        return f"doesn't match{_how_far(one, pattern, example.line)}{_instead(one, example.line)}"
    found = alone[0][1]
    wrong = [name for name, value in example.fields.items() if not _same(found.get(name), value)]
    return "; ".join(f"{name} is {_text(found.get(name))}, not {_text(example.fields[name])}" for name in wrong)


def _read(one: LogSet, patterns: Sequence[LogPattern], line: str) -> list[Event]:
    settings = one.model_copy(update={"patterns": tuple(patterns)})
    return log_reader(settings).read(line.encode(errors="replace")).events


def _how_far(one: LogSet, pattern: LogPattern, line: str) -> str:
    """Up to where the pattern goes along with the line: the mistake is behind that."""
    if one.format != "text":
        return ""
    whole = grok.expand(pattern.pattern).regex
    for end in range(len(whole) - 1, 0, -1):
        if grok.is_found(whole[:end], line):
            return f": it does up to {_text(whole[:end][-SHOWN + 2 :])}, not with {_text(whole[end:])}"
    return ": not even where the pattern begins"


def _instead(one: LogSet, line: str) -> str:
    others = sorted({event for event, _ in _read(one, one.patterns, line)})
    return f"; the line is {', '.join(others)} instead" if others else ""


def _same(found: Value | None, wanted: Value) -> bool:
    return type(found) is type(wanted) and found == wanted


def _shown(fields: dict[str, Value]) -> str:
    return ", ".join(f"{name}={_text(value)}" for name, value in fields.items()) or "no fields"


def _text(value: Value | None) -> str:
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]}...{text[-1]}"
