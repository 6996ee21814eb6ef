"""What only the whole of `usage:` shows: names used twice, events and fields that nobody declared, metrics that clash.

Every problem comes as (location, message); locations start in `usage`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from exporter.usage import contract, sequences
from exporter.usage.condition import Match, Scalar
from exporter.usage.logs import settings as logs
from exporter.usage.logs.examples import failing
from exporter.usage.rules import text_of
from exporter.usage.sequences.settings import SequenceSettings, Timed
from exporter.usage.settings import (
    RESERVED_LABELS,
    RESERVED_PREFIXES,
    TOTALS,
    FieldContract,
    FieldType,
    Usage,
    UsageRule,
    fields_of_logs,
    good_name,
    twice,
)
from exporter.usage.sources import settings as sources
from toolkit.configfile import Location, nearest

_UNTIMELY: Mapping[str, str] = {
    "where": "and conditions are about text, numbers and truths",
    "good": "and conditions are about text, numbers and truths",
    "labels": "and a label of it would be a series for every moment",
    "identity": "and no identity",
    "exemplar": "and no trace's name",
}
_SCALARS: Mapping[type, str] = {str: "text", bool: "boolean", int: "number", float: "number"}
_TAKES: Mapping[FieldType, Collection[type]] = {
    "string": (str,), "integer": (int, float), "number": (int, float), "boolean": (bool,)
}  # fmt: skip
Problems = Iterator[tuple[Location, str]]
Known = Mapping[str, Collection[str] | None]
"""The fields of each event that a contract or a pattern declares; None where it may have any."""


def lint(usage: Usage) -> Problems:
    """Every problem."""
    yield from twice(("producers",), [one.name for one in usage.producers])
    yield from twice(("events",), [one.name for one in usage.events])
    yield from twice(("rules",), [one.name for one in usage.rules])
    yield from _timestamps(usage)
    yield from contract.lint(usage)
    yield from _below("logs", logs.lint(usage.logs))
    yield from _below("logs", failing(usage.logs))
    yield from _below("sources", sources.lint(usage.sources, [one.name for one in usage.producers], usage.logs))
    yield from _below("sources", _queries(usage))
    known = _known(usage)
    yield from _below("rules", _rules(usage, known))
    yield from _below("sequences", _sequences(usage, known))
    yield from _exposed(usage)


def _below(word: str, found: Iterable[tuple[Location, str]]) -> Problems:
    for location, text in found:
        yield (word, *location), text


def _known(usage: Usage) -> Known:
    found: dict[str, Collection[str] | None] = {one.name: set(one.fields) for one in usage.events}
    for event, groups in fields_of_logs(usage.logs).items():
        before = found.get(event, frozenset())
        found[event] = None if groups is None or before is None else {*before, *groups}
    trusted = usage.trusted_fields
    return {event: None if fields is None else {"event", *fields, *trusted} for event, fields in found.items()}


def _timestamps(usage: Usage) -> Problems:
    """A field can't be a timestamp in one event and no timestamp in another: decoding has to know."""
    types: dict[str, set[str]] = {}
    for one in usage.events:
        for name, field in one.fields.items():
            types.setdefault(name, set()).add(field.type)
    for index, one in enumerate(usage.events):
        for name, field in one.fields.items():
            if field.type == "timestamp" and len(types[name]) > 1:
                yield ("events", index, "fields", name), f"'{name}' is a timestamp here and none in another event"


def _no_event(name: str, known: Known) -> str:
    return f"no event is named '{name}'{nearest(name, known)}"


def _not_ours(metric: str, labels: Iterable[str], at: Location) -> Problems:
    if metric.startswith(RESERVED_PREFIXES):
        yield (*at, "metric"), f"names that start with {', '.join(RESERVED_PREFIXES)} are Tocsin's own"
    for label in sorted(RESERVED_LABELS.intersection(labels)):
        yield (*at, "labels", label), f"the label '{label}' is Prometheus's own"


# --- rules


def _rules(usage: Usage, known: Known) -> Problems:
    shapes: dict[str, tuple[object, ...]] = {}
    seen = set[str]()
    contracts = {one.name: one.fields for one in usage.events}
    for index, rule in enumerate(usage.rules):
        at: Location = (index,)
        yield from _not_ours(rule.metric, rule.labels, at)
        yield from _named(rule, at)
        yield from _fields(rule, known, at)
        yield from _of_sources(rule, usage, at)
        yield from _of_types(rule, contracts.get(rule.event, {}), at)
        own = {field: one for field, one in contracts.get(rule.event, {}).items() if field not in usage.trusted_fields}
        yield from _impossible(rule, own, at)
        shape = (rule.kind, rule.help, tuple(rule.labels), rule.buckets)
        if shapes.setdefault(rule.metric, shape) != shape:
            others = "with another kind, help text, labels or buckets"
            yield (*at, "metric"), f"another rule counts into {rule.metric} {others}"
        elif rule.kind in ("last", "distinct") and rule.metric in seen:
            yield (*at, "metric"), f"another rule has the metric {rule.metric}, and a {rule.kind} can't be added up"
        seen.add(rule.metric)


