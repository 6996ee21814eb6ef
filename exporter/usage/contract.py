"""What producers agreed to send -> how a body is decoded, and what of an event breaks the agreement. Pure.

msgspec decodes only the fields that somebody asks for, into one struct for all events, and checks their types as it
does so. What is left is checked once for each combination of values (required fields, allowed values) or once for a
group of events (fields with too many values to be combined).
"""

import datetime
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UnsetType

from exporter.usage.nesting import SCALAR, Decoded, ancestors, blocked, compiled, decoded, problem, value_of
from exporter.usage.sequences.settings import SequenceSettings
from exporter.usage.settings import EventContract, FieldContract, FieldType, Usage, UsageRule, fields_of_logs
from toolkit.configfile import Location

Event = Any
"""One decoded event: `event`, and an attribute for each field that is asked for (see `Shape.attributes`)."""
Key = tuple[Any, ...]
"""What tells groups of events apart: the values of `Shape.dimensions`, the event's name first."""

_DECODED: Mapping[FieldType, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "timestamp": Annotated[datetime.datetime, msgspec.Meta(tz=True)],
}
_TYPES: Mapping[FieldType, frozenset[type]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "timestamp": frozenset({datetime.datetime}),
}
_TEXT: Any = str | None | UnsetType
_ANY_TYPE: frozenset[FieldType] = frozenset({"string", "number", "boolean"})
MOST_NAMED = 8
"""So many allowed values are named in a reject."""
MAX_INTEGER = 2**63
"""An integer is smaller than this."""
_STRUCTURES = (list, dict, msgspec.Struct)
_ABSENT: frozenset[type] = frozenset({UnsetType, type(None)})


REASONS = ("not_json", "no_event", "wrong_type", "missing", "not_allowed", "late", "ahead", "defect")
"""Why an event is rejected, all there is."""


Follow = Callable[[Sequence[Event], Callable[[Key], Any]], list[Any]]
"""(events, what knows a key) -> what it knows of each event's key."""


@dataclass(frozen=True)
class Breach:
    """What of an event breaks its contract. `why` is one of REASONS, `detail` a sentence, `event` its name if known."""

    why: str
    detail: str
    event: str = ""


@dataclass(frozen=True)
class Shape:
    """How events are decoded, and by what they are grouped."""

    decoded: Decoded
    types: Mapping[str, type | None]
    """The one type that a field is decoded to, where it is one."""
    dimensions: tuple[str, ...]
    """The fields that a key is made of, `event` first: those that decide which series an event counts into."""
    typed: tuple[str, ...]
    """Those of them whose types are part of it as well, behind all values."""
    follow: "Follow"

    @property
    def struct(self) -> type:
        """What an event is decoded into."""
        return self.decoded.struct

    @property
    def attributes(self) -> Mapping[str, str]:
        """The struct's attribute of each field."""
        return self.decoded.attributes

    def column(self, field: str) -> Callable[[Event], Any]:
        """What reads a field of an event; UNSET where the event lacks it."""
        return self.decoded.column(field)

    def fields(self, key: Key) -> dict[str, Any]:
        """The fields that a key holds, by name, without those that are absent."""
        pairs = zip(self.dimensions, key, strict=False)
        return {field: value for field, value in pairs if type(value) not in _ABSENT}

    def structures(self, key: Key) -> Iterator[str]:
        """The fields of a key that are objects or lists, and so no values."""
        types = key[len(self.dimensions) :]
        return (field for field, one in zip(self.typed, types, strict=True) if issubclass(one, _STRUCTURES))


