"""Usage rules and their series -> the operator's metrics and the `usage_rule_*` families, as text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from exporter.exposition import Family, line, series
from exporter.usage.book import Series
from exporter.usage.kinds import DAYS_OF_A_WEEK, seen
from exporter.usage.rules import CompiledRule
from exporter.usage.sequences.settings import SequenceSettings, Timed
from exporter.usage.settings import UsageRule
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


class UsageCollector:
    """Writes the series of some compiled rules, and of rules about keys; `now` (Unix time) says which are idle."""

    def __init__(self, rules: Sequence[CompiledRule], watching: Callable[[], Watching | None] = lambda: None) -> None:
        self._rules, self._watching = rules, watching
        self._own: dict[tuple[str, str], bytes] = {}

    def families(self, now: float, shard: Shard = WHOLE) -> Families:
        """Every family with its lines; what tells of the rules themselves is on the first shard."""
        yield from self.metrics(now, shard)
        if shard.number == 1:
            yield from self.about()
            yield from self._about_keys()

    def metrics(self, now: float, shard: Shard = WHOLE) -> Families:
        """The operator's metrics. Rules that count into one metric add up where their labels are equal."""
        by_metric: dict[str, list[CompiledRule]] = {}
        for rule in self._rules:
            by_metric.setdefault(rule.settings.metric, []).append(rule)
        for metric, rules in by_metric.items():
            yield from self._metric(metric, rules, now, shard)
        watching = self._watching()
        if watching is not None:
            for one in watching.settings:
                yield from _sequence(one, watching, now, shard)

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

    def _metric(self, metric: str, rules: Sequence[CompiledRule], now: float, shard: Shard) -> Families:
        settings = rules[0].settings
        shelves = [(rule.settings, rule.shelf) for rule in rules]
        every = _living(shelves, now, shard)
        lines = _WRITERS[settings.kind](metric, every, len(shelves) == 1, now)
        yield Family(metric, _TYPES[settings.kind], settings.help), lines
        good = [(rule.settings, rule.good_shelf) for rule in rules if rule.good_shelf is not None]
        if good:
            name, every = good_name(metric), _living(good, now, shard)
            about = f"{settings.help} Those that are good."
            yield Family(name, "counter", about), _numbers(name, every, len(good) == 1, now)

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
        yield OVERFLOWS, [line(self._key(OVERFLOWS, rule.settings.name), rule.shelf.overflowed) for rule in self._rules]

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


def _sequence(one: SequenceSettings, watching: Watching, now: float, shard: Shard) -> Families:
    """A rule's counter, and its histogram where it measures seconds."""
    living = list(_of_shard(watching.counters[one.name].series.values(), shard))
    yield Family(one.metric, "counter", one.help), _numbers(one.metric, living, True, now)
    if isinstance(one, Timed):
        timed = list(_of_shard(watching.histograms[one.name].series.values(), shard))
        about = f"{one.help} How long it took."
        yield Family(one.histogram, "histogram", about), _histograms(one.histogram, timed, True, now)


def good_name(metric: str) -> str:
    """The name of a ratio's counter of the good ones."""
    return f"{metric.removesuffix('_total')}_good_total"


def _counts(rule: CompiledRule) -> bool:
    return rule.settings.kind in ("count", "ratio", "histogram")


def _events(rule: CompiledRule) -> float:
    values = [one.value for one in rule.shelf.series.values()]
    total: float = sum(map(_in_buckets, values)) if rule.settings.kind == "histogram" else sum(values)
    return total


def _in_buckets(value: Sequence[float]) -> float:
    return sum(value[:-1])


def _info(rule: UsageRule | SequenceSettings) -> bytes:
    labels = {"rule": rule.name, "metric": rule.metric, "owner": rule.owner, "service": rule.service}
    return series(INFO.name, labels)


