"""The generated rules' own tests, for `promtool test rules`. Pure.

What the rules record from a query stands in the tests as an input: `signal:value`, `slo:requests:rate5m`,
`slo:errors:rate5m`. So any query can be tested, and `promtool` needs none of its metrics. Time begins at 0, a Thursday.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from exporter.rulegen import calendar, slos
from exporter.rulegen.rules import duration, number, quoted, selector
from exporter.rulegen.settings import DAYS, SEVERITIES, Hours, Signal, Signals, Slo
from exporter.rulegen.signals import DRIFT_HOLD, GONE_HOLD, profile

STEP = 300
PER_DAY = 86_400 // STEP
EPOCH_DAY = DAYS.index("thu")
LOOKBACK = 600
"""Seconds after which an input that ended has no value any more: what Prometheus looks back, and a step."""
LEARNT_DAYS = 7
"""From when on every rule has what it asks for: a week ago, and days of deviations since."""
TRIED_HOUR = 11
DROP, SURGE = 0.1, 3.0
WEEKEND = 0.6
COURSE = {"test": "course"}
"""A label of its own: what a query returns of nothing (`or vector(0)`) is another series."""
MOST_SPENT = 0.5
"""A budget above it takes days of errors to be spent."""


def tests_file(file: Signals, rules: str) -> str:
    """The tests of the rules in the file called `rules`, which lies beside them."""
    signals = [_signal(signal, file, rules.removesuffix(".rules.yml").rpartition("/")[2]) for signal in file.signals]
    objectives = [_slo(slo, file) for slo in file.slos]
    tests = [
        signals
        and _test(
            "signals: silent while they learn and in normal weeks, told when they leave their normal",
            duration(STEP),
            signals,
        ),
        objectives and _test("objectives: silent while all is well, told when every request fails", "1m", objectives),
    ]
    document = {"rule_files": [rules], "evaluation_interval": duration(STEP), "tests": [test for test in tests if test]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


@dataclass(frozen=True)
class _Trial:
    """What goes in, and what is expected of it."""

    series: tuple[dict[str, str], ...]
    checks: tuple[dict[str, Any], ...]


def _test(name: str, interval: str, trials: Sequence[_Trial]) -> dict[str, Any]:
    """One test of all that are alike: promtool evaluates every rule of the file in each."""
    return {
        "name": name,
        "interval": interval,
        "input_series": [series for trial in trials for series in trial.series],
        "promql_expr_test": [check for trial in trials for check in trial.checks],
    }


def _signal(signal: Signal, file: Signals, name: str) -> _Trial:
    """A week and more of a daily course with a weekend, in which nothing may be told, not even of a dip on the first
    day; then a drop (or a surge), some hours of the usual, nothing at all, the usual, and an end."""
    tried = _tried(signal.hours, file)
    ends = tried + 8 * 3600
    # a mean of an hour needs its time to leave its band, and half an hour to be believed
    begins = tried - 3 * 3600
    own = {"signal": signal.name, **dict.fromkeys(signal.by, "some"), **COURSE}
    recorded = {**own, "profile": profile(signal, name)}
    off = "SignalAboveNormal" if signal.direction == "up" else "SignalBelowNormal"
    series = [{"series": selector("signal:value", recorded), "values": _course(signal, begins, tried, ends).values()}]
    checks = [
        _expects(_told(own), begins - 2 * STEP),
        _fires(off, own, tried),
    ]
    if signal.drift:
        # before anything else is told, which would hide it
        series.append(_drift(signal, recorded, begins))
        checks.append(_fires("SignalDrifted", own, begins - STEP))
    if signal.stops_as is not None and _is_open(signal.hours, file, tried + 4 * 3600):
        checks.append(_fires("SignalStopped", own, tried + 4 * 3600))
    checks.append(_gone(signal, ends + LOOKBACK + GONE_HOLD + STEP))
    return _Trial(tuple(series), tuple(checks))


def _course(signal: Signal, begins: float, tried: float, ends: float) -> "_Course":
    course = _Course(max(1.0, 2 * (signal.least or 0.0)), ends)
    course.times(12 * 3600, 3600, DROP)
    course.times(begins, tried + 3600 - begins, SURGE if signal.direction == "up" else DROP)
    if signal.stops_as is not None:
        course.times(tried + 4 * 3600 - 1200, 3600, 0.0)
    return course


def _drift(signal: Signal, recorded: Mapping[str, str], told: float) -> dict[str, str]:
    """Another level than three weeks ago, for as long as that has to last. The ratio itself is an input: promtool takes
    minutes for the four weeks it is made of. Their arithmetic is held against Prometheus in tests/contract."""
    samples = round(DRIFT_HOLD / STEP) + 1
    ratio = SURGE if signal.direction == "up" else DROP
    values = f"_x{round(told / STEP) - samples} {number(ratio)}x{samples}"
    return {"series": selector("signal:drift:ratio", recorded), "values": values}


def _gone(signal: Signal, at: float) -> dict[str, Any]:
    """That a signal can't be read is told, unless its query returns something of nothing (`or vector(0)`)."""
    own = {"signal": signal.name}
    return _expects(f"count({_firing('SignalGone', own)} or on (signal) {selector('signal:value', own)})", at, 1.0)


