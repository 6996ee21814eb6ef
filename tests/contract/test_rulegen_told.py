"""What a backtest says would have been told, beside what a real Prometheus makes of the generated alerts.

A Prometheus can't be made to live through the past, so it is asked in two parts: whether each alert's expression was true at each
evaluation, of the whole generated file; and, by promtool, what `for` and `keep_firing_for` make of expressions.
"""

import json
import math
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.rulegen import build, conditions, told
from exporter.rulegen.conditions import Circumstances, Condition, Watched
from exporter.rulegen.episodes import episodes, firing
from exporter.rulegen.model import STEP
from exporter.rulegen.moments import moments
from exporter.rulegen.rules import Alert, Record
from exporter.rulegen.settings import Signals
from tests.support import replay
from tests.support.replay import Labels, Replay, Samples
from tests.support.running import binaries

START = 1_772_409_600
"""Monday, 2 March 2026; the clocks of Lisbon change on the 29th."""
DAYS = 35
PER_DAY = 86_400 // STEP
SIZE = DAYS * PER_DAY
SUMMER = 27 * PER_DAY + 12
"""From here on the clocks are an hour ahead."""
HIDDEN = (6500, 6520)
"""Where the file's `unless` returns something."""
FILE = Signals.model_validate(
    {
        "timezone": "Europe/Lisbon",
        "unless": ["catching_up == 1"],
        "holidays": ["2026-03-19", {"from": "2026-04-03", "to": "2026-04-05"}],
        "maintenance": [{"from": "2026-03-23T00:00:00Z", "to": "2026-03-23T08:00:00Z", "signals": ["orders"]}],
        "signals": [
            {"name": "orders", "query": "orders", "kind": "count", "minimum": {"events": 400}},
            {
                "name": "queue",
                "query": "queue",
                "kind": "gauge",
                "sensitivity": "quiet",
                "hours": {"from": "08:00", "to": "20:00"},
            },
            {"name": "errors", "query": "errors", "kind": "count", "direction": "up", "seasonality": "none"},
            {"name": "mails", "metric": "mails", "by": ["plan"], "kind": "gauge", "direction": "down"},
        ],
    }
)
TROUBLE: Mapping[str, tuple[tuple[int, int, float], ...]] = {
    # first and last place, factor
    "orders": (
        (10 * PER_DAY + 150, 24, 0.4),
        (12 * PER_DAY + 140, 8, 0.0),
        (13 * PER_DAY + 100, 60, 0.0),
        (17 * PER_DAY + 150, 24, 0.0),  # on a holiday
        (18 * PER_DAY + 160, 3, 0.2),
        (19 * PER_DAY + 150, 36, 2.5),
        (21 * PER_DAY + 10, 60, 0.3),  # planned
        (21 * PER_DAY + 90, 7, 0.0),  # to its end, which a rate of five minutes still knows of
        (25 * PER_DAY + 100, 14, math.nan),
        (25 * PER_DAY + 114, 1, 0.0),  # the first value after a gap
        (HIDDEN[0] - 5, 20, 0.2),
        (29 * PER_DAY + 150, 10, 0.1),
        (29 * PER_DAY + 185, 10, 0.1),
    ),
    "queue": ((11 * PER_DAY + 110, 70, 0.02), (15 * PER_DAY + 100, 100, 3.0), (30 * PER_DAY + 230, 40, 2.5)),
    "errors": ((14 * PER_DAY, 30, 4.0), (22 * PER_DAY + 40, 1000, 3.0)),
    "mails a": ((16 * PER_DAY + 130, 50, 0.2),),
    "mails b": tuple((day * PER_DAY, PER_DAY, 0.975 ** (day - 10)) for day in range(11, DAYS)),
}
Series = Mapping[Labels, NDArray[np.float64]]


def _course(chance: random.Random, name: str, scale: float) -> NDArray[np.float64]:
    """A day's course by the clock, with weekends and a gap, and what went wrong."""
    found = np.empty(SIZE)
    for place in range(SIZE):
        day, part = divmod(place + (12 if place >= SUMMER else 0), PER_DAY)
        # plan b is bought on weekends too: what was told of one would hide its drift
        weekend = 0.6 if day % 7 >= 5 and name != "mails b" else 1.0
        course = (2.0 + math.sin(part / PER_DAY * 2 * math.pi)) * weekend * (1 + day / 100)
        found[place] = scale * course * max(0.0, chance.gauss(1, 0.1))
    for first, length, factor in TROUBLE[name]:
        found[first : first + length] *= factor
    found[9 * PER_DAY : 9 * PER_DAY + 10] = np.nan
    return found