def _of_types(rule: UsageRule, fields: Mapping[str, FieldContract], at: Location) -> Problems:
    """Fields whose type is of no use where a rule has them."""
    for location, field in _used(rule, at):
        kind, use = fields[field].type if field in fields else "", str(location[len(at)])
        if use == "value" and kind and kind not in ("integer", "number"):
            yield location, f"it is a {kind}; a {rule.kind} needs a number"
        elif use != "value" and kind == "timestamp":
            yield location, f"'{field}' is a timestamp, {_UNTIMELY[use]}"


def _impossible(rule: UsageRule, fields: Mapping[str, FieldContract], at: Location) -> Problems:
    """Values that a rule asks for, and a contract doesn't allow."""
    for use in ("where", "good"):
        for field, wanted in getattr(rule, use).items():
            if field in fields and not isinstance(wanted, Match):
                yield from _never(field, wanted, fields[field], (*at, use, field))
    for name, label in rule.labels.items():
        source = fields.get(rule.source_of(name))
        if source and source.values:
            texts = {text_of(value) for value in source.values}
            possible = {label.map.get(text, text) for text in texts}
            for value in label.values:
                if value not in possible:
                    yield (*at, "labels", name), f"'{name}' is never '{value}'{nearest(value, possible)}"


def _never(field: str, wanted: Scalar, contract: FieldContract, at: Location) -> Problems:
    """A value that a field never has: of another type, or none of those that are allowed."""
    said = text_of(wanted)
    if type(wanted) not in _TAKES.get(contract.type, _SCALARS):
        yield at, f"'{field}' is a {contract.type}, and never the {_SCALARS[type(wanted)]} '{said}'"
    elif contract.values and wanted not in contract.values:
        yield at, f"'{field}' is never '{said}'{nearest(said, map(text_of, contract.values))}"


def _named(rule: UsageRule, at: Location) -> Problems:
    if rule.exemplar and rule.kind in ("last", "distinct"):
        yield (*at, "exemplar"), f"OpenMetrics knows exemplars of counters and histograms, not of a {rule.kind}"
    if (rule.kind in TOTALS) != rule.metric.endswith("_total"):
        must = "must" if rule.kind in TOTALS else "must not"
        yield (*at, "metric"), f"the name of a {rule.kind} {must} end in _total"
    if rule.minimum and rule.kind not in ("count", "ratio", "histogram"):
        yield (*at, "minimum"), f"a {rule.kind} counts no events that could be too few"
    if rule.kind == "distinct" and "period" in rule.labels:
        yield (*at, "labels", "period"), "the label 'period' tells a day's from a week's, and is taken"


def _fields(rule: UsageRule, known: Known, at: Location) -> Problems:
    """Where events are declared, by contracts or patterns, so must be those of rules, with the fields."""
    if not known:
        return
    if rule.event not in known:
        yield (*at, "event"), _no_event(rule.event, known)
        return
    fields = known[rule.event]
    for location, field in _used(rule, at):
        if fields is not None and field not in fields:
            yield location, f"the event {rule.event} has no field '{field}'{nearest(field, fields)}"


def _of_sources(rule: UsageRule, usage: Usage, at: Location) -> Problems:
    """A label that sources have of their own is no field of events, unless a contract declares it."""
    declared = {field for one in usage.events for field in one.fields}
    for location, field in _used(rule, at):
        measured = location[len(at)] in ("identity", "value", "exemplar")
        if measured and field in usage.trusted_fields - declared:
            yield location, f"'{field}' is a label of sources, and no field that events have"


def _used(rule: UsageRule, at: Location) -> Problems:
    """The fields that a rule speaks of, each with its place."""
    for field in rule.where:
        yield (*at, "where", field), field
    for field in rule.good:
        yield (*at, "good", field), field
    for label in rule.labels:
        yield (*at, "labels", label), rule.source_of(label)
    if rule.exemplar:
        yield (*at, "exemplar"), rule.exemplar
    if rule.identity:
        yield (*at, "identity"), rule.identity
    if rule.value:
        yield (*at, "value"), rule.value.field


