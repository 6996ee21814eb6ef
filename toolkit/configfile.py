"""Reads a YAML file into a frozen pydantic model, or tells every problem with file, line, column and nearest name."""

import difflib
import ipaddress
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

import pydantic
import re2
import yaml
from pydantic_core import ErrorDetails

from toolkit.clock import parse_duration
from toolkit.redaction import masked
from toolkit.secretfile import SecretFile, SecretUnreadable

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 200_000
"""An alias is expanded where it is used, so 289 bytes can mean millions of values; past this many we refuse."""
MOST_NAMED = 12
"""Of more known names than this the rest is counted: a wall of names hides the mistake."""

Location = tuple[int | str, ...]
"""The way to a value: `("providers", 2, "interval")`."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a configuration file. `line` and `column` count from 1."""

    file: Path
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        # a key may stand where its file's name belongs, or in a URL
        return f"{self.file}:{self.line}:{self.column}: {masked(self.message)}"


class ConfigError(Exception):
    """The file can't be used. `problems` is never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(map(str, self.problems)))


class Model(pydantic.BaseModel):
    """The base of every configuration model: frozen, and strict about unknown keys."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


M = TypeVar("M", bound=Model)
Lint = Callable[[M], Iterable[tuple[Location, str]]]
"""Checks that need the whole file, such as a name used twice: yields (location, message)."""


def load(path: Path, model: type[M], lint: Lint[M] = lambda _: ()) -> M:
    """The file at `path` as a `model`. Raises ConfigError with every problem found; reads nothing but the file and
    the secret files it names (relative paths start at the file's folder)."""
    data, positions = _read(path)
    try:
        config = model.model_validate(data, context={"base": path.parent})
    except pydantic.ValidationError as error:
        raise ConfigError(_problem(path, model, positions, detail) for detail in _causes(error.errors())) from None
    found = [_at(path, positions, location, f"{_dotted(location)}: {text}") for location, text in lint(config)]
    if found:
        raise ConfigError(found)
    return config


def nearest(name: str, known: Iterable[str], listed_by: str = "") -> str:
    """`"; did you mean 'x'?"` for the known name closest to `name`, else the known names, else nothing.

    `listed_by` is the command that lists all of them, named where they are too many to be shown.
    """
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    rest = len(choices) - MOST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    hint = f" ({listed_by} lists them)" if listed_by and more else ""
    return f"; known: {', '.join(choices[:MOST_NAMED])}{more}{hint}" if choices else ""


# --- YAML with positions -----------------------------------------------------------------------------------------


Positions = dict[Location, tuple[int, int]]


