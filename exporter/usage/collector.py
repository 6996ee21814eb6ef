"""Usage rules and their counts -> the operator's counters and the `usage_rule_*` families."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from exporter.config import UsageRule
from exporter.exposition import Family, line, series
from exporter.usage.rules import SeriesKey, declared_series

EVENTS = Family("usage_rule_events_total", "counter", "Events counted by each usage rule.")
MINIMUM = Family("usage_rule_minimum_events_per_second", "gauge", "The least that is normal, where declared.")
INFO = Family("usage_rule_info", "gauge", "A configured usage rule: its metric, who owns it and the service.")


class UsageCollector:
    """Knows the rules; `families` adds the counts."""

    def __init__(self, rules: Iterable[UsageRule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._zero: dict[SeriesKey, int] = {key: 0 for rule in self._rules.values() for key in declared_series(rule)}
        self._keys: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}

    def families(self, counts: Mapping[SeriesKey, int]) -> Iterator[tuple[Family, Iterable[bytes]]]:
        """`counts` may hold series of rules that are gone or had other labels: they are left out."""
        totals: Counter[str] = Counter(dict.fromkeys(self._rules, 0))
        metrics: dict[str, Counter[bytes]] = {rule.metric: Counter() for rule in self._rules.values()}
        for (name, labels), value in {**self._zero, **counts}.items():
            rule = self._rules.get(name)
            if rule is not None and tuple(label for label, _ in labels) == tuple(rule.labels):
                totals[name] += value
                metrics[rule.metric][self._key(rule.metric, labels)] += value
        helps = {rule.metric: rule.help for rule in self._rules.values()}
        for metric, samples in metrics.items():
            yield Family(metric, "counter", helps[metric]), [line(key, value) for key, value in samples.items()]
        yield EVENTS, [line(self._key(EVENTS.name, (("rule", name),)), value) for name, value in totals.items()]
        yield MINIMUM, self._minimums()
        yield INFO, self._infos()

    def _minimums(self) -> list[bytes]:
        return [
            line(self._key(MINIMUM.name, (("rule", rule.name),)), rule.minimum.events / rule.minimum.per)
            for rule in self._rules.values()
            if rule.minimum is not None
        ]

    def _infos(self) -> list[bytes]:
        def labels(rule: UsageRule) -> tuple[tuple[str, str], ...]:
            return ("rule", rule.name), ("metric", rule.metric), ("owner", rule.owner), ("service", rule.service)

        return [line(self._key(INFO.name, labels(rule)), 1) for rule in self._rules.values()]

    def _key(self, metric: str, labels: tuple[tuple[str, str], ...]) -> bytes:
        if (metric, labels) not in self._keys:
            self._keys[metric, labels] = series(metric, dict(labels))
        return self._keys[metric, labels]
