"""What is wrong with a signal's past, in words with the next step. Pure.

Rules take what they get; a person should know that a metric is missing, only grows, or began last week.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.rulegen.conditions import Watched
from exporter.rulegen.history import Grid, History, Labels
from exporter.rulegen.model import STEP
from exporter.rulegen.settings import Signal
from exporter.rulegen.sliding import Values
from exporter.rulegen.told import Told
from toolkit.clock import format_duration, format_utc
from toolkit.configfile import nearest

FALLEN = 0.1
"""A counter that begins anew falls below this share of what it had."""
LEAST_RISES = 24
RARE = 0.02
"""A counter falls less often than this share of its rises, and of its samples."""
LEAST_GAP = 1800.0
"""Seconds without data below which nobody is told."""
LEAST_PAST = "rules tell after three days and a half"
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
MINUTE_FORM = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Finding:
    """Something about a signal that its operator should know. One that is `fatal` keeps it from being judged."""

    signal: str
    text: str
    fatal: bool = False


def absent(signal: Signal, names: Sequence[str], grid: Grid, is_new: bool) -> Finding:
    """About a signal whose query returned nothing; `names`: the metrics that the server knows. One that `is_new` has
    values now, and had none an hour ago."""
    times = grid.times()
    when = f"from {format_utc(times[0], MINUTE_FORM)} to {format_utc(times[-1], MINUTE_FORM)}"
    if signal.metric is None:
        text = f"its query returned nothing {when}; try it in Prometheus{_unknown(signal.query or '', names)}"
    elif signal.metric not in names:
        text = f"the server has no metric '{signal.metric}'{nearest(signal.metric, names)}"
    elif is_new:
        text = f"'{signal.metric}' is there for less than an hour; there is nothing to do but wait: {LEAST_PAST}"
    elif signal.match:
        match = ", ".join(f'{name}="{value}"' for name, value in signal.match.items())
        text = f"'{signal.metric}' is there, but nothing {when} with {match}; look at 'match'"
    else:
        text = f"'{signal.metric}' is there, but had no value {when}; ask for another time with --from and --to"
    return Finding(signal.name, text, fatal=True)


def _unknown(query: str, names: Sequence[str]) -> str:
    """The first word of a query that is nearly a metric."""
    for word in _WORD.findall(_TEXT.sub("", query)):
        hint = nearest(word, names)
        if word not in names and "did you mean" in hint:
            return f": there is no '{word}'{hint}"
    return ""


def miscounted(signal: Signal, series: History, kinds: Iterable[str]) -> Iterator[Finding]:
    """A counter given as a gauge, and the other way round; `kinds` is what those who expose the metric call it."""
    is_counter = "counter" in kinds
    if signal.kind == "gauge" and (is_counter or any(only_grows(row) for row in series.values())):
        name = signal.metric or "its query"
        why = "is declared a counter" if is_counter else "only grows, as a counter does"
        text = f"{name} {why}, and kind is gauge: there is no normal to find; say 'kind: count'"
        yield Finding(signal.name, text if signal.metric else f"{text}, and take its rate in the query", fatal=True)
    if signal.kind == "count" and signal.metric is not None and "gauge" in kinds:
        text = f"{signal.metric} is declared a gauge, and kind is count: its rate means nothing; say 'kind: gauge'"
        yield Finding(signal.name, text, fatal=True)


def only_grows(row: Values) -> bool:
    """Whether values rise for good, but for falls to about nothing."""
    known = row[np.isfinite(row)]
    steps = np.diff(known)
    falls = np.flatnonzero(steps < 0)
    rises = np.count_nonzero(steps > 0)
    are_resets = bool(np.all(known[falls + 1] <= FALLEN * known[falls]))
    return bool(rises >= LEAST_RISES and are_resets and len(falls) <= RARE * rises and np.all(known >= 0))


def unusable(signal: Signal, series: History) -> Iterator[Finding]:
    """Values that are no numbers; these rows are as they were read."""
    infinite = sum(int(np.count_nonzero(np.isinf(row))) for row in series.values())
    if infinite:
        text = f"{infinite:,} of its values are Inf, a division by 0 perhaps; rules take them for gaps"
        yield Finding(signal.name, text)


def divided(signal: Signal, series: History, labels: Iterable[str]) -> Iterator[Finding]:
    """Labels of `by` that no series has, and labels beyond it that tell a query's series apart; `labels` are those that
    `by` could name."""
    known = set(labels)
    for label in signal.by:
        if not any(label == name for row in series for name, _ in row):
            whose = f"no series of '{signal.metric}' has the" if signal.metric is not None else "its query returns no"
            hint = nearest(label, known - set(signal.by))
            yield Finding(signal.name, f"{whose} label '{label}', which 'by' names{hint}")
    beyond = sorted(_beyond(signal, series))
    if beyond:
        which = ", ".join(f"'{name}'" for name in beyond)
        text = f"series of its query differ in {which} too: put that into 'by', or sum it away in the query"
        yield Finding(signal.name, text)


def _beyond(signal: Signal, series: History) -> set[str]:
    """The labels beyond `by` in which series differ that have the same values of `by` at the same time."""
    alike: dict[Labels, list[Labels]] = {}
    for row in series:
        alike.setdefault(tuple(label for label in row if label[0] in signal.by), []).append(row)
    return {
        name
        for rows in alike.values()
        if np.max(np.sum([np.isfinite(series[row]) for row in rows], axis=0)) > 1
        for name, _ in set().union(*rows) - set(rows[0]).intersection(*rows)
    }


def restarted(signal: Signal, resets: float, samples: float) -> Iterator[Finding]:
    """Counters that began anew; what falls too often for that is none."""
    if resets > RARE * samples:
        text = f"{signal.metric} falls in {resets / samples:.0%} of its samples, as a gauge does, and kind is count"
        yield Finding(signal.name, f"{text}: its rate means nothing; say 'kind: gauge'", fatal=True)
    elif resets >= 1:
        often = "once" if resets < 2 else f"{resets:,.0f} times"
        text = f"its counters began anew {often}; rate() makes up for that, but for what was counted last before"
        yield Finding(signal.name, text)


def patchy(signal: Signal, series: History, grid: Grid) -> Iterator[Finding]:
    """Gaps between the first and the last value."""
    gaps = sorted(gap for row in series.values() for gap in _gaps(row) if gap[0] * STEP >= LEAST_GAP)
    if gaps:
        samples, first = gaps[-1]
        total = sum(length for length, _ in gaps) * STEP
        longest = f"{format_duration(samples * STEP)} from {format_utc(grid.start + first * STEP, MINUTE_FORM)}"
        many = f"{len(gaps)} gaps of {format_duration(total)} in all, the longest" if len(gaps) > 1 else "no number for"
        yield Finding(signal.name, f"{many} {longest}: nothing is told in a gap, but that it is there")


def _gaps(row: Values) -> Iterator[tuple[int, int]]:
    """How many samples are missing, and from where on."""
    places = np.flatnonzero(~np.isnan(row))
    for place in np.flatnonzero(np.diff(places) > 1).tolist():
        yield int(places[place + 1] - places[place] - 1), int(places[place] + 1)


def young(signal: Signal, series: Sequence[Watched], grid: Grid, start: float) -> Iterator[Finding]:
    """History that is too short for the time that is judged, which begins at `start`."""
    begins = [np.flatnonzero(~np.isnan(one.values))[0] for one in series if not np.all(np.isnan(one.values))]
    known = [np.flatnonzero(~np.isnan(one.recorded.normal)) for one in series]
    first = min((int(places[0]) for places in known if len(places)), default=None)
    began = format_utc(grid.start + int(min(begins)) * STEP, MINUTE_FORM) if begins else ""
    if first is None:
        text = f"has values from {began} on, which is too little to learn from: {LEAST_PAST}"
        yield Finding(signal.name, text, fatal=True)
    elif grid.start + first * STEP > start:
        tells = format_utc(grid.start + first * STEP, MINUTE_FORM)
        text = f"has values from {began} on, and rules tell from {tells} on; before that nothing is judged"
        yield Finding(signal.name, text)


def blind(signal: Signal, told: Iterable[Told], gone: str) -> Iterator[Finding]:
    """How often the signal itself was told to be missing; `gone` is that alert."""
    episodes = [episode for one in told if one.alert == gone for episode in one.episodes]
    if episodes:
        yield Finding(
            signal.name, f"{gone} would have been told {len(episodes)}x; that is no noise, for data was missing"
        )
