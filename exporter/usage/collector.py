"""Usage rules and their series -> the operator's metrics and the `usage_rule_*` families, as text."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from exporter.exposition import Family, line, lines, series
from exporter.usage.book import Exemplar, Series, Shelf
from exporter.usage.kinds import DAYS_OF_A_WEEK, Buckets, seen
from exporter.usage.rules import CompiledRule
from exporter.usage.sequences.settings import SequenceSettings, Timed
from exporter.usage.settings import UsageRule, good_name
from exporter.usage.watching import Watching
from exporter.wanted import WHOLE, Shard

EVENTS = Family("usage_rule_events_total", "counter", "Events counted by each usage rule.")
MINIMUM = Family("usage_rule_minimum_events_per_second", "gauge", "The least that is normal, where declared.")
INFO = Family("usage_rule_info", "gauge", "A configured usage rule: its metric, who owns it and the service.")
SERIES = Family("usage_rule_series", "gauge", "Series that each usage rule has.")
LIMIT = Family("usage_rule_series_limit", "gauge", "Series that each usage rule may have; beyond, all is `other`.")
KEYS = Family("tocsin_exporter_sequence_keys", "gauge", "Keys that each rule about keys remembers.")
SILENT = Family("tocsin_exporter_sequence_silent_keys", "gauge", "Keys that are silent now, by rule and its labels.")
OVERFLOWS = Family("usage_rule_overflows_total", "counter", "Sets of label values that found no room, by usage rule.")
Families = Iterator[tuple[Family, Iterable[bytes]]]
AT_ONCE = 1000
"""Series that are written together: few enough to be in the processor's cache still when their text is joined."""


@dataclass(frozen=True)
class More:
    """What OpenMetrics can show beside values: when a series began, and a trace for it."""

    created: bool = False
    exemplars: bool = False


NOTHING_MORE = More()


class UsageCollector:
    """Writes the series of some compiled rules, and of rules about keys; `now` (Unix time) says which are idle."""

    def __init__(self, rules: Sequence[CompiledRule], watching: Callable[[], Watching | None] = lambda: None) -> None:
        self._rules, self._watching = rules, watching
        self._own: dict[tuple[str, str], bytes] = {}

    def families(self, now: float, shard: Shard = WHOLE, more: More = NOTHING_MORE) -> Families:
        """Every family with its lines; what tells of the rules themselves is on the first shard."""
        yield from self.metrics(now, shard, more)
        if shard.number == 1:
            yield from self.about()

    def metrics(self, now: float, shard: Shard = WHOLE, more: More = NOTHING_MORE) -> Families:
        """The operator's metrics. Rules that count into one metric add up where their labels are equal."""
        by_metric: dict[str, list[CompiledRule]] = {}
        for rule in self._rules:
            by_metric.setdefault(rule.settings.metric, []).append(rule)
        for metric, rules in by_metric.items():
            yield from self._metric(metric, rules, now, shard, more)
        watching = self._watching()
        if watching is not None:
            for one in watching.settings:
                yield from _sequence(one, watching, shard, more)

    def _about_keys(self) -> Families:
        watching = self._watching()
        if watching is None or not watching.settings:
            return
        yield KEYS, [line(self._key(KEYS, rule), number) for rule, number in watching.sizes().items()]
        names = {one.name: tuple(one.labels) for one in watching.settings}
        yield (
            SILENT,
            [
                line(series(SILENT.name, {"rule": rule, **dict(zip(names[rule], labels, strict=True))}), number)
                for (rule, labels), number in watching.silent().items()
            ],
        )

    def _metric(self, metric: str, rules: Sequence[CompiledRule], now: float, shard: Shard, more: More) -> Families:
        settings = rules[0].settings
        every = _living(metric, [(rule.settings, rule.shelf) for rule in rules], now, shard)
        about = Family(metric, _TYPES[settings.kind], settings.help)
        more = More(more.created, more.exemplars and any(rule.settings.exemplar for rule in rules))
        if settings.kind == "histogram":
            yield about, _histograms(metric, every, more)
        elif settings.kind == "last":
            yield about, _lasts(metric, every)
        elif settings.kind == "distinct":
            yield about, _users(metric, every, now)
        else:
            yield about, _numbers(metric, every, len(rules) == 1, more)
        good = [(rule.settings, rule.good_shelf) for rule in rules if rule.good_shelf is not None]
        if good:
            name = good_name(metric)
            above = _living(name, good, now, shard)
            about = Family(name, "counter", f"{settings.help} Those that are good.")
            yield about, _numbers(name, above, len(good) == 1, more)

    def about(self) -> Families:
        """What is known of the rules themselves."""
        yield (
            EVENTS,
            [line(self._key(EVENTS, rule.settings.name), _events(rule)) for rule in self._rules if _counts(rule)],
        )
        yield MINIMUM, self._minimums()
        yield INFO, self._infos()
        yield SERIES, [line(self._key(SERIES, rule.settings.name), len(rule.shelf.series)) for rule in self._rules]
        yield LIMIT, [line(self._key(LIMIT, rule.settings.name), rule.settings.max_series) for rule in self._rules]

    def own(self) -> Families:
        """What this process alone knows, whoever shares the ledger."""
        yield OVERFLOWS, [line(self._key(OVERFLOWS, rule.settings.name), rule.shelf.overflowed) for rule in self._rules]
        yield from self._about_keys()

    def _infos(self) -> list[bytes]:
        watching = self._watching()
        every: list[UsageRule | SequenceSettings] = [rule.settings for rule in self._rules]
        every += watching.settings if watching is not None else ()
        return [line(_info(one), 1) for one in every]

    def _minimums(self) -> list[bytes]:
        rules = [rule.settings for rule in self._rules]
        return [
            line(self._key(MINIMUM, rule.name), rule.minimum.events / rule.minimum.per)
            for rule in rules
            if rule.minimum
        ]

    def _key(self, family: Family, rule: str) -> bytes:
        found = self._own.get((family.name, rule))
        if found is None:
            found = self._own[family.name, rule] = series(family.name, {"rule": rule})
        return found


