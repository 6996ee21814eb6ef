"""What one failing sink costs the other channels: how much later they are told, in each of the ways that sinks fail.

A receiver with two targets, told of alerts one at a time; first both sinks are well, then one fails. The time is from
the webhook to the message at the other one.
"""

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.bench.figure import Bench, Figure, quantile
from tests.faults.verdict import event_of
from tests.support.alertmanagers import Alert, webhook
from tests.support.processes import Process, running
from tests.support.receivers import configuration, receivers, sqlite
from tests.support.sink import FAULTS, Behaviour, Channel, listening

RUNS = 5
ALERTS = 40
ALERTS_PER_SECOND = 15.0
WARM_UP_ALERTS = 5
ARRIVED_SECONDS = 30.0
BAR_SECONDS = 0.1


@dataclass(frozen=True)
class Delays:
    """The p99 in seconds of one run without and with the fault, and how many messages the other sink never got."""

    without: float
    with_fault: float
    missing: int


async def tell(
    receiver: Process, well: Channel, prefix: str, session: aiohttp.ClientSession, count: int = ALERTS
) -> list[float]:
    """Posts alerts at a steady pace; seconds from each one's post to its message at `well`, of those that came."""
    posted: dict[str, float] = {}

    async def post(name: str) -> None:
        alert = Alert(name, time.time())
        posted[name] = time.time()
        async with session.post(f"{receiver.url}/webhook/alertmanager", data=webhook([alert])) as answer:
            assert answer.status == 200, await answer.text()

    def arrived() -> dict[str, float]:
        return {name: one.at for one in well.told if (name := event_of(one)[0]) in posted}

    async with asyncio.TaskGroup() as posts:
        for number in range(count):
            posts.create_task(post(f"{prefix}-{number}"))
            await asyncio.sleep(1 / ALERTS_PER_SECOND)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ARRIVED_SECONDS):
            while len(arrived()) < count:
                await asyncio.sleep(0.05)
    return [at - posted[name] for name, at in arrived().items()]


async def delays(fault: Behaviour) -> Delays:
    """One run with a receiver of its own."""
    faulty, well = Channel("faulty"), Channel("well")
    with tempfile.TemporaryDirectory() as folder:
        async with aiohttp.ClientSession() as session, listening([faulty, well]):
            config = configuration([faulty, well], timeout="2s")
            (receiver,) = receivers(1, config, sqlite(Path(folder)), Path(folder), session)
            async with running(receiver):
                await tell(receiver, well, "warm-up", session, WARM_UP_ALERTS)
                without = await tell(receiver, well, "without", session)
                await faulty.behave(fault)
                with_fault = await tell(receiver, well, "with", session)
    return Delays(quantile(without, 0.99), quantile(with_fault, 0.99), 2 * ALERTS - len(without) - len(with_fault))


def figure(fault: Behaviour, runs: Sequence[Delays]) -> Figure:
    """The median run."""
    without, failing = (
        statistics.median(times) for times in zip(*((r.without, r.with_fault) for r in runs), strict=True)
    )
    later = statistics.median(run.with_fault - run.without for run in runs)
    missing = sum(run.missing for run in runs)
    text = (
        f"told after p99 {failing * 1e3:.0f} ms, {without * 1e3:.0f} ms while both are well; {later * 1e3:+.0f} ms, "
        f"median of {len(runs)}; bar {BAR_SECONDS * 1e3:+.0f} ms; {missing} missing"
    )
    missed = later > BAR_SECONDS or missing > 0
    return Figure(f"other channel while one fails: {fault.name}", failing / without, "both well, p99", text, missed)


async def run(_: Path) -> Sequence[Figure]:
    """A figure for each fault. The runs go round the faults, so that a noisy minute does not fall on one of them."""
    found: dict[Behaviour, list[Delays]] = {fault: [] for fault in FAULTS}
    for _number in range(RUNS):
        for fault, runs in found.items():
            runs.append(await delays(fault))
    return [figure(fault, runs) for fault, runs in found.items()]


BENCH = Bench("sinks", "how much later others are told while one sink fails", run)
