"""The local evaluation of the generated rules, beside a real Prometheus's."""

import math
import random
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.rulegen import build
from exporter.rulegen.evaluate import Evaluation, Signal, evaluate
from exporter.rulegen.model import PAST_STEP, QUIET, STANDARD, STEP, Model
from exporter.rulegen.moments import moments
from exporter.rulegen.rules import Record
from exporter.rulegen.settings import Signals
from tests.support import replay
from tests.support.replay import Labels, Replay, Samples
from tests.support.running import binaries

START = 1_772_409_600
"""Monday, 2 March 2026; the clocks of Lisbon change on the 29th."""
DAYS = 31
SIZE = DAYS * 86_400 // STEP
PLANNED = (1_774_224_000, 1_774_252_800)
"""Planned work on the 23rd."""
FILE = Signals.model_validate(
    {
        "timezone": "Europe/Lisbon",
        "maintenance": [{"from": "2026-03-23T00:00:00Z", "to": "2026-03-23T08:00:00Z", "signals": ["orders"]}],
        "signals": [
            {"name": "orders", "query": "orders", "kind": "count"},
            {"name": "queue", "query": "queue", "kind": "gauge", "sensitivity": "quiet", "seasonality": "daily"},
            {"name": "errors", "query": "errors", "kind": "count", "seasonality": "none"},
        ],
    }
)
MODELS = {
    "orders": Model("count"),
    "queue": Model("gauge", "daily", QUIET),
    "errors": Model("count", "none", STANDARD),
}
RECORDED = ("level", "normal", "score", "fast_score", "drift:ratio")


def _values(chance: random.Random, place: int, name: str) -> float:
    """A day's course with weekends, two gaps, an outage, a drop and a surge; the queue has what no rule may record."""
    day, hour = divmod(place * STEP / 3600, 24)
    course = (2.0 + math.sin(hour / 24 * 2 * math.pi)) * (0.6 if day % 7 >= 5 else 1.0) * (1 + day / 100)
    if place in range(2000, 2085) or place in range(6000, 6001):
        return math.nan
    if name == "queue":
        return math.inf if place % 1009 == 0 else -20.0 + course * (3.0 + chance.gauss(0, 1))
    if place in range(7000, 7030):
        return 0.0
    scale = 0.01 if name == "errors" else 1.0
    factor = 0.4 if place in range(8000, 8024) else 3.0 if place in range(8500, 8540) else 1.0
    return scale * factor * course * max(0.0, chance.gauss(1, 0.1))


@pytest.fixture(scope="module")
def values() -> dict[str, NDArray[np.float64]]:
    chance = random.Random(7)
    return {name: np.array([_values(chance, place, name) for place in range(SIZE)]) for name in MODELS}


@pytest.fixture(scope="module")
def recorded(
    values: Mapping[str, NDArray[np.float64]], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Mapping[Labels, Samples]]:
    """What a real Prometheus records of the generated rules."""
    server = Replay(binaries(), tmp_path_factory.mktemp("replay"), START, START + (SIZE - 1) * STEP)
    times = START + STEP * np.arange(SIZE, dtype=np.float64)
    for name, given in values.items():
        present = ~np.isnan(given)
        server.store(name, {(): (times[present], given[present])})
    return server.record(list(_rules()), [f"signal:{name}" for name in RECORDED], lambda _: None)


def _rules() -> Iterator[replay.Record]:
    for group in build.build(FILE, "shop.yml").groups:
        step = max(STEP, round(group.interval))
        for rule in group.rules:
            if isinstance(rule, Record):
                yield replay.Record(rule.name, rule.expr, rule.labels, step)


def _series(evaluation: Evaluation, name: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = getattr(evaluation, {"drift:ratio": "drift"}.get(name, name))
    return found


@pytest.mark.parametrize("signal", MODELS)
def test_the_local_evaluation_equals_the_servers_sample_for_sample(
    signal: str, values: Mapping[str, NDArray[np.float64]], recorded: Mapping[str, Mapping[Labels, Samples]]
) -> None:
    times = START + STEP * np.arange(SIZE)
    learnt = (times < PLANNED[0]) | (times >= PLANNED[1]) if signal == "orders" else None
    finite = np.where(np.isfinite(values[signal]), values[signal], np.nan)
    clock = moments(FILE, times.astype(np.float64)).clock
    local = evaluate(Signal(finite, START, learnt, clock), MODELS[signal])
    for name in RECORDED:
        if name == "fast_score" and MODELS[signal].kind == "gauge":
            continue
        mine, theirs = _series(local, name), _on_grid(recorded[f"signal:{name}"], signal)
        if name == "drift:ratio":
            mine = np.where(times % PAST_STEP == 0, mine, np.nan)
        assert np.count_nonzero(~np.isnan(theirs)) > 10, name
        assert np.flatnonzero(np.isnan(mine) != np.isnan(theirs)).tolist() == [], name
        apart = np.abs(mine - theirs) / np.maximum(np.abs(theirs), 1e-3)
        assert np.nanmax(apart) < 1e-9, name


def _on_grid(series: Mapping[Labels, Samples], signal: str) -> NDArray[np.float64]:
    found = np.full(SIZE, np.nan)
    for labels, (times, given) in series.items():
        if dict(labels)["signal"] == signal:
            found[((times - START) // STEP).astype(np.int64)] = given
    return found
