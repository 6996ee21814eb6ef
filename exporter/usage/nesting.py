"""Fields inside objects: `order.total` is the field `total` of the object `order`. Pure.

A field whose own name has dots is the same field: `{"order.total": 3}` and `{"order": {"total": 3}}` mean one thing, as
in lines of JSON logs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

MAX_STEPS = 8
"""An object may lie in so many others."""
SCALAR: Any = str | int | float | bool | None | UnsetType
Tree = dict[str, "Tree"]
"""The names inside an object, each with those inside it."""


@dataclass(frozen=True)
class Decoded:
    """What events are decoded into. `attributes` is where each field stands in the struct if it is no object's, `reads`
    the expression over `event` that reads it wherever it stands; `objects` what each object is decoded into."""

    struct: type
    attributes: Mapping[str, str]
    reads: Mapping[str, str]
    objects: Mapping[str, type]

    def column(self, field: str) -> Callable[[Any], Any]:
        """What reads a field of an event; UNSET where the event lacks it."""
        if is_path(field):
            return compiled(f"lambda event: {self.reads[field]}")
        return attrgetter(self.attributes[field])


def decoded(types: Mapping[str, Any]) -> Decoded:
    """The struct for fields of these types, `event` beside them."""
    attributes = {field: f"f{number}" for number, field in enumerate(types)}
    tree = _tree(filter(is_path, types))
    heads = {head: attributes.get(head, f"o{number}") for number, head in enumerate(tree)}
    objects: dict[str, type] = {}
    _enter(objects, tree, "", types)
    columns = {attributes[field]: _with(types[field], objects.get(field)) for field in types}
    columns |= {heads[head]: _with(None, objects[head]) for head in tree if head not in types}
    struct = msgspec.defstruct(
        "Event",
        [("event", str), *((attribute, of, UNSET) for attribute, of in columns.items())],
        rename={attribute: name for name, attribute in {**heads, **attributes}.items()},
        gc=False,  # holds nothing that could refer back to it
    )
    reads = {field: _read(field, attributes[field], tree, heads) for field in types}
    return Decoded(struct, {"event": "event", **attributes}, {"event": "event.event", **reads}, objects)


def compiled(expression: str) -> Callable[..., Any]:
    """The function that a lambda expression over names of ours (f0, o1, ...) is."""
    return cast("Callable[..., Any]", eval(expression, {"UNSET": UNSET}))  # noqa: S307 - as the docstring says


def _enter(objects: dict[str, type], tree: Tree, prefix: str, types: Mapping[str, Any]) -> None:
    """Makes the struct of each object in `tree`, the innermost first."""
    for name, below in tree.items():
        if below:
            inside = f"{prefix}{name}."
            _enter(objects, below, inside, types)
            fields = [_with(types.get(inside + one), objects.get(inside + one)) for one in below]
            columns = [(f"f{number}", of, UNSET) for number, of in enumerate(fields)]
            names = {f"f{number}": one for number, one in enumerate(below)}
            objects[prefix + name] = msgspec.defstruct("Object", columns, rename=names, gc=False)


def _with(leaf: Any, inner: type | None) -> Any:
    """The type of what is a field itself, an object with fields, or in different events both."""
    if inner is None:
        return leaf
    return inner | (None | UnsetType if leaf is None else SCALAR if leaf is Any else leaf)


def _read(field: str, attribute: str, tree: Tree, heads: Mapping[str, str]) -> str:
    if not is_path(field):
        return f"event.{attribute}"
    head, *steps = field.split(".")
    inside, found = tree[head], f"event.{heads[head]}"
    for step in steps:
        # what is no object has no such attribute
        found = f"getattr({found}, 'f{list(inside).index(step)}', UNSET)"
        inside = inside[step]
    return f"(event.{attribute} if event.{attribute} is not UNSET else {found})"


def _tree(paths: Iterable[str]) -> Tree:
    tree: Tree = {}
    for path in paths:
        inside = tree
        for step in path.split("."):
            inside = inside.setdefault(step, {})
    return tree


def is_path(field: str) -> bool:
    """Whether it may lie in an object: `event.id` may not, for `event` is the event's name."""
    return "." in field and not field.startswith("event.")


def steps_of(field: str) -> list[str]:
    """The names of the objects that a field may lie in, and its own."""
    return field.split(".") if is_path(field) else [field]


def problem(field: str) -> str:
    """Why `field` can't be a field's name, or nothing."""
    steps = field.split(".")
    if not all(steps):
        return f"'{field}' is no path: between dots there has to be a name"
    return f"'{field}' lies deeper than {MAX_STEPS} objects" if len(steps) > MAX_STEPS else ""


def ancestors(field: str) -> Iterator[str]:
    """The objects that a field lies in, the outermost first: `a` and `a.b` of `a.b.c`."""
    steps = steps_of(field)
    return (".".join(steps[:number]) for number in range(1, len(steps)))


def value_of(event: Mapping[str, Any], field: str) -> Any:
    """A field of an event that was decoded as plain JSON; None where it is absent or something is no object."""
    if field in event or not is_path(field):
        return event.get(field)
    head, _, rest = field.partition(".")
    inside: Any = event.get(head)
    for step in rest.split("."):
        inside = inside.get(step) if isinstance(inside, dict) else None
    return inside


def blocked(event: Mapping[str, Any], field: str) -> str:
    """Which of the objects that a field has to lie in is something else; nothing where none is."""
    for name in ancestors(field):
        value = value_of(event, name)
        if value is not None and not isinstance(value, dict):
            return name
    return ""