def _sequence(one: SequenceSettings, watching: Watching, shard: Shard, more: More) -> Families:
    """A rule's counter, and its histogram where it measures seconds."""
    more = More(more.created)
    counted = _of_shard(watching.counters[one.name].written_as(one.metric), shard)
    yield Family(one.metric, "counter", one.help), _numbers(one.metric, counted, True, more)
    if isinstance(one, Timed):
        timed = _of_shard(watching.histograms[one.name].written_as(one.histogram), shard)
        about = Family(one.histogram, "histogram", f"{one.help} How long it took.")
        yield about, _histograms(one.histogram, timed, more)


def _counts(rule: CompiledRule) -> bool:
    return rule.settings.kind in ("count", "ratio", "histogram")


def _events(rule: CompiledRule) -> float:
    values = [one.value for one in list(rule.shelf.series.values())]  # at once: others may come
    total: float = sum(map(_in_buckets, values)) if rule.settings.kind == "histogram" else sum(values)
    return total


def _in_buckets(value: Sequence[float]) -> float:
    return sum(value[:-1])


def _info(rule: UsageRule | SequenceSettings) -> bytes:
    labels = {"rule": rule.name, "metric": rule.metric, "owner": rule.owner, "service": rule.service}
    return series(INFO.name, labels)


def _living(metric: str, shelves: Iterable[tuple[UsageRule, Shelf]], now: float, shard: Shard) -> list[Series]:
    """The series that are shown. One that was idle for longer than its rule's `expire` is not, until it grows again;
    its value goes on from where it stood, so that nobody takes it for a reset."""
    found: list[Series] = []
    for settings, shelf in shelves:
        every = _of_shard(shelf.written_as(metric), shard)
        found += [one for one in every if one.touched >= now - settings.expire] if settings.expire else every
    return found


def _of_shard(every: list[Series], shard: Shard) -> list[Series]:
    if shard.of == 1:
        return every
    return [one for one in every if shard.holds(crc32("\0".join(one.labels).encode(errors="replace")))]


# --- one writer for each kind


def _numbers(metric: str, every: Sequence[Series], alone: bool, more: More) -> Iterable[bytes]:
    """`alone`: the series are of one rule, so that no two have the same labels."""
    if more.created or more.exemplars:
        return _numbers_and_more(metric, every, more)
    if alone and every and every[0].shelf.kind.text != "sum":
        return _whole(metric, every)
    samples: dict[bytes, float] = {}
    for one in every:
        key = one.lines or _single(one, metric)
        samples[key] = samples[key] + one.value if key in samples else one.value
    return [line(key, value) for key, value in samples.items()]