def shape(usage: Usage) -> Shape:
    """The shape for all events and rules of a configuration."""
    declared = _declared(usage.events)
    trusted = usage.trusted_fields - declared.keys()
    of_logs = {
        field: kinds for field, kinds in _of_logs(usage).items() if field not in declared and field not in trusted
    }
    decide = {field for rule in usage.rules for field in deciding(rule)} | _listed(usage.events)
    decide |= {label for one in usage.sequences for label in one.labels}
    measured = {field for rule in usage.rules for field in measuring(rule)} | {one.key for one in usage.sequences}
    fields = sorted((decide | measured | declared.keys()) - trusted - {"event"})
    types = {field: _type(field, declared.get(field, frozenset()), usage.events) for field in fields}
    types |= {field: _type(field, kinds, ()) for field, kinds in of_logs.items() if field in types}
    into = decoded(types)
    dimensions = ("event", *sorted(decide - trusted - {"event"}))
    plain = {field for field in types if types[field] is not Any and field not in into.objects}
    unsure = {field for field in types if types[field] == SCALAR}
    unsure |= {field for field in _unbound(usage) & types.keys() if types[field] != _TEXT}
    typed = tuple(field for field in dimensions[1:] if field in unsure or field not in plain)
    follow = _follow(dimensions, typed, into, plain.issuperset(typed))
    texts: dict[str, type | None] = {field: str for field in fields if types[field] == _TEXT}
    return Shape(into, texts, dimensions, typed, follow)


def _of_logs(usage: Usage) -> dict[str, frozenset[FieldType]]:
    """The fields that log lines give and rules ask for, with the types that they may have."""
    patterns, found = fields_of_logs(usage.logs), dict[str, frozenset[FieldType]]()
    for one in usage.logs:
        for pattern in one.patterns:
            for group in patterns[pattern.event] or () if one.format == "text" else ():
                found[group] = found.get(group, frozenset()) | {pattern.types.get(group, "string")}
    json = {pattern.event for one in usage.logs if one.format == "json" for pattern in one.patterns}
    asked = {field for rule in usage.rules if rule.event in json for field in deciding(rule) | measuring(rule)}
    asked |= {field for one in usage.sequences if _mentions(one, json) for field in (one.key, *one.labels)}
    return found | dict.fromkeys(asked, _ANY_TYPE)


def _mentions(one: SequenceSettings, events: Container[str]) -> bool:
    return any(event in events for _, event in one.mentions())


def deciding(rule: UsageRule) -> set[str]:
    """The fields that say whether and where a rule counts an event."""
    return {*rule.where, *rule.good, *(rule.source_of(label) for label in rule.labels)}


def measuring(rule: UsageRule) -> set[str]:
    """The fields whose values a rule takes."""
    return {field for field in (rule.value.field if rule.value else "", rule.identity, rule.exemplar) if field}


def _unbound(usage: Usage) -> set[str]:
    """The fields that decide about an event whose contract does not name them. Another's contract may, and says nothing
    of the types that come in this one."""
    bound = {one.name: one.fields.keys() for one in usage.events}
    decide = [(rule.event, deciding(rule)) for rule in usage.rules]
    decide += [(event, set(one.labels)) for one in usage.sequences for _, event in one.mentions()]
    return {field for event, fields in decide for field in fields - bound.get(event, set())}


def _declared(contracts: Iterable[EventContract]) -> dict[str, frozenset[FieldType]]:
    found: dict[str, frozenset[FieldType]] = {}
    for contract in contracts:
        for name, field in contract.fields.items():
            found[name] = found.get(name, frozenset()) | {field.type}
    return found


def _listed(contracts: Iterable[EventContract]) -> set[str]:
    """The fields whose allowed values are listed: few enough to be part of a key, where they are checked for free."""
    return {name for contract in contracts for name, field in contract.fields.items() if field.values}


def _type(name: str, declared: frozenset[FieldType], contracts: Iterable[EventContract]) -> Any:
    if not declared:
        return Any
    if len(declared) > 1:
        return SCALAR
    (one,) = declared
    listed = [contract.fields[name].values for contract in contracts if name in contract.fields]
    if one in ("string", "integer") and listed and all(listed):
        # one object for each value, whose hash is known: it makes grouping a third cheaper
        return Literal[tuple(value for values in listed for value in values)] | None | UnsetType
    return _DECODED[one] | None | UnsetType