def _exposed(usage: Usage) -> Problems:
    """Two metrics that would write series of one name, such as a histogram `x` and a gauge `x_count`."""
    owners: dict[str, str] = {}
    metrics: list[tuple[Location, str, str]] = []
    for index, rule in enumerate(usage.rules):
        metrics.append((("rules", index, "metric"), rule.metric, rule.kind))
        if rule.kind == "ratio":
            metrics.append((("rules", index, "metric"), good_name(rule.metric), "count"))
    for index, one in enumerate(usage.sequences):
        metrics.append((("sequences", index, "metric"), one.metric, "count"))
        if isinstance(one, Timed):
            metrics.append((("sequences", index, "metric"), one.histogram, "histogram"))
    for index, source in enumerate(usage.sources.sql):
        for number, query in enumerate(source.metrics):
            metrics.append((("sources", "sql", index, "metrics", number, "metric"), query.metric, query.type))
    for location, metric, kind in metrics:
        for name in _series_of(metric, kind):
            other = owners.setdefault(name, metric)
            if other != metric:
                yield location, f"{metric} and {other} would both write {name}"
                break


def _series_of(metric: str, kind: str) -> list[str]:
    if kind == "histogram":
        return [metric, *(f"{metric}_{part}" for part in ("bucket", "sum", "count", "created"))]
    base = metric.removesuffix("_total")
    return [metric, base, f"{base}_created"] if base != metric else [metric]


# --- rules about keys


def _sequences(usage: Usage, known: Known) -> Problems:
    yield from sequences.lint(usage.sequences)
    for location, event in sequences.mentions(usage.sequences):
        if known and event not in known:
            yield location, _no_event(event, known)
    rules, metrics = {rule.name for rule in usage.rules}, {rule.metric for rule in usage.rules}
    for index, one in enumerate(usage.sequences):
        if one.name in rules:
            yield (index, "name"), f"the name '{one.name}' is a usage rule's"
        if one.metric in metrics:
            yield (index, "metric"), f"the metric '{one.metric}' is another's"
        metrics.add(one.metric)
        yield from _not_ours(one.metric, one.labels, (index,))
        yield from _key(one, known, (index,))
        yield from _labels(one, known, usage.trusted_fields, (index,))
        yield from _untimely(one, usage, (index,))
    if usage.sequences and usage.ledger and not usage.sources.kafka:
        # a key is remembered by one exporter, and over HTTP its events may come to any of several
        yield (), "with a shared ledger rules about keys look at what comes by Kafka, and usage.sources has no kafka"


def _untimely(one: SequenceSettings, usage: Usage, at: Location) -> Problems:
    """Neither the key nor a label can be a timestamp."""
    events = {event for _, event in one.mentions()}
    fields = {name: field for event in usage.events if event.name in events for name, field in event.fields.items()}
    timestamps = {name for name, field in fields.items() if field.type == "timestamp"}
    if one.key in timestamps:
        yield (*at, "key"), f"'{one.key}' is a timestamp, and no key"
    for label in timestamps.intersection(one.labels):
        yield (*at, "labels", label), f"'{label}' is a timestamp, and no label"


def _key(one: SequenceSettings, known: Known, at: Location) -> Problems:
    """The key has to be a field of every event."""
    for _, event in one.mentions():
        fields = known.get(event)
        if fields is not None and one.key not in fields:
            yield (*at, "key"), f"the event {event} has no field '{one.key}'{nearest(one.key, fields)}"


def _labels(one: SequenceSettings, known: Known, trusted: Collection[str], at: Location) -> Problems:
    """A label has to be a field of one of the events."""
    events = [known.get(event) for _, event in one.mentions()]
    fields = {field for found in events if found is not None for field in found}
    if None in events:  # of one of them nobody knows what it may have
        return
    for label in one.labels:
        if label not in fields and label not in trusted:
            yield (*at, "labels", label), f"none of its events has a field '{label}'{nearest(label, fields)}"


# --- queries


def _queries(usage: Usage) -> Problems:
    """Metrics of queries that clash with each other, with those of rules, or with Tocsin's."""
    taken = {rule.metric for rule in usage.rules} | {one.metric for one in usage.sequences}
    for index, source in enumerate(usage.sources.sql):
        for number, one in enumerate(source.metrics):
            at: Location = ("sql", index, "metrics", number)
            if one.metric in taken:
                yield (*at, "metric"), f"the metric '{one.metric}' is another's"
            yield from _not_ours(one.metric, (), at)
            for label in sorted(RESERVED_LABELS.intersection(one.labels)):
                yield (*at, "labels"), f"the label '{label}' is Prometheus's own"
        taken |= {one.metric for one in source.metrics}
