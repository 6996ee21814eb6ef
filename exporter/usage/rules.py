"""Usage rules as compiled matchers: an event's fields -> the series it counts into. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from exporter.config import OTHER, Match, Scalar, UsageRule

Fields = Mapping[str, Any]
SeriesKey = tuple[str, tuple[tuple[str, str], ...]]
"""(rule name, ((label, value), ...)) with the labels in the rule's own order."""


@dataclass(frozen=True)
class CompiledRule:
    """One rule, ready to be asked."""

    name: str
    conditions: tuple[tuple[str, Callable[[Any], bool]], ...]
    labels: tuple[tuple[str, frozenset[str]], ...]

    def series_of(self, fields: Fields) -> SeriesKey | None:
        """The series that counts this event, or None when a condition doesn't hold.

        A label value that the rule doesn't list is counted under `other`.
        """
        for name, holds in self.conditions:
            if name not in fields or not holds(fields[name]):
                return None
        found = ((label, text_of(fields.get(label)), allowed) for label, allowed in self.labels)
        return self.name, tuple((label, text if text in allowed else OTHER) for label, text, allowed in found)


def compile_rules(rules: Iterable[UsageRule]) -> dict[str, tuple[CompiledRule, ...]]:
    """Rules by the event they count."""
    table: dict[str, tuple[CompiledRule, ...]] = {}
    for rule in rules:
        table[rule.event] = (*table.get(rule.event, ()), _compile(rule))
    return table


def declared_series(rule: UsageRule) -> list[SeriesKey]:
    """The series that exist from the start, at 0: `increase()` would miss the first event of one that appears later.

    Every combination of listed values for up to 100 series, else only those that have been counted.
    """
    combinations: list[tuple[tuple[str, str], ...]] = [()]
    for label, values in rule.labels.items():
        combinations = [(*start, (label, value)) for start in combinations for value in (*values, OTHER)]
        if len(combinations) > 100:
            return []
    return [(rule.name, labels) for labels in combinations]


def text_of(value: Any) -> str:
    """A field's value as a label value: `true`, `3`, `pro`; nothing or a structure is the empty text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def _compile(rule: UsageRule) -> CompiledRule:
    return CompiledRule(
        name=rule.name,
        conditions=tuple((field, _condition(wanted)) for field, wanted in rule.where.items()),
        labels=tuple((label, frozenset(values)) for label, values in rule.labels.items()),
    )


def _condition(wanted: Scalar | Match) -> Callable[[Any], bool]:
    if isinstance(wanted, Match):
        pattern = re2.compile(wanted.regex)
        return lambda value: pattern.fullmatch(text_of(value)) is not None
    return lambda value: type(value) is type(wanted) and bool(value == wanted)