@pytest.fixture(scope="module")
def values() -> Mapping[str, Series]:
    chance = random.Random(7)
    found: dict[str, Series] = {name: {(): _course(chance, name, 1.0)} for name in ("orders", "queue", "errors")}
    found["mails"] = {
        (("plan", plan),): _course(chance, f"mails {plan}", scale) for plan, scale in (("a", 5.0), ("b", 50.0))
    }
    return found


@pytest.fixture(scope="module")
def mine(values: Mapping[str, Series]) -> Mapping[tuple[str, str, Labels], Condition]:
    """Each alert's condition, by the alert, the signal and the labels of its series."""
    times = START + STEP * np.arange(SIZE, dtype=np.float64)
    at, hidden = moments(FILE, times), np.zeros(SIZE, dtype=np.bool_)
    hidden[slice(*HIDDEN)] = True
    found: dict[tuple[str, str, Labels], Condition] = {}
    for signal in FILE.signals:
        series = [conditions.watched(signal, FILE, labels, row, at) for labels, row in values[signal.name].items()]
        around = conditions.circumstances(signal, FILE, at, hidden)
        for one in series:
            for name, condition in _conditions(signal.name, one, around):
                found[name, signal.name, one.labels] = condition
        found[told.GONE, signal.name, ()] = conditions.gone(series, SIZE)
    return found


def _conditions(name: str, one: Watched, around: Circumstances) -> Iterator[tuple[str, Condition]]:
    signal = next(signal for signal in FILE.signals if signal.name == name)
    edge = conditions.edge_of(signal)
    shadow = np.zeros(SIZE, dtype=np.bool_)
    if signal.stops_as is not None:
        stopped = conditions.stopped(signal, one, around)
        yield told.STOPPED, stopped
        shadow = conditions.shadow(_fires(stopped))
    levels = {alert: np.zeros(SIZE, dtype=np.bool_) for alert in (told.BELOW, told.ABOVE)}
    for alert, wanted in ((told.BELOW, signal.direction != "up"), (told.ABOVE, signal.direction != "down")):
        if wanted:
            is_below = alert == told.BELOW
            level = conditions.below(signal, one, around, shadow) if is_below else conditions.above(signal, one, around)
            yield alert, level.at(edge)
            levels[alert] = _fires(level.at(edge))
    yield told.DRIFTED, conditions.untold(conditions.drifting(signal, one), one, *levels.values())


def _fires(condition: Condition) -> NDArray[np.bool_]:
    times = START + STEP * np.arange(SIZE, dtype=np.float64)
    return firing(times, episodes(times, condition.is_true, condition.score, condition.hold, condition.keep))


@pytest.fixture(scope="module")
def theirs(
    values: Mapping[str, Series],
    mine: Mapping[tuple[str, str, Labels], Condition],
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Mapping[Labels, Samples]]:
    """Where a real Prometheus finds each alert's expression true: `alert:<name>:<signal>`."""
    server = Replay(binaries(), tmp_path_factory.mktemp("replay"), START, START + (SIZE - 1) * STEP)
    times = START + STEP * np.arange(SIZE, dtype=np.float64)
    for name, series in values.items():
        kept = {labels: (times[~np.isnan(row)], row[~np.isnan(row)]) for labels, row in series.items()}
        server.store(name, kept)
    catching_up = np.zeros(SIZE)
    catching_up[slice(*HIDDEN)] = 1.0
    server.store("catching_up", {(): (times, catching_up)})
    firing = {}
    for (alert, signal, labels), condition in mine.items():
        are_told = times[_fires(condition)]
        if alert in (told.STOPPED, told.BELOW, told.ABOVE) and len(are_told):
            told_as = (("alertname", alert), ("alertstate", "firing"), ("signal", signal), *labels)
            firing[told_as] = (are_told, np.ones(len(are_told)))
    server.store("ALERTS", firing)
    rules = list(_rules())
    return server.record(rules, [rule.name for rule in rules if rule.name.startswith("alert:")], lambda _: None)