def _read(path: Path) -> tuple[Any, Positions]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(path, 1, 1, f"can't read the file: {error.strerror}")]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError([Problem(path, 1, 1, f"larger than {MAX_BYTES} bytes")])
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(raw)
        root = loader.get_single_node()
        return _Walk(path, loader).value(root) if root is not None else ({}, {})
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        text = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem(path, line, column, f"not valid YAML: {text}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError([Problem(path, 1, 1, f"not valid YAML: {error}")]) from None
    except RecursionError:
        raise ConfigError([Problem(path, 1, 1, "not valid YAML: nested too deeply")]) from None
    finally:
        if loader is not None:
            loader.dispose()


class _Walk:
    """Turns a node tree into plain values and remembers where each stood."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self._path, self._loader, self._nodes = path, loader, 0
        self._positions: Positions = {}

    def value(self, root: yaml.Node) -> tuple[Any, Positions]:
        return self._convert(root, ()), self._positions

    def _convert(self, node: yaml.Node, location: Location) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(node, f"more than {MAX_NODES} values once its aliases are expanded")
        self._positions.setdefault(location, _mark(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._convert(child, (*location, index)) for index, child in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ValueError, LookupError, AttributeError):
            # 2026-13-01 has the looks of a date and is none: as text it is refused at its place, beside other mistakes
            return node.value

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        self._loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key: Hashable = self._scalar(key_node)
            if isinstance(key, bool):
                key = key_node.value  # YAML 1.1 reads `on` and `no` as truths, and a key is none
            if not isinstance(key, str):
                raise self._error(key_node, f"the key {key!r} is no text; put it in quotes")
            if key in result:
                raise self._error(key_node, f"the key '{key}' stands here twice")
            self._positions[(*location, key)] = _mark(key_node)
            result[key] = self._convert(value_node, (*location, key))
        return result

    def _error(self, node: yaml.Node, message: str) -> ConfigError:
        line, column = _mark(node)
        return ConfigError([Problem(self._path, line, column, message)])


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


# --- From pydantic's errors to ours ------------------------------------------------------------------------------


def _causes(details: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Without what pydantic adds because of others: a default that waits for another field, and a list that is too
    short without the items that are wrong."""
    broken = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    for detail in details:
        kind = detail["type"]
        if kind != "default_factory_not_called" and not (kind == "too_short" and detail["loc"] in broken):
            yield detail


def _problem(path: Path, model: type[Model], positions: Positions, detail: ErrorDetails) -> Problem:
    location = _in_file(tuple(detail["loc"]), positions, model)
    where = _dotted(location) or "the file"
    if detail["type"] == "extra_forbidden":
        known = _fields(model, location[:-1])
        told = "can't stand beside the other keys here" if location[-1] in known else "unknown key"
        hint = "" if location[-1] in known else nearest(str(location[-1]), known)
        return _at(path, positions, location, f"{where}: {told}{hint}")
    if detail["type"] == "missing":
        return _at(path, positions, location, f"{where}: required, but missing")
    return _at(path, positions, location, f"{where}: {_words(detail)}")


_PLAIN = {
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a mapping, with a key and a value on each line",
    "model_type": "should be a mapping, with a key and a value on each line",
    "string_type": "should be text (in quotes)",
}
"""The kinds of value in YAML's words; pydantic has Python's."""


def _words(detail: ErrorDetails) -> str:
    if detail["type"] in _PLAIN:
        return _PLAIN[detail["type"]]
    message = detail["msg"].removeprefix("Value error, ")
    hint = _network(str(detail["input"])) if detail["type"] == "ip_any_network" else ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        close = difflib.get_close_matches(detail["input"], re2.findall("'([^']+)'", detail["ctx"]["expected"]), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"{message[:1].lower()}{message[1:]}{hint}"


def _network(address: str) -> str:
    """A hint at the network that `10.0.0.1/8` is an address of; nothing for what is no address at all."""
    try:
        return f"; did you mean '{ipaddress.ip_network(address, strict=False)}'?"
    except ValueError:
        return ""


def _in_file(location: Location, positions: Positions, model: type[Model]) -> Location:
    """`location` without the parts that pydantic adds for the members of a union: they stand in no file."""
    found: Location = ()
    for place, part in enumerate(location):
        is_last = place == len(location) - 1
        if (*found, part) in positions or (is_last and part in _fields(model, found)):
            found = (*found, part)
    return found


def _at(path: Path, positions: Positions, location: Location, message: str) -> Problem:
    """The problem at the nearest place that stands in the file: the value itself, else what should hold it."""
    while location not in positions and location:
        location = location[:-1]
    line, column = positions.get(location, (1, 1))
    return Problem(path, line, column, message)


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _fields(model: type[Model], location: Location) -> list[str]:
    """The keys allowed at `location` below `model`."""
    kind: Any = model
    for part in location:
        models = _models(kind)
        if models and isinstance(part, str) and part in models[0].model_fields:
            kind = models[0].model_fields[part].annotation
        else:
            kind = next(iter(_inner(kind)), None)
    return [field.alias or name for found in _models(kind) for name, field in found.model_fields.items()]


def _models(kind: Any) -> list[type[Model]]:
    if isinstance(kind, type) and issubclass(kind, Model):
        return [kind]
    if get_origin(kind) in (Union, types.UnionType, Annotated):
        return [found for part in get_args(kind) for found in _models(part)]
    return []


def _inner(kind: Any) -> list[Any]:
    """What a container holds: `tuple[X, ...]`, `list[X]` and `dict[str, X]` hold X."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType, Annotated):
        return [held for part in args for held in _inner(part)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return [args[1]]
    return [args[0]] if args else []


# --- Field types -------------------------------------------------------------------------------------------------


def _duration(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration; write it with a unit, like 30s or 5m")
    return parse_duration(value)


def _path(value: object, info: pydantic.ValidationInfo) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError("should be a path")
    base: Path = (info.context or {}).get("base", Path())
    return base / value


def _existing(value: object, info: pydantic.ValidationInfo) -> Path:
    path = _path(value, info)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    return path


def _secret(value: object, info: pydantic.ValidationInfo) -> SecretFile:
    secret = SecretFile(_path(value, info))
    try:
        secret.read()
    except SecretUnreadable as error:
        raise ValueError(str(error)) from None
    return secret


def _http_url(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be a URL")
    try:
        split = urlsplit(value)
        valid = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() for character in value):
        raise ValueError("this is not an http:// or https:// URL")
    if split.username or split.password:
        raise ValueError("a URL must not hold credentials; use a secret file")
    return value


def regex(value: object) -> str:
    """A pattern that RE2 can read. Raises ValueError with the reason."""
    if not isinstance(value, str):
        raise ValueError("should be a regular expression")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a regular expression of RE2: {text}") from None
    return value


Name = Annotated[str, pydantic.Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
"""A name that becomes a label value."""
Duration = Annotated[float, pydantic.BeforeValidator(_duration)]
"""Seconds, written as a Prometheus duration."""
FilePath = Annotated[Path, pydantic.PlainValidator(_path)]
"""A path; a relative one starts at the configuration file's folder."""
ExistingFile = Annotated[Path, pydantic.PlainValidator(_existing)]
"""The path of a file that can be read when the configuration is loaded."""
Secret = Annotated[SecretFile, pydantic.PlainValidator(_secret)]
"""A secret's file, which must be readable when the configuration is loaded."""
HttpUrl = Annotated[str, pydantic.PlainValidator(_http_url)]
Regex = Annotated[str, pydantic.PlainValidator(regex)]
"""A pattern of RE2: matching takes linear time whatever the text."""
