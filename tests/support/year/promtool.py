"""A year as a unit test of promtool: the series that the exporter would have shown, and what the twin says fires."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from exporter.providers.egress import suspected
from exporter.providers.history import State
from exporter.providers.kinds import Certainty, Kind
from tests.support.year.probing import EVERY, Run
from tests.support.year.timeline import Year
from tests.support.year.twin import (
    CONFIRMED_AFTER,
    PROBES,
    SUCCESS_MAX_AGE,
    TICK,
    Firing,
    provider,
)

FIRING = 'count by (alertname, severity, provider, card) (ALERTS{alertstate="firing"})'
_CONSTANT = {
    "thirdparty_confirmation_probes": PROBES,
    "thirdparty_confirmation_seconds": CONFIRMED_AFTER,
    "thirdparty_success_max_age_seconds": SUCCESS_MAX_AGE,
    "thirdparty_probe_interval_seconds": EVERY,
}

_MEASURED: Mapping[str, Callable[[State], float | None]] = {
    "thirdparty_verdict_since_timestamp_seconds": lambda one: one.since,
    "thirdparty_verdict_streak": lambda one: one.streak,
    "thirdparty_last_success_timestamp_seconds": lambda one: one.last_success,
    "thirdparty_watched_since_timestamp_seconds": lambda one: one.watched_since,
    "thirdparty_last_probe_timestamp_seconds": lambda one: one.last_probe,
}


def suite(rules: Path, tests: Iterable[Mapping[str, Any]]) -> str:
    """The file for `promtool test rules`: JSON, which is YAML."""
    return json.dumps({"rule_files": [str(rules)], "evaluation_interval": f"{TICK:g}s", "tests": list(tests)})


def test_of(
    name: str, year: Year, known: Mapping[str, Sequence[Run]], firings: Sequence[Firing], checked: Iterable[float]
) -> dict[str, Any]:
    """One test: at each of the `checked` ticks exactly those alerts fire that the twin says."""
    ticks = [number * TICK for number in range(int(year.end // TICK) + 1)]
    expected = [
        {"expr": FIRING, "eval_time": f"{tick:g}s", "exp_samples": _samples(firings, tick)} for tick in sorted(checked)
    ]
    series = [{"series": one, "values": values} for one, values in _series(year, known, ticks)]
    return {"name": name, "interval": f"{TICK:g}s", "input_series": series, "promql_expr_test": expected}


def _samples(firings: Iterable[Firing], tick: float) -> list[dict[str, Any]]:
    found = []
    for one in firings:
        if one.start <= tick < one.end:
            labels = {"alertname": one.alert.name, "severity": one.alert.severity}
            labels |= {"provider": one.vendor} if one.vendor else {}
            labels |= {"card": one.card} if one.card else {}
            found.append({"labels": _labelled("", labels), "value": 1})
    return found


def _series(year: Year, known: Mapping[str, Sequence[Run]], ticks: Sequence[float]) -> Iterator[tuple[str, str]]:
    seen = {vendor.name: [_state(known[vendor.name], year, tick) for tick in ticks] for vendor in year.vendors}
    away = [any(start <= tick < end for start, end in year.absences) for tick in ticks]
    for vendor in year.vendors:
        for name, labels, values in _of_a_vendor(seen[vendor.name]):
            yield _scraped(name, {"provider": vendor.name, **labels}), _notation(values, away)
        for name, labels in (
            ("thirdparty_provider_info", {"owner": "team"}),
            *((("thirdparty_funded_by", {"card": vendor.card}),) if vendor.card else ()),
        ):
            yield _scraped(name, {"provider": vendor.name, **labels}), _notation([1.0] * len(ticks), away)
    for card in sorted({vendor.card for vendor in year.vendors} - {""}):
        yield _scraped("thirdparty_card_info", {"card": card, "owner": "money"}), _notation([1.0] * len(ticks), away)
    pairs = [[(provider(name), states[at]) for name, states in seen.items()] for at in range(len(ticks))]
    told = [float(suspected([(one, state) for one, state in pair if state is not None])) for pair in pairs]
    yield _scraped("thirdparty_egress_suspected", {}), _notation(told, away)
    yield _scraped("up", {}), _notation([float(not gone) for gone in away], [False] * len(away))


def _state(runs: Sequence[Run], year: Year, tick: float) -> State | None:
    if any(start <= tick < end for start, end in year.absences):
        return None
    latest = [run for run in runs if run.first <= tick]
    return latest[-1].at(tick) if latest else None


Row = tuple[str, Mapping[str, str], list[float | None]]


def _of_a_vendor(states: Sequence[State | None]) -> Iterator[Row]:
    for kind in Kind:
        yield "thirdparty_verdict", {"verdict": kind}, [None if one is None else one.kind is kind for one in states]
    for sort in Certainty:
        values: list[float | None] = [None if one is None else one.certainty is sort for one in states]
        yield "thirdparty_verdict_certainty", {"certainty": sort}, values
    for name, of in _MEASURED.items():
        yield name, {}, [None if one is None else of(one) for one in states]
    for name, value in _CONSTANT.items():
        yield name, {}, [value] * len(states)


def _notation(values: Sequence[float | None], away: Sequence[bool]) -> str:
    """promtool's way to write samples; a series whose scrape fails becomes stale."""
    words = []
    before = False
    shown = ["_" if gone or value is None else f"{float(value):.3f}" for value, gone in zip(values, away, strict=True)]
    for word, group in groupby(shown):
        count = len(list(group))
        if word == "_" and before:
            words.append("stale")
            count -= 1
        # vxN is one sample and N more
        words += [] if not count else [f"_x{count}" if word == "_" else f"{word}x{count - 1}"]
        before = word != "_"
    return " ".join(words)


def _scraped(name: str, labels: Mapping[str, str]) -> str:
    return _labelled(name, {"job": "tocsin-exporter", **labels})


def _labelled(name: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{inner}}}"
