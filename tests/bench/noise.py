"""A month of two thousand alerts: what a person gets in a week, and whether that costs anything that matters.

The baseline tells everything at once: a message to the same people for each alert that begins and each that ends.
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.figure import Bench, Figure
from tests.support.month.generator import DAYS, TEAM_OF, Alert, month
from tests.support.month.replay import PEOPLE, Month, config, replay, targets

SEED = 5
WEEKS = DAYS / 7


def _a_week(told: Iterable[str]) -> float:
    """Of messages to these targets, how many a person gets in a week; rooms are nobody's pocket."""
    return sum(target.partition("-")[0] in PEOPLE for target in told) / len(PEOPLE) / WEEKS


def _plain(alerts: Iterable[Alert]) -> list[str]:
    return [
        target for one in alerts for target in targets(one.severity, TEAM_OF[one.service]) for _ in ("begin", "end")
    ]


def _figure(name: str, found: Month, before: float) -> Figure:
    after = _a_week(one.target for one in found.told)
    digests = sum(bool(one.message.digest) for one in found.told)
    text = (
        f"{before:.1f} messages a person and week before, {after:.1f} after; {len(found.told)} messages in all, "
        f"{digests} of them digests; {len(found.incidents)} incidents, {len(found.lost)} lost; critical "
        f"{len(found.critical)} times, {len(found.delayed)} delayed"
    )
    return Figure(name, before / after, "everything told at once", text, bool(found.lost or found.delayed))


async def run(_: Path) -> Sequence[Figure]:
    alerts = month(SEED)
    with tempfile.TemporaryDirectory() as folder:
        found = await replay(alerts, config(), Path(folder))
    return [_figure(f"a month of {len(alerts):,} alerts", found, _a_week(_plain(alerts)))]


BENCH = Bench("noise", "a month of 2,000 alerts: what a person gets in a week, what is lost or late", run)