def _told(own: Mapping[str, str]) -> str:
    """What any alert but the missing metric's ever said."""
    said = f'ALERTS{{alertname!="SignalGone",alertstate="firing",signal={quoted(own["signal"])}}}'
    return f"count_over_time({said}[{LEARNT_DAYS + 9}d])"


def _firing(name: str, own: Mapping[str, str]) -> str:
    return selector("ALERTS", {"alertname": name, "alertstate": "firing", **own})


def _fires(name: str, labels: Mapping[str, str], at: float) -> dict[str, Any]:
    return _expects(f"count({_firing(name, labels)})", at, 1.0)


def _expects(expr: str, at: float, *values: float) -> dict[str, Any]:
    samples = [{"labels": "{}", "value": value} for value in values]
    return {"expr": expr, "eval_time": duration(at), "exp_samples": samples}


class _Course:
    """Values every five minutes: up until noon and down again, less on weekends."""

    def __init__(self, scale: float, seconds: float) -> None:
        half = PER_DAY // 2
        self._values: list[float] = []
        for place in range(round(seconds / STEP) + 1):
            day, hour = divmod(place, PER_DAY)
            height = 5.0 + 0.05 * (hour if hour < half else PER_DAY - hour)
            is_weekend = DAYS[(EPOCH_DAY + day) % 7] in ("sat", "sun")
            self._values.append(scale * height * (WEEKEND if is_weekend else 1.0))

    def times(self, begins: float, seconds: float, factor: float) -> None:
        """Multiplies a stretch of it."""
        first = round(begins / STEP)
        for place in range(first, first + round(seconds / STEP)):
            self._values[place] *= factor

    def values(self) -> str:
        """In promtool's notation, in which a run of equal differences is one word."""
        return " ".join(_runs([round(value, 6) for value in self._values]))


def _runs(values: list[float]) -> Iterator[str]:
    place = 0
    while place < len(values):
        first, step = values[place], 0.0
        last = place + 1
        if last < len(values):
            step = round(values[last] - first, 6)
            while last < len(values) and abs(values[last] - (first + step * (last - place))) < 1e-6:
                last += 1
        yield f"{number(first)}{'-' if step < 0 else '+'}{number(abs(step))}x{last - place - 1}"
        place = last


def _tried(hours: Hours | None, file: Signals, learnt: int = LEARNT_DAYS) -> int:
    """When something is expected to be told: an opening hour, so many days after the beginning or soon after."""
    minute = TRIED_HOUR * 60 if hours is None else (hours.opens + hours.closes) // 2
    days = _working(DAYS if hours is None else hours.days)
    day = next(day for day in range(learnt, learnt + 8) if DAYS[(EPOCH_DAY + day) % 7] in days)
    at = day * 86_400 + minute * 60 - calendar.first_offset(file.timezone)
    return round(at / STEP) * STEP


def _working(days: Iterable[str]) -> list[str]:
    """Weekdays among them, if there are any."""
    found = [day for day in days if day not in ("sat", "sun")]
    return found or list(days)


def _is_open(hours: Hours | None, file: Signals, at: float) -> bool:
    local = at + calendar.first_offset(file.timezone)
    return hours is None or (
        DAYS[int(local // 86_400 + EPOCH_DAY) % 7] in hours.days
        and hours.opens * 60 <= local % 86_400 < hours.closes * 60
    )


def _slo(slo: Slo, file: Signals) -> _Trial:
    """A quiet time; every request fails, until each burn and the budget's end are told; nothing is measured."""
    here = {"slo": slo.name, **COURSE}
    failing = _until_told(slo)
    tried = _tried(slo.hours, file, learnt=1 + failing // 86_400)
    quiet, ends = tried - failing, tried
    checks = [_expects(f"count_over_time({selector('ALERTS', {'alertstate': 'firing', **here})}[1w])", quiet)]
    for burn in slos.burns(slo):
        told = {**here, "severity": SEVERITIES[burn.severity], "window": duration(burn.long)}
        checks.append(_fires("ErrorBudgetBurn", told, tried))
    if slo.budget <= MOST_SPENT:
        spent = quiet / (1 - slo.budget) + slos.SPENT_HOLD
        ends = max(tried, _steps(spent) + STEP)
        checks.append(_fires("ErrorBudgetSpent", here, ends))
    checks.append(_fires("ObjectiveUnmeasured", here, ends + LOOKBACK + slos.UNMEASURED_HOLD + STEP))
    series = (
        ("slo:requests:rate5m", f"100x{ends // 60}"),
        ("slo:errors:rate5m", f"0x{quiet // 60} 100x{(ends - quiet) // 60}"),
    )
    return _Trial(tuple({"series": selector(name, here), "values": values} for name, values in series), tuple(checks))


def _until_told(slo: Slo) -> int:
    """Seconds of nothing but errors after which every burn is told."""
    slowest = max(burn.factor * burn.long for burn in slos.burns(slo))
    return _steps(max(3600.0, 1.1 * slowest * slo.budget) + slos.TICKET_HOLD)


def _steps(seconds: float) -> int:
    """Not before an evaluation."""
    return math.ceil(seconds / STEP) * STEP
