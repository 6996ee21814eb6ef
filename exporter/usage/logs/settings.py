"""What `logs:` in `config/exporter.yml` says: which lines are which events, and what they hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from exporter.usage.condition import Condition, Scalar
from exporter.usage.logs import grok
from exporter.usage.logs.grok import FieldType
from toolkit.configfile import Duration, Location, Model, Name, Regex, nearest, regex

LineFormat = Literal["text", "json"]


def _pattern(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be a regular expression")
    twice = [name for name, times in Counter(grok.expand(value).written).items() if times > 1]
    if twice:
        raise ValueError(f"the group '{twice[0]}' stands here twice")
    regex(grok.expand(value).regex)
    return value


class Example(Model):
    """A line, and what has to come of it: a match with at least these fields, or none."""

    line: str
    matches: bool = True
    fields: dict[str, Scalar] = {}

    @pydantic.model_validator(mode="after")
    def _has_fields_where_it_matches(self) -> "Example":
        if self.fields and not self.matches:
            raise ValueError("a line that matches nothing has no fields")
        return self


class LogPattern(Model):
    """Lines that are the event `event`: those that `pattern` is found in (RE2, with `%{NAME:field:type}` for the common
    formats), and whose fields meet `where` (JSON alone). Its named groups are the event's fields, text unless `types`
    says otherwise."""

    event: str = Field(min_length=1, max_length=200)
    pattern: Annotated[str, pydantic.PlainValidator(_pattern)] = ""
    where: dict[str, Condition] = {}
    types: dict[str, FieldType] = {}
    examples: tuple[Example, ...] = ()

    @pydantic.model_validator(mode="after")
    def _says_which_lines(self) -> "LogPattern":
        if not self.pattern and not self.where:
            raise ValueError("give a pattern, or where (for JSON), or every line would be this event")
        if "event" in grok.expand(self.pattern).names:
            raise ValueError("the field 'event' is the event's name; call the group otherwise")
        return self


class Multiline(Model):
    """Lines in which `begins` is not found belong to the line before, `max_lines` of them at most. In a file an entry
    is over when the next begins, or when nothing was written for `quiet` seconds."""

    begins: Regex
    max_lines: int = Field(default=500, ge=2, le=100_000)
    quiet: Duration = Field(default=5.0, gt=0)


class LogSet(Model):
    """One kind of log. Of a line, or of lines joined by `multiline`, the first `max_bytes` are looked at."""

    name: Name
    format: LineFormat = "text"
    message: str = Field(default="message", min_length=1)
    multiline: Multiline | None = None
    max_bytes: int = Field(default=65_536, ge=256, le=16_777_216)
    patterns: tuple[LogPattern, ...] = Field(min_length=1)


def lint(logs: tuple[LogSet, ...]) -> Iterator[tuple[Location, str]]:
    """What contradicts something else. Locations start in `logs`."""
    names: set[str] = set()
    for index, one in enumerate(logs):
        if one.name in names:
            yield (index, "name"), f"the name '{one.name}' is used twice"
        names.add(one.name)
        yield from _of_the_format(one, (index,))
        for number, pattern in enumerate(one.patterns):
            yield from _types(one, pattern, (index, "patterns", number))


def _of_the_format(one: LogSet, at: Location) -> Iterator[tuple[Location, str]]:
    if one.format == "json":
        if one.multiline:
            yield (*at, "multiline"), "a JSON line is whole; lines are joined with format: text"
        return
    if "message" in one.model_fields_set:
        yield (*at, "message"), "names a field of JSON; with format: text the whole line is searched"
    for number, pattern in enumerate(one.patterns):
        if pattern.where:
            yield (*at, "patterns", number, "where"), "asks for fields of JSON; with format: text give a pattern"


def _types(one: LogSet, pattern: LogPattern, at: Location) -> Iterator[tuple[Location, str]]:
    if one.format == "json":
        return  # any name may be a field of the line
    known: Mapping[str, Any] = dict.fromkeys(grok.expand(pattern.pattern).names)
    for field in pattern.types:
        if field not in known:
            yield (*at, "types", field), f"the pattern has no group '{field}'{nearest(field, known)}"
    for number, example in enumerate(pattern.examples):
        for field in example.fields:
            if field not in known:
                where = (*at, "examples", number, "fields", field)
                yield where, f"the pattern has no group '{field}'{nearest(field, known)}"
