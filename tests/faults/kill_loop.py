"""Kills receivers with SIGKILL at random moments while alerts fire and resolve, and counts what people were told.

python -m tests.faults.kill_loop --binaries FOLDER [--replicas 3 --storage.url postgresql://...]

A real Alertmanager posts to the real command; the sink answers slowly, so that many kills fall between a send's
start and its record.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.faults.verdict import Event, Verdict, judge
from tests.support.alertmanagers import Alert, Alertmanager
from tests.support.balancer import Balancer
from tests.support.processes import Process, running, until
from tests.support.receivers import configuration, receivers, records, sqlite
from tests.support.sink import Channel, listening, slow

UNREADY_SHARE = 0.125
"""How many kills don't wait for the receiver to be ready: a start can be cut off as well."""
SETTLE_SECONDS = 180.0
LONGEST = 4.0
"""How many times the planned seconds a run may take before it stops waiting for its alerts to be heard of."""
UNREADY_SECONDS = 1.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Plan:
    """What is to happen. Times are in seconds; `pause`: for how long a receiver lives once it is ready, on the average;
    `sink`: how long the sink takes for an answer, at least and at most."""

    binaries: Path
    folder: Path
    storage: str
    replicas: int = 1
    alerts: int = 150
    kills: int = 50
    seconds: float = 75.0
    pause: float = 0.4
    sink: tuple[float, float] = (0.03, 0.08)
    seed: int = 1


@dataclass(frozen=True)
class Kill:
    """One kill; `start` is how long the receiver had taken from its start to ready, None when it was not ready yet."""

    start: float | None


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    kills: Sequence[Kill]
    hung_up: int
    verdict: Verdict
    seconds: float

    @property
    def figures(self) -> str:
        """On one line."""
        starts = [kill.start for kill in self.kills if kill.start is not None]
        return (
            f"{len(self.kills)} kills in {self.seconds:.0f} s ({len(self.kills) - len(starts)} before ready; ready "
            f"after {statistics.median(starts):.2f} s), {self.hung_up} while the sink was answering; messages whose "
            f"outcome was lost: {self.verdict.gaps}; duplicates: {self.verdict.duplicates}, unmarked: "
            f"{len(self.verdict.unmarked)}; lost: {len(self.verdict.lost)}"
        )