def _whole(metric: str, every: Sequence[Series]) -> Iterator[bytes]:
    """Whole numbers, of which there may be hundreds of thousands."""
    for start in range(0, len(every), AT_ONCE):
        some = every[start : start + AT_ONCE]
        yield lines([one.lines or _single(one, metric) for one in some], [one.value for one in some])


def _numbers_and_more(metric: str, every: Sequence[Series], more: More) -> Iterator[bytes]:
    """With when each began, and an example of what it counts."""
    by_key: dict[bytes, list[Series]] = {}
    for one in every:
        by_key.setdefault(one.lines or _single(one, metric), []).append(one)
    for key, same in by_key.items():
        yield _exemplified(line(key, sum(one.value for one in same)), _exemplar(same[-1], more))
        if more.created:
            prefix = _prefix(same[0], f"{metric.removesuffix('_total')}_created")
            yield line(prefix, min(one.created for one in same))


def _single(one: Series, metric: str) -> bytes:
    prefix = one.lines = _prefix(one, metric)
    return prefix


def _histograms(metric: str, every: Sequence[Series], more: More) -> Iterator[bytes]:
    for one, prefixes, value in _merged(metric, every):
        *buckets, total = value
        exemplar = _exemplar(one, more)
        shown = bisect_left(_bounds(one), exemplar.value) if exemplar else -1
        reached = 0.0
        for place, (prefix, number) in enumerate(zip(prefixes, buckets, strict=False)):
            reached += number
            yield _exemplified(line(prefix, reached), exemplar if place == shown else None)
        yield line(prefixes[-2], float(total))
        yield line(prefixes[-1], reached)
        if more.created:
            yield line(_prefix(one, f"{metric}_created"), one.created)


def _merged(metric: str, every: Iterable[Series]) -> Iterable[tuple[Series, Sequence[bytes], Sequence[float]]]:
    """(a series, the beginnings of its lines, its value) for each set of labels; of equal ones the sum."""
    found: dict[bytes, tuple[Series, Sequence[bytes], Sequence[float]]] = {}
    for one in every:
        prefixes = one.lines or _bucket_prefixes(one, metric)
        known = found.get(prefixes[-1])
        value = one.value if known is None else one.shelf.kind.add(known[2], one.value)
        found[prefixes[-1]] = (one, prefixes, value)
    return found.values()


def _bucket_prefixes(one: Series, metric: str) -> Sequence[bytes]:
    bounds = [*map(repr, _bounds(one)), "+Inf"]
    prefixes = one.lines = (
        *(_prefix(one, f"{metric}_bucket", {"le": bound}) for bound in bounds),
        _prefix(one, f"{metric}_sum"),
        _prefix(one, f"{metric}_count"),
    )
    return prefixes


def _bounds(one: Series) -> tuple[float, ...]:
    kind = one.shelf.kind
    return kind.bounds if isinstance(kind, Buckets) else ()


def _exemplar(one: Series, more: More) -> Exemplar | None:
    return one.shelf.exemplars.get(one) if more.exemplars else None


def _exemplified(text: bytes, exemplar: Exemplar | None) -> bytes:
    """A line with its example: OpenMetrics 1.0, "Exemplars"."""
    if exemplar is None:
        return text
    trace = series("", {"trace_id": exemplar.trace})
    return b"%s # %s%s" % (text[:-1], trace, line(b"%r " % exemplar.value, exemplar.at))


def _lasts(metric: str, every: Sequence[Series]) -> list[bytes]:
    return [line(one.lines or _single(one, metric), one.value[1]) for one in every if one.value[0]]


def _users(metric: str, every: Sequence[Series], now: float) -> Iterator[bytes]:
    for one in every:
        day, week = one.lines or _period_prefixes(one, metric)
        yield line(day, seen(one.value, now, 1))
        yield line(week, seen(one.value, now, DAYS_OF_A_WEEK))


def _period_prefixes(one: Series, metric: str) -> Sequence[bytes]:
    prefixes = one.lines = tuple(_prefix(one, metric, {"period": period}) for period in ("day", "week"))
    return prefixes


def _prefix(one: Series, metric: str, more: Mapping[str, str] | None = None) -> bytes:
    return series(metric, dict(zip(one.shelf.names, one.labels, strict=True)) | dict(more or {}))


_TYPES: Mapping[str, Any] = {
    "count": "counter",
    "sum": "counter",
    "ratio": "counter",
    "histogram": "histogram",
    "last": "gauge",
    "distinct": "gauge",
}