def _rules() -> Iterator[replay.Record]:
    for group in build.build(FILE, "shop.yml").groups:
        step = max(STEP, round(group.interval))
        for rule in group.rules:
            if isinstance(rule, Record):
                yield replay.Record(rule.name, rule.expr, rule.labels, step)
            elif isinstance(rule, Alert):
                yield replay.Record(f"alert:{rule.name}:{rule.labels['signal']}", rule.expr, {}, STEP)


def test_each_alerts_expression_is_true_at_the_same_evaluations_as_on_the_server(
    mine: Mapping[tuple[str, str, Labels], Condition], theirs: Mapping[str, Mapping[Labels, Samples]]
) -> None:
    asked = {rule.name for rule in _rules() if rule.name.startswith("alert:")}
    assert {f"alert:{alert}:{signal}" for alert, signal, _ in mine} == asked
    for (alert, signal, labels), condition in mine.items():
        found = np.zeros(SIZE, dtype=np.bool_)
        for one, (times, _) in theirs.get(f"alert:{alert}:{signal}", {}).items():
            if dict(labels).items() <= dict(one).items():
                found[((times - START) // STEP).astype(np.int64)] = True
        assert np.flatnonzero(found != condition.is_true).tolist() == [], (alert, signal, labels)


@pytest.mark.parametrize(
    "alert",
    [
        (told.STOPPED, "orders", ()),
        (told.BELOW, "orders", ()),
        (told.ABOVE, "orders", ()),
        (told.BELOW, "queue", ()),
        (told.ABOVE, "queue", ()),
        (told.ABOVE, "errors", ()),
        (told.BELOW, "mails", (("plan", "a"),)),
        (told.DRIFTED, "mails", (("plan", "b"),)),
        (told.GONE, "orders", ()),
    ],
    ids=lambda alert: " ".join([alert[0], alert[1], *(value for _, value in alert[2])]),
)
def test_the_course_has_every_kind_of_trouble(
    alert: tuple[str, str, Labels], mine: Mapping[tuple[str, str, Labels], Condition]
) -> None:
    assert 0 < np.count_nonzero(mine[alert].is_true) < SIZE / 2


HOLDS = ((0.0, 0.0), (0.0, 21_600.0), (900.0, 0.0), (1800.0, 0.0), (43_200.0, 86_400.0), (0.0, 900.0), (600.0, 300.0))


@pytest.mark.parametrize("seed", range(2))
def test_for_and_keep_firing_for_make_the_same_episodes_as_in_promtool(seed: int, tmp_path: Path) -> None:
    chance, size = random.Random(seed), 1200
    course: list[bool] = []
    while len(course) < size:
        longest = chance.choice((3, 8, 80, 160))
        course += [not (course and course[-1])] * chance.randint(1, longest)
    course = course[:size]
    times = STEP * np.arange(size, dtype=np.float64)
    fires = {
        (hold, keep): firing(times, episodes(times, np.array(course), np.ones(size), hold, keep))
        for hold, keep in HOLDS
    }
    _promtool(tmp_path, course, fires)


def _promtool(folder: Path, course: list[bool], fires: Mapping[tuple[float, float], NDArray[np.bool_]]) -> None:
    rules = [
        {"alert": f"A{place}", "expr": "x == 1", "for": f"{hold:.0f}s", "keep_firing_for": f"{keep:.0f}s"}
        for place, (hold, keep) in enumerate(fires)
    ]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "a", "interval": "5m", "rules": rules}]}))
    checks = []
    for place, is_firing in enumerate(fires.values()):
        for at in range(len(course)):
            expr = f'count(ALERTS{{alertname="A{place}",alertstate="firing"}})'
            samples = [{"labels": "{}", "value": 1}] if is_firing[at] else []
            checks.append({"expr": expr, "eval_time": f"{at * STEP}s", "exp_samples": samples})
    inputs = [{"series": "x", "values": " ".join("1" if one else "0" for one in course)}]
    test = {"interval": "5m", "input_series": inputs, "promql_expr_test": checks}
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "5m", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(document))
    done = subprocess.run(
        [binaries() / "promtool", "test", "rules", folder / "test.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
