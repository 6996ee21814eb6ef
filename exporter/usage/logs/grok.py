"""`%{NAME:field:type}` in a pattern -> the pattern of RE2 that it stands for. The names are in `grok.yml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import re2

from toolkit import configfile
from toolkit.configfile import Model, nearest

FieldType = Literal["string", "integer", "number", "boolean"]
FILE = Path(__file__).with_name("grok.yml")
_REFERENCE = re.compile(r"%\{([^}:]*)(?::([^}:]*))?(?::([^}]*))?\}")
_NAMED_GROUP = re.compile(r"\(\?P?<(\w+)>")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_ALIASES: Mapping[str, FieldType] = {"int": "integer", "long": "integer", "float": "number", "double": "number"}
"""What grok's users write."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Sample(Model):
    """A text that the pattern matches as a whole, and the fields that come of it."""

    text: str
    fields: dict[str, str | int | float | bool] = {}


class Definition(Model):
    """One name: the pattern, what it is for, texts that it matches and texts that it doesn't."""

    name: str
    pattern: str
    about: str = ""
    examples: tuple[Sample, ...] = ()
    refuses: tuple[str, ...] = ()


class _File(Model):
    definitions: tuple[Definition, ...]


@dataclass(frozen=True)
class Expanded:
    """A pattern without names of ours: `regex` is for RE2, `types` the types that stood in it, by field."""

    regex: str
    types: Mapping[str, FieldType] = field(default_factory=dict)

    @property
    def written(self) -> list[str]:
        """The name of each group as it stands there, also a second time, which RE2 does not mind."""
        return _NAMED_GROUP.findall(_ESCAPED.sub("", self.regex))

    @property
    def names(self) -> list[str]:
        """Its named groups, in their order. Raises re2.error where `regex` is none."""
        groups = re2.compile(self.regex, _quiet()).groupindex
        return sorted(groups, key=lambda name: int(groups[name]))


@cache
def definitions() -> Mapping[str, Definition]:
    """Every definition by its name."""
    return {one.name: one for one in configfile.load(FILE, _File).definitions}


def expand(pattern: str) -> Expanded:
    """Raises ValueError for a name or type that is not known, with the nearest one."""
    types: dict[str, FieldType] = {}

    def replaced(reference: re.Match[str]) -> str:
        name, field_name, kind = reference.groups()
        if name not in definitions():
            raise ValueError(f"no pattern is named '{name}'{nearest(name, definitions())}")
        inner = expand(definitions()[name].pattern)
        types.update(inner.types)
        if not field_name:
            return f"(?:{inner.regex})"
        types.update(_typed(field_name, kind))
        return f"(?P<{field_name}>{inner.regex})"

    return Expanded(_REFERENCE.sub(replaced, pattern), types)


def is_found(regex: str, line: str) -> bool:
    """Whether `line` holds what `regex` matches; what is no pattern is found nowhere."""
    try:
        return re2.compile(regex, _quiet()).search(line) is not None
    except re2.error:
        return False


def _typed(name: str, kind: str | None) -> Mapping[str, FieldType]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"the field '{name}' has to be of letters, digits and _")
    if kind is None:
        return {}
    found = _ALIASES.get(kind, kind)
    for known in get_args(FieldType):
        if found == known:
            return {name: known}
    raise ValueError(f"no type is named '{kind}'{nearest(kind, get_args(FieldType))}")


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options
