"""What the generated rules cost Prometheus, with every part of the model on and the weeks that it looks back to in place.

The baseline is the rule that many write by hand: how many standard deviations of the last week a value is off.
"""

import asyncio
import re
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from exporter.rulegen import build
from exporter.rulegen.model import FORECAST_STEP, PAST_STEP, STEP, WEEK
from exporter.rulegen.settings import Signals
from tests.bench.figure import Bench, Figure
from tests.support.prometheuses import prometheus
from tests.support.replay import Labels, Replay, Samples

SERIES = 200
BAR_SECONDS = 300e-6
EVALUATIONS, INTERVAL = 15, 2
GROUPS = {"now": STEP, "forecast": FORECAST_STEP, "past": PAST_STEP}
FILE = Signals.model_validate(
    {
        "timezone": "Europe/Berlin",
        "holidays": ["2026-12-25"],
        "signals": [{"name": "orders", "query": "last_over_time(orders[1h])", "by": ["shop"], "kind": "count"}],
    }
)
PROFILE = "shop-count-weekly-standard"
Z_SCORE = """
  - name: z-score
    interval: 5m
    rules:
      - record: orders:z
        expr: (last_over_time(orders[1h]) - avg_over_time(orders[1w])) / stddev_over_time(orders[1w])
"""
HISTORY: Mapping[str, tuple[int, int]] = {
    "orders": (WEEK, STEP),
    "signal:value": (WEEK, STEP),
    "signal:level": (WEEK + 86_400, STEP),
    "signal:learnt": (4 * WEEK + 86_400, STEP),
    "signal:season_deviation": (2 * WEEK + 86_400, FORECAST_STEP),
    "signal:week_deviation": (2 * WEEK + 86_400, FORECAST_STEP),
    "signal:fast_deviation": (2 * WEEK + 86_400, FORECAST_STEP),
    **dict.fromkeys(
        ("signal:forecast", "signal:reach:up", "signal:reach:down", "signal:fast_reach"), (86_400, FORECAST_STEP)
    ),
    **dict.fromkeys(
        ("signal:share", "signal:stray:up", "signal:stray:down", "signal:fast_stray", "signal:factor"),
        (86_400, PAST_STEP),
    ),
    "signal:week": (4 * WEEK, PAST_STEP),
    "signal:whole_week": (4 * WEEK, PAST_STEP),
}
"""How far back each series goes, and how often it was recorded (seconds)."""


async def run(binaries: Path) -> list[Figure]:
    return await asyncio.to_thread(_measured, binaries)


def _measured(binaries: Path) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        end = int(time.time()) // STEP * STEP - STEP
        replay = Replay(binaries, folder, end - 5 * WEEK, end)
        for metric, (span, step) in HISTORY.items():
            replay.store(metric, _series(metric, end, span, step))
        with prometheus(binaries, folder, flags=["--web.enable-lifecycle"]) as url:
            seconds = _evaluated(url, folder)
    ours = sum(seconds[name] / SERIES * STEP / step for name, step in GROUPS.items())
    theirs = seconds["z-score"] / SERIES
    text = (
        f"{1e6 * ours:.0f} us a series and 5 min ({1e6 * seconds['now'] / SERIES:.0f} now, "
        f"{1e6 * seconds['forecast'] / SERIES:.0f} every 30 min, {1e6 * seconds['past'] / SERIES:.0f} every 6 h); "
        f"bar {1e6 * BAR_SECONDS:.0f} us"
    )
    return [Figure("every model on", ours / theirs, "a z-score over a week", text, missed=ours > BAR_SECONDS)]


def _series(metric: str, end: int, span: int, step: int) -> dict[Labels, Samples]:
    chance = np.random.default_rng(7)
    times = np.arange(end - span, end + 1, step, dtype=np.float64)
    own = {} if metric == "orders" else {"signal": "orders", "profile": PROFILE}
    return {
        tuple(sorted({**own, "shop": f"s{number}"}.items())): (times, chance.uniform(0.4, 0.6, len(times)))
        for number in range(SERIES)
    }


def _evaluated(url: str, folder: Path) -> dict[str, float]:
    """Seconds of an evaluation of each group, at the median, while no other is evaluated."""
    head, *groups = re.split(r"(?m)^(?=  - name: )", build.build(FILE, "shop.yml").rules)
    calendar, *ours = groups
    found = {}
    for name, group in {**dict(zip(GROUPS, ours, strict=True)), "z-score": Z_SCORE}.items():
        text = re.sub(r"interval: (5m|30m|6h)", f"interval: {INTERVAL}s", group)
        (folder / "rules.yml").write_text(head + calendar + text, encoding="utf-8")
        urllib.request.urlopen(urllib.request.Request(f"{url}/-/reload", method="POST"), timeout=60).close()
        times = []
        for _ in range(EVALUATIONS):
            time.sleep(INTERVAL)
            times += _last_duration(url)
        found[name] = float(np.median(times))
    return found


def _last_duration(url: str) -> list[float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    pattern = r'prometheus_rule_group_last_duration_seconds\{rule_group="[^"]*;([^"]+)"\} (\S+)'
    return [
        float(seconds)
        for group, seconds in re.findall(pattern, text)
        if not group.endswith("calendar") and float(seconds)
    ]


BENCH = Bench("rules", "what the generated rules cost Prometheus", run)
