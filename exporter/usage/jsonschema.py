"""A contract as JSON Schema, draft 2020-12: what a producer's own tests can check against. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.usage.nesting import steps_of
from exporter.usage.settings import EventContract, FieldContract, FieldType

_JSON_TYPES: Mapping[FieldType, dict[str, str]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
}


def json_schema(contract: EventContract) -> dict[str, Any]:
    """The schema of one event."""
    found: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": contract.name,
        "description": contract.about,
        "type": "object",
        "properties": {"event": {"const": contract.name}},
        "required": ["event"],
    }
    for name, field in contract.fields.items():
        _put(found, steps_of(name), field)
    if contract.sample is not None:
        found["examples"] = [{"event": contract.name, **contract.sample}]
    return {name: value for name, value in found.items() if value}


def _put(inside: dict[str, Any], steps: Sequence[str], field: FieldContract) -> None:
    """Adds a field to the schema of the object that it is in."""
    name, *rest = steps
    if rest:
        _put(inside["properties"].setdefault(name, {"type": "object", "properties": {}}), rest, field)
    else:
        inside["properties"][name] = _field_schema(field)
    if field.required:
        inside["required"] = list(dict.fromkeys([*inside.get("required", ()), name]))


def _field_schema(field: FieldContract) -> dict[str, Any]:
    found: dict[str, Any] = dict(_JSON_TYPES[field.type])
    if field.about:
        found["description"] = field.about
    if field.values:
        found["enum"] = list(field.values)
    return found