def _follow(dimensions: Sequence[str], typed: Sequence[str], into: Decoded, plain: bool) -> Follow:
    """`plain`: nothing in the fields `typed` is an object or a list."""
    # 1, 1.0 and true are equal to Python and not to JSON; written out, a key takes a quarter less time than by a call
    values = "".join(f"{into.reads[field]}, " for field in dimensions)
    if plain:
        types = "".join(f"type({into.reads[field]}), " for field in typed)
        return compiled(f"lambda events, get: [get(({values}{types})) for event in events]")
    doubted = "".join(f"{into.reads[field]}, " for field in typed)
    read = compiled(f"lambda event: (({values}), ({doubted}))")

    def loose(event: Event) -> Key:
        # lists and objects are no key, but their types are
        found, others = read(event)
        return (*(None if isinstance(value, _STRUCTURES) else value for value in found), *map(type, others))

    return lambda events, get: [get(loose(event)) for event in events]


# --- what an event has to keep to


@dataclass(frozen=True)
class CompiledContract:
    """One event's contract, ready to be asked."""

    name: str
    fields: Mapping[str, FieldContract]
    dimensions: Mapping[str, FieldContract]
    """The fields that are part of a key."""
    columns: Sequence[tuple[str, Callable[[Event], Any], frozenset[type]]]
    """(field, its reader, the types that it may have), where decoding has not settled that."""
    time: Callable[[Event], Any] | None
    lateness: float
    ahead: float

    def settled(self, event: Mapping[str, Any]) -> dict[str, Any] | Breach:
        """The declared fields of one event that was decoded as plain JSON, or what is wrong with it."""
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = value_of(event, name)
            if value is not None:
                try:
                    found[name] = msgspec.convert(_as_integer(value, field.type), _DECODED[field.type])
                except msgspec.ValidationError:
                    return _wrong_type(name, field.type)
            elif other := blocked(event, name):
                return Breach("wrong_type", f"the field '{other}' is no object")
        return _breach(self.fields, found) or found

    def trusting(self, fields: Container[str]) -> "CompiledContract":
        """The contract for events whose source has these fields of its own, whatever their bodies say of them."""
        return replace(self, columns=tuple(column for column in self.columns if column[0] not in fields))

    def breach_of_key(self, fields: Mapping[str, Any], structures: Iterable[str] = ()) -> Breach | None:
        """What is wrong with every event that has these fields, and an object or a list in each of `structures`."""
        for name in structures:
            if name in self.dimensions:
                return _wrong_type(name, self.dimensions[name].type)
        return _breach(self.dimensions, fields)

    def breaches(self, events: Sequence[Event], now: float, sent: Mapping[int, float]) -> Mapping[int, Breach]:
        """What is wrong with some of these events, by their place. `now` is Unix time; `sent` says by the identity of
        events when they were sent, where that is known."""
        found: dict[int, Breach] = {}
        for name, read, allowed in self.columns:
            if not set(map(type, map(read, events))) <= allowed:
                found |= {
                    place: _wrong(name, read(event))
                    for place, event in enumerate(events)
                    if not _fits(read(event), allowed)
                }
        return found | self._untimely(events, now, sent)

    def _untimely(self, events: Sequence[Event], now: float, sent: Mapping[int, float]) -> dict[int, Breach]:
        if self.time is None:
            return {}

        def came(event: Event) -> float:
            # what waited to be read is as old as it was when it was sent, and nothing is sent in a time to come
            return min(now, sent.get(id(event), now))

        known = list(map(came, events)) if sent else [now]
        earliest = datetime.datetime.fromtimestamp(max(known) - self.lateness, datetime.UTC)
        latest = datetime.datetime.fromtimestamp(min(known) + self.ahead, datetime.UTC)
        times = list(map(self.time, events))
        given = [at for at in times if type(at) is datetime.datetime]
        if not given or (min(given) >= earliest and max(given) <= latest):
            return {}
        late, ahead = Breach("late", "it happened too long ago"), Breach("ahead", "it says that it is yet to happen")
        found: dict[int, Breach] = {}
        for place, (event, at) in enumerate(zip(events, times, strict=True)):
            age = came(event) - at.timestamp() if type(at) is datetime.datetime else 0.0
            if not -self.ahead <= age <= self.lateness:
                found[place] = late if age > 0 else ahead
        return found