def _living(shelves: Iterable[tuple[UsageRule, Any]], now: float, shard: Shard) -> list[Series]:
    """The series that are shown. One that was idle for longer than its rule's `expire` is not, until it grows again;
    its value goes on from where it stood, so that nobody takes it for a reset."""
    found: list[Series] = []
    for settings, shelf in shelves:
        every = _of_shard(shelf.series.values(), shard)
        found += [one for one in every if one.touched >= now - settings.expire] if settings.expire else every
    return found


def _of_shard(found: Iterable[Series], shard: Shard) -> list[Series]:
    every = list(found)  # at once: others may come while we write
    if shard.of == 1:
        return every
    return [one for one in every if shard.holds(crc32("\0".join(one.labels).encode(errors="replace")))]


# --- one writer for each kind: (metric, its series, whether they are of one rule, now)


def _numbers(metric: str, every: Sequence[Series], alone: bool, _: float) -> Iterable[bytes]:
    if alone and every and every[0].shelf.kind.text != "sum":
        # no function runs for a series that was written before
        return [b"".join([b"%s%d\n" % (one.lines or _single(one, metric), one.value) for one in every])]
    samples: dict[bytes, float] = {}
    for one in every:
        key = one.lines or _single(one, metric)
        samples[key] = samples[key] + one.value if key in samples else one.value
    return [line(key, value) for key, value in samples.items()]


def _single(one: Series, metric: str) -> bytes:
    prefix = one.lines = _prefix(one, metric)
    return prefix


def _histograms(metric: str, every: Sequence[Series], _alone: bool, _: float) -> Iterator[bytes]:
    for one in _merged(metric, every):
        *buckets, total = one.value
        prefixes = one.lines
        reached = 0
        for prefix, number in zip(prefixes, buckets, strict=False):
            reached += number
            yield line(prefix, reached)
        yield line(prefixes[-2], float(total))
        yield line(prefixes[-1], reached)


def _merged(metric: str, every: Iterable[Series]) -> Iterable[Series]:
    """One series for each set of labels, its lines made."""
    found: dict[bytes, Series] = {}
    for one in every:
        if not one.lines:
            bounds = [*map(_bound, one.shelf.kind.bounds), "+Inf"]  # type: ignore[attr-defined]  # a histogram's kind
            one.lines = (
                *(_prefix(one, f"{metric}_bucket", {"le": bound}) for bound in bounds),
                _prefix(one, f"{metric}_sum"),
                _prefix(one, f"{metric}_count"),
            )
        known = found.get(one.lines[-1])
        if known is not None:
            both = Series(one.shelf, one.labels, one.created)
            both.value, both.lines = one.shelf.kind.add(known.value, one.value), one.lines
            found[one.lines[-1]] = both
        else:
            found[one.lines[-1]] = one
    return found.values()


def _bound(bound: float) -> str:
    return repr(float(bound))


def _lasts(metric: str, every: Sequence[Series], _alone: bool, _: float) -> list[bytes]:
    return [line(one.lines or _single(one, metric), one.value[1]) for one in every if one.value[0]]


def _users(metric: str, every: Sequence[Series], _alone: bool, now: float) -> Iterator[bytes]:
    for one in every:
        if one.lines is None:
            one.lines = tuple(_prefix(one, metric, {"period": period}) for period in ("day", "week"))
        day, week = one.lines
        yield line(day, seen(one.value, now, 1))
        yield line(week, seen(one.value, now, DAYS_OF_A_WEEK))


def _prefix(one: Series, metric: str, more: Mapping[str, str] | None = None) -> bytes:
    return series(metric, dict(zip(one.shelf.names, one.labels, strict=True)) | dict(more or {}))


_WRITERS: Mapping[str, Callable[[str, Sequence[Series], bool, float], Iterable[bytes]]] = {
    "count": _numbers,
    "sum": _numbers,
    "ratio": _numbers,
    "histogram": _histograms,
    "last": _lasts,
    "distinct": _users,
}
_TYPES: Mapping[str, Any] = {
    "count": "counter",
    "sum": "counter",
    "ratio": "counter",
    "histogram": "histogram",
    "last": "gauge",
    "distinct": "gauge",
}
