"""Where an outage or a drift is told of a course that people can follow; that it equals Prometheus's is shown elsewhere."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.rulegen import conditions
from exporter.rulegen.model import STEP
from exporter.rulegen.moments import moments
from exporter.rulegen.settings import Signals

START = 1_767_571_200
PER_DAY, PER_HOUR = 86_400 // STEP, 3600 // STEP
EVENT = 9 * PER_DAY + 12 * PER_HOUR
RARE, OFTEN = 0.02, 1.0
"""Events per second: 6 and 300 in five minutes, of which none at all is an outage in an hour and at once."""
FILE = Signals.model_validate(
    {
        "maintenance": [{"from": "2026-01-14T11:00:00Z", "to": "2026-01-14T12:00:00Z"}],
        "signals": [{"name": "orders", "metric": "orders_total", "kind": "count"}],
    }
)


def _told(events: float, *troubles: tuple[int, int, float]) -> NDArray[np.int64]:
    """The evaluations since EVENT at which an outage is told, of a daily course with noise of 3 %. Of a trouble: its
    first evaluation and how many it has, and by what it multiplies."""
    chance, places = np.random.default_rng(1), np.arange(EVENT + 6 * PER_HOUR)
    values = events * (2 + np.sin(places / PER_DAY * 2 * np.pi)) * chance.normal(1, 0.03, len(places))
    for first, length, factor in troubles:
        values[EVENT + first : EVENT + first + length] *= factor
    (signal,), times = FILE.signals, START + STEP * places.astype(np.float64)
    at = moments(FILE, times)
    one = conditions.watched(signal, FILE, (), values, at)
    around = conditions.circumstances(signal, FILE, at, np.zeros(len(places), dtype=np.bool_))
    found: NDArray[np.int64] = np.flatnonzero(conditions.stopped(signal, one, around).is_true) - EVENT
    return found[found >= -PER_HOUR]


@pytest.mark.parametrize(
    ("events", "troubles", "first"),
    [
        pytest.param(OFTEN, [(20, 30, 0.0)], 20, id="nothing where much is usual: with the first five minutes of it"),
        pytest.param(RARE, [(20, 30, 0.0)], 31, id="nothing where little is usual: after an hour"),
        pytest.param(RARE, [(20, 30, 0.0), (24, 1, math.nan)], 31, id="a missed evaluation delays nothing"),
        pytest.param(OFTEN, [(20, 14, math.nan), (34, 1, 0.0)], None, id="a gap, whose end is seen for seconds only"),
        pytest.param(OFTEN, [(20, 14, math.nan), (34, 9, 0.0)], 35, id="a gap, and an outage as it ends"),
        pytest.param(OFTEN, [(-PER_HOUR, PER_HOUR + 1, 0.0)], None, id="planned work to its last second"),
        pytest.param(OFTEN, [(-PER_HOUR, PER_HOUR + 9, 0.0)], 1, id="planned work, after which nothing comes back"),
    ],
)
def test_an_outage_is_told(events: float, troubles: list[tuple[int, int, float]], first: int | None) -> None:
    found = _told(events, *troubles)
    assert (int(found[0]) if len(found) else None) == first


@pytest.mark.parametrize("ratio", [pytest.param(0.6, id="a fall"), pytest.param(1.6, id="a rise")])
def test_a_drift_is_hidden_by_what_was_told_on_its_side_alone(ratio: float) -> None:
    (signal,), size = FILE.signals, 10
    at = moments(FILE, START + STEP * np.arange(size, dtype=np.float64))
    one = conditions.watched(signal, FILE, (), np.ones(size), at)
    values = np.full(size, ratio)
    one = replace(one, recorded=replace(one.recorded, drift=values, normal=np.ones(size)))
    drift, told, never = conditions.drifting(signal, one), np.ones(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    on_its_side = (told, never) if ratio < 1 else (never, told)
    assert drift.is_true.all()
    assert not conditions.untold(drift, one, *on_its_side).is_true.any()
    assert conditions.untold(drift, one, *reversed(on_its_side)).is_true.all()