def contracts_of(usage: Usage, shape: Shape) -> dict[str, CompiledContract]:
    """Every contract by its event's name."""
    declared = _declared(usage.events)
    return {one.name: _compile(one, shape, declared) for one in usage.events}


def _compile(contract: EventContract, shape: Shape, declared: Mapping[str, frozenset[FieldType]]) -> CompiledContract:
    columns = list[tuple[str, Callable[[Event], Any], frozenset[type]]]()
    for name, field in contract.fields.items():
        settled = len(declared[name]) == 1 and not field.required and name not in shape.decoded.objects
        if name not in shape.dimensions and not settled:
            allowed = _TYPES[field.type] if field.required else _TYPES[field.type] | _ABSENT
            columns.append((name, shape.column(name), allowed))
    for name in sorted({one for field in contract.fields for one in ancestors(field) if one in shape.attributes}):
        # in another event it is no object
        columns.append((name, shape.column(name), _ABSENT | {shape.decoded.objects[name]}))
    timed = contract.time
    return CompiledContract(
        name=contract.name,
        fields=contract.fields,
        dimensions={name: field for name, field in contract.fields.items() if name in shape.dimensions},
        columns=tuple(columns),
        time=shape.column(timed.field) if timed else None,
        lateness=timed.lateness if timed else 0.0,
        ahead=timed.ahead if timed else 0.0,
    )


def _breach(wanted: Mapping[str, FieldContract], fields: Mapping[str, Any]) -> Breach | None:
    for name, field in wanted.items():
        if name not in fields:
            if field.required:
                return Breach("missing", f"the field '{name}' is missing")
            continue
        if not _fits(fields[name], _TYPES[field.type]):
            return _wrong_type(name, field.type)
        if field.values and fields[name] not in field.values:
            return Breach("not_allowed", f"the field '{name}' is none of {_named(field.values)}")
    return None


def _fits(value: Any, allowed: frozenset[type]) -> bool:
    return type(value) in allowed or (int in allowed and type(value) is float and value.is_integer())


def _as_integer(value: Any, wanted: FieldType) -> Any:
    """JSON has one kind of number: 3.0 is 3."""
    is_whole = wanted == "integer" and type(value) is float and value.is_integer()
    return int(value) if is_whole and abs(value) < MAX_INTEGER else value


def _wrong(name: str, value: object) -> Breach:
    if type(value) in _ABSENT:
        return Breach("missing", f"the field '{name}' is missing")
    return Breach("wrong_type", f"the field '{name}' has the wrong type")


def _wrong_type(name: str, wanted: FieldType) -> Breach:
    said = "timestamp (RFC 3339, with its zone)" if wanted == "timestamp" else wanted
    return Breach("wrong_type", f"the field '{name}' is no {said}")


def _named(values: Sequence[Any]) -> str:
    more = len(values) - MOST_NAMED
    named = msgspec.json.encode(values[:MOST_NAMED]).decode()
    return f"{named} and {more} more" if more > 0 else named


# --- for who writes them


def lint(usage: Usage) -> Iterator[tuple[Location, str]]:
    """Fields that can't be, and samples that break their own contract. Locations start in `usage`."""
    contracts = contracts_of(usage, shape(usage))
    for index, one in enumerate(usage.events):
        for name in one.fields:
            if problem := _problem(name, one.fields):
                yield ("events", index, "fields", name), problem
        found = contracts[one.name].settled(one.sample) if one.sample is not None else {}
        if isinstance(found, Breach):
            yield ("events", index, "sample"), found.detail


def _problem(name: str, fields: Mapping[str, FieldContract]) -> str:
    """Why a contract can't have this field, or nothing."""
    through = next((other for other in ancestors(name) if other in fields), "")
    if through:
        return f"'{through}' is a {fields[through].type}, and no object that '{name}' could be in"
    return problem(name)
