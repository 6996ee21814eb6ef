"""Usage rules as compiled matchers: an event's fields -> the label values under which a rule counts it. Pure."""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import re2

from exporter.usage.book import Book, Labels, Shelf
from exporter.usage.condition import Match, Scalar
from exporter.usage.contract import Event, Shape, measuring
from exporter.usage.kinds import Buckets, Kind, Newest, Number, Sketched
from exporter.usage.measures import Exemplary, Measure, exemplary_of, measure_of
from exporter.usage.settings import OTHER, Label, UsageRule

Fields = Mapping[str, Any]
Column = Callable[[str], Callable[[Event], Any]]
"""A field -> what reads it of an event."""
MAX_DECLARED = 100
"""Of more combinations than this none is declared: they would stand at 0 for ever, most of them."""
MAX_LABEL_CHARACTERS = 200
"""A longer value counts as `other`: it names nothing that a person could read on a dashboard."""


@dataclass(frozen=True)
class CompiledRule:
    """One rule, ready to be asked."""

    settings: UsageRule
    conditions: tuple[tuple[str, Callable[[Any], bool]], ...]
    good: tuple[tuple[str, Callable[[Any], bool]], ...]
    labels: tuple[tuple[str, Callable[[Any], str]], ...]
    """Each label's field, and what makes its value of the field's."""
    shelf: Shelf
    good_shelf: Shelf | None
    measure: Measure | None
    """What it takes of a group's events; None where only their number counts."""
    exemplary: Exemplary | None
    """What picks one of them to show; None where nobody asks."""
    time: Callable[[Event], Any] | None
    """What reads when an event happened, where its contract says so."""

    def trusting(self, trusted: Container[str], column: Column) -> "CompiledRule":
        """The rule for events whose source has the fields `trusted` of its own, which `column` reads there."""
        if not any(field in trusted for field in measuring(self.settings)):
            return self
        measure, exemplary = _measure(self.settings, column, self.time), _exemplary(self.settings, column)
        return replace(self, measure=measure, exemplary=exemplary)

    def labels_of(self, fields: Fields) -> Labels | None:
        """The label values of an event with these fields, or None when a condition doesn't hold."""
        if not _hold(self.conditions, fields):
            return None
        return tuple(value(fields.get(field)) for field, value in self.labels)

    def is_good(self, fields: Fields) -> bool:
        """Whether a ratio counts it above the line too."""
        return _hold(self.good, fields)

    @property
    def shelves(self) -> tuple[Shelf, ...]:
        """Where its series stand."""
        return (self.shelf, *([self.good_shelf] if self.good_shelf else []))


def compile_rules(
    rules: Iterable[UsageRule], shape: Shape, book: Book, times: Mapping[str, Callable[[Event], Any]]
) -> dict[str, tuple[CompiledRule, ...]]:
    """Rules by the event they count. Their series are those of `book`; `times` reads when an event happened, for those
    whose contract says so."""
    table: dict[str, tuple[CompiledRule, ...]] = {}
    for rule in rules:
        table[rule.event] = (*table.get(rule.event, ()), _compile(rule, shape, book, times.get(rule.event)))
    return table


def declared_labels(rule: UsageRule) -> Iterator[Labels]:
    """The label values of the series that exist from the start, at 0: `increase()` would miss the first event of one
    that appears later. Every combination of listed values, unless a label lists none or they are too many."""
    if all(label.values for label in rule.labels.values()):
        yield from combinations([label.values for label in rule.labels.values()], MAX_DECLARED)


def combinations(listed: Iterable[Sequence[str]], most: int) -> Iterator[Labels]:
    """Every combination of listed label values and `other`; none, where they are more than `most`."""
    values = [(*one, OTHER) for one in listed]
    if math.prod(map(len, values)) <= most:
        yield from product(*values)


def text_of(value: Any) -> str:
    """A field's value as a label value: `true`, `3`, `pro`; nothing or a structure is the empty text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # JSON has one kind of number: 3.0 is 3
    return str(value) if isinstance(value, (str, int, float)) else ""


def _compile(rule: UsageRule, shape: Shape, book: Book, time: Callable[[Event], Any] | None) -> CompiledRule:
    names = tuple(rule.labels)
    return CompiledRule(
        settings=rule,
        conditions=_conditions(rule.where),
        good=_conditions(rule.good),
        labels=tuple((rule.source_of(name), _value(label)) for name, label in rule.labels.items()),
        shelf=book.shelf(rule.name, _kind(rule), names),
        good_shelf=book.shelf(rule.name, Number("good"), names) if rule.kind == "ratio" else None,
        exemplary=_exemplary(rule, shape.column),
        measure=_measure(rule, shape.column, time),
        time=time,
    )


def _exemplary(rule: UsageRule, column: Column) -> Exemplary | None:
    return exemplary_of(rule, column) if rule.exemplar else None


def _measure(rule: UsageRule, column: Column, time: Callable[[Event], Any] | None) -> Measure | None:
    measured = rule.value.field if rule.value else rule.identity
    return measure_of(rule, column(measured), time) if measured else None


def _kind(rule: UsageRule) -> Kind:
    if rule.kind == "histogram":
        return Buckets(rule.bounds)
    if rule.kind == "last":
        return Newest()
    if rule.kind == "distinct":
        return Sketched()
    return Number("sum" if rule.kind == "sum" else "count")


def _hold(conditions: Sequence[tuple[str, Callable[[Any], bool]]], fields: Fields) -> bool:
    return all(name in fields and holds(fields[name]) for name, holds in conditions)


def _conditions(wanted: Mapping[str, Scalar | Match]) -> tuple[tuple[str, Callable[[Any], bool]], ...]:
    return tuple((field, _condition(one)) for field, one in wanted.items())


def _condition(wanted: Scalar | Match) -> Callable[[Any], bool]:
    if isinstance(wanted, Match):
        pattern = re2.compile(wanted.regex)
        return lambda value: pattern.fullmatch(text_of(value)) is not None
    # true is equal to 1 in Python, and not in JSON
    return lambda value: isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _value(label: Label) -> Callable[[Any], str]:
    allowed, renamed = frozenset(label.values), label.map

    def value(given: Any) -> str:
        text = text_of(given)
        text = renamed.get(text, text)
        fits = text in allowed if allowed else len(text) <= MAX_LABEL_CHARACTERS
        return text if fits else OTHER

    return value


__all__ = ["CompiledRule", "Event", "compile_rules", "declared_labels", "text_of"]