class Story:
    """Alerts that fire and resolve as the story advances from 0 to 1.

    It advances with the time and with the kills, whichever is behind: on a slow machine it takes longer, and the kills
    are spread over it all the same. An alert does not end before a receiver has taken its firing: Alertmanager never
    tells of one that ends earlier, not even its resolve.
    """

    def __init__(self, names: Sequence[str], chance: random.Random) -> None:
        self._fires = {name: chance.uniform(0.0, 0.65) for name in names}
        self._ends = {name: at + chance.uniform(0.15, 0.3) for name, at in self._fires.items()}
        self._firing: dict[str, Alert] = {}

    @property
    def over(self) -> bool:
        """Whether everything has ended."""
        return not self._fires and not self._firing

    def due(self, progress: float, heard: set[Event], now: float) -> list[Alert]:
        """The alerts that begin and those that end; each is given once."""
        begun = [name for name, at in self._fires.items() if at <= progress]
        ended = [name for name in self._firing if self._ends[name] <= progress and (name, "firing") in heard]
        fire = {name: Alert(name, starts_at=now) for name in begun}
        end = [Alert(name, self._firing.pop(name).starts_at, ends_at=now) for name in ended]
        self._firing |= fire
        for name in begun:
            del self._fires[name]
        return [*fire.values(), *end]


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._chance = plan, random.Random(plan.seed)
        names = [f"alert-{number:03d}" for number in range(plan.alerts)]
        self._expected = {(name, status) for name in names for status in ("firing", "resolved")}
        self._story = Story(names, self._chance)
        self._kills: list[Kill] = []
        self._began = time.monotonic()

    @property
    def _passed(self) -> float:
        """How much of the planned time has passed; more than 1 once it is over."""
        return (time.monotonic() - self._began) / self._plan.seconds

    @property
    def _progress(self) -> float:
        return min(self._passed, len(self._kills) / self._plan.kills)

    @property
    def _over(self) -> bool:
        # what no receiver has heard of by then is lost, and the verdict says so
        return self._progress >= 1 and (self._story.over or self._passed > LONGEST)

    async def outcome(self) -> Outcome:
        """Runs it and judges it."""
        channel = Channel("inbox", slow(*self._plan.sink))
        async with aiohttp.ClientSession() as session, listening([channel]):
            plan, config = self._plan, configuration([channel])
            ours = receivers(plan.replicas, config, plan.storage, plan.folder, session)
            balancer = Balancer([one.url for one in ours])
            alertmanager = Alertmanager(
                "alertmanager", plan.binaries, plan.folder, session, f"{balancer.url}/webhook/alertmanager"
            )
            async with balancer.listening(), running(*ours, alertmanager.process):
                self._began = time.monotonic()
                await self._rage(ours, alertmanager, balancer)
                seconds = time.monotonic() - self._began
                await self._settled(balancer)
            verdict = judge(self._expected, channel.told, (await records(plan.storage)).rows)
        return Outcome(self._kills, channel.hung_up, verdict, seconds)

    async def _rage(self, ours: Sequence[Process], alertmanager: Alertmanager, balancer: Balancer) -> None:
        async with asyncio.TaskGroup() as tasks:
            for receiver in ours:
                tasks.create_task(self._kill(receiver))
            while not self._over:
                await alertmanager.post(self._story.due(self._progress, balancer.heard, time.time()))
                await asyncio.sleep(0.1)

    async def _kill(self, receiver: Process) -> None:
        """Kills it again and again, and starts it again at once."""
        while not self._over:
            started, ready = time.monotonic(), None
            if self._chance.random() < UNREADY_SHARE:
                await asyncio.sleep(self._chance.uniform(0.0, UNREADY_SECONDS))
            else:
                await until(receiver.ready, f"{receiver.name} is ready", pause=LOOK_SECONDS)
                ready = time.monotonic() - started
                await asyncio.sleep(self._chance.uniform(0.0, 2 * self._plan.pause))
            await receiver.kill()
            await receiver.start()
            self._kills.append(Kill(ready))

    async def _settled(self, balancer: Balancer) -> None:
        """Waits until everything was heard and worked off. If that takes too long, the verdict says what is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while not (self._expected <= balancer.heard and (await records(self._plan.storage)).idle):
                    await asyncio.sleep(0.5)


async def run(plan: Plan) -> Outcome:
    """Does what the plan says."""
    return await Run(plan).outcome()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--binaries", type=Path, required=True, help="the folder of Alertmanager")
    parser.add_argument("--storage.url", dest="storage", help="the receivers' database (default: an SQLite file)")
    parser.add_argument("--replicas", type=int, default=1, help="how many receivers (default: %(default)s)")
    parser.add_argument("--alerts", type=int, default=150, help="(default: %(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="at least so many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=75.0, help="at least so long (default: %(default)s)")
    parser.add_argument("--pause", type=float, default=0.4, help="a receiver's life after ready (default: %(default)s)")
    parser.add_argument(
        "--sink", type=float, nargs=2, default=(0.03, 0.08), help="its answers' times (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1000), help="(default: by chance)")
    arguments = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        storage = arguments.pop("storage") or sqlite(Path(folder))
        print(f"seed {arguments['seed']}")
        outcome = asyncio.run(run(Plan(folder=Path(folder), storage=storage, **arguments)))
    print(outcome.figures)
    print(outcome.verdict.faults or "nothing was lost, and no repeat went unmarked")
    return 1 if outcome.verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
