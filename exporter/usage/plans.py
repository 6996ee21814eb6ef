"""What is to be done with every event of one key: asked of the rules and the contract once, and remembered. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from exporter.usage.book import Labels, Series
from exporter.usage.contract import CompiledContract, Event, Key, Shape
from exporter.usage.measures import Exemplary, Measure
from exporter.usage.rules import CompiledRule, Fields, text_of
from exporter.usage.sequences.settings import SequenceSettings
from exporter.usage.settings import OTHER, Usage, fields_of_logs
from exporter.usage.tally import Plan

MAX_PLANS = 20_000
"""Of more combinations than this the memory is emptied: hostile values are asked about again, and hold none."""
MAX_REMEMBERED_CHARACTERS = 200
"""What has a longer text in it is asked about each time: many such would hold much."""
MAX_KEY_BYTES = 500
"""PostgreSQL can't index a text of some thousand bytes. A longer key is none, on SQLite too."""


class Planner:
    """Makes and remembers the plans of one configuration."""

    def __init__(
        self,
        usage: Usage,
        shape: Shape,
        contracts: Mapping[str, CompiledContract],
        rules: Mapping[str, Sequence[CompiledRule]],
    ) -> None:
        """`contracts` and `rules` are those of each event."""
        self._shape, self._contracts, self._rules = shape, contracts, rules
        self._watched = _by_event(usage.sequences)
        self._known = {*contracts, *fields_of_logs(usage.logs)}
        self._trusted = usage.trusted
        self._plans: dict[str, dict[Key, Plan]] = {}

    def known(self, source: str) -> dict[Key, Plan]:
        """The plans that are remembered for what `source` delivers."""
        return self._plans.setdefault(source, {})

    def planning(self, source: str, now: float) -> Callable[[Key], Plan]:
        """What gives the plan for any key of what `source` delivers, made where it is new. `now` is Unix time."""
        plans = self.known(source)
        return lambda key: plans.get(key) or self._remembered(plans, key, self._made(key, source, now))

    def _remembered(self, plans: dict[Key, Plan], key: Key, plan: Plan) -> Plan:
        if all(len(value) <= MAX_REMEMBERED_CHARACTERS for value in key if isinstance(value, str)):
            if len(plans) >= MAX_PLANS:
                plans.clear()
            plans[key] = plan
        return plan

    def _made(self, key: Key, source: str, now: float) -> Plan:
        plan, name = Plan(), str(key[0])
        trusted, column = self._trusted.get(source, {}), partial(self._column, source=source)
        fields = {**self._shape.fields(key), **trusted}
        contract = self._contracts.get(name)
        if contract is not None:
            structures = [field for field in self._shape.structures(key) if field not in trusted]
            plan.breach = contract.breach_of_key(fields, structures)
            if plan.breach is not None:
                return plan
            asked = contract.trusting(trusted)
            plan.contract = asked if asked.columns or asked.time else None
            plan.dated = asked.time is not None
        plan.unknown = bool(self._known) and name not in self._known
        rules = [rule.trusting(trusted, column) if trusted else rule for rule in self._rules.get(name, ())]
        followed = [_Followed(rule, labels, rule.is_good(fields)) for rule, labels in _labelled(rules, fields)]
        plan.watched = tuple(
            (one.name, column(one.key), _watched_labels(one, fields)) for one in self._watched.get(name, ())
        )
        plan.dated |= bool(plan.watched)
        plan.matched = bool(followed or plan.watched)
        plan.pending = partial(_enter, followed, plan)
        if plan.contract is None:
            plan.settle(now)
        looked_at = plan.measures or plan.watched or plan.exemplary
        plan.simple = not (plan.contract or plan.unknown or looked_at)
        return plan

    def _column(self, field: str, source: str) -> Callable[[Event], Any]:
        """What reads a field of the source's events, which may be a label of its own. A label of others is no field
        unless a contract declares it."""
        trusted = self._trusted.get(source, {})
        if field in trusted or field not in self._shape.attributes:
            return lambda _: trusted.get(field)
        return self._shape.column(field)


def key_of(text: str) -> str:
    """The key of a rule about keys as every ledger can hold it, or else none: PostgreSQL knows no NUL in a text."""
    return "" if "\0" in text or len(text.encode()) > MAX_KEY_BYTES else text


class _Followed(NamedTuple):
    """A rule that counts the events of a key, under which labels, and whether a ratio counts them above the line."""

    rule: CompiledRule
    labels: Labels
    is_good: bool


def _labelled(rules: Iterable[CompiledRule], fields: Fields) -> Iterator[tuple[CompiledRule, Labels]]:
    for rule in rules:
        labels = rule.labels_of(fields)
        if labels is not None:
            yield rule, labels


def _enter(followed: Iterable[_Followed], plan: Plan, now: float) -> None:
    """Gives `plan` its series, and makes those that are new. A plan that stays is given all of them or, where this
    breaks, none: tried again, it would count what it had twice."""
    counts, measures, exemplary = list[Series](), list[tuple[Series, Measure, str]](), list[tuple[Series, Exemplary]]()
    for rule, labels, is_good in followed:
        room = rule.settings.max_series
        series = rule.shelf.find(labels, now, room)
        if rule.measure is not None:
            measures.append((series, rule.measure, rule.settings.name))
        else:
            counts.append(series)
        if rule.exemplary is not None:
            exemplary.append((series, rule.exemplary))
        if rule.good_shelf is not None:
            above = rule.good_shelf.find(labels, now, room)  # it stands at 0 where none was good yet
            counts += [above] if is_good else []
    plan.counts, plan.measures, plan.exemplary = tuple(counts), tuple(measures), tuple(exemplary)


def _by_event(sequences: Sequence[SequenceSettings]) -> dict[str, list[SequenceSettings]]:
    found: dict[str, list[SequenceSettings]] = {}
    for one in sequences:
        for _, event in one.mentions():
            found.setdefault(event, []).append(one)
    return found


def _watched_labels(one: SequenceSettings, fields: Fields) -> Labels:
    texts = ((text_of(fields.get(label)), values) for label, values in one.labels.items())
    return tuple(text if text in values else OTHER for text, values in texts)
