"""When each provider is probed: on its own interval, with jitter, each undisturbed by the others."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field

from exporter.config import Provider
from toolkit.service import Spawn

JITTER = 0.05
"""Each pause is lengthened or shortened by up to this share of the interval, so that probes don't march in step."""
FIRST_PROBE_WITHIN_SECONDS = 5.0
"""After a start every provider is probed within this time, so that a restart is soon over."""
LEAST_PAUSE_SECONDS = 10.0
"""A probe that is asked for sooner follows the one before no faster than this."""

Probe = Callable[[Provider], Coroutine[None, None, float]]
"""Probes a provider; returns the seconds until the next time."""
Late = Callable[[float], None]


@dataclass
class _Turn:
    """A provider's place in the schedule."""

    provider: Provider
    sooner: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


class Schedule:
    """Runs `probe(provider)` for every provider, until stopped. `late(seconds)` hears how late each probe began."""

    def __init__(self, probe: Probe, late: Late, spawn: Spawn, chance: random.Random) -> None:
        self._probe, self._late, self._spawn, self._chance = probe, late, spawn, chance
        self._turns: dict[str, _Turn] = {}

    async def follow(self, providers: Iterable[Provider]) -> None:
        """Probes exactly these from now on. A provider that did not change keeps its rhythm."""
        wanted = {provider.name: provider for provider in providers}
        gone = [name for name, turn in self._turns.items() if wanted.get(name) != turn.provider]
        await self._cancel(gone)
        for name, provider in wanted.items():
            if name not in self._turns:
                turn = self._turns[name] = _Turn(provider)
                turn.task = self._spawn(self._repeat(turn), f"probe {name}")

    def hasten(self, name: str) -> None:
        """Probes a provider as soon as may be; nothing happens for one that isn't on the schedule."""
        if name in self._turns:
            self._turns[name].sooner.set()

    async def stop(self) -> None:
        """Ends every probe under way."""
        await self._cancel(list(self._turns))

    async def _cancel(self, names: list[str]) -> None:
        tasks = [turn.task for turn in (self._turns.pop(name) for name in names) if turn.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, turn: _Turn) -> None:
        clock = asyncio.get_running_loop().time
        first = min(turn.provider.interval, FIRST_PROBE_WITHIN_SECONDS)
        due, earliest = clock() + self._chance.uniform(0, first), clock()
        while True:
            due = await _until(due, earliest, turn.sooner)
            self._late(max(clock() - due, 0.0))
            pause = await self._probe(turn.provider) * self._chance.uniform(1 - JITTER, 1 + JITTER)
            earliest = clock() + LEAST_PAUSE_SECONDS
            # a probe that outlasted its turn (a suspended machine, say) is not made up for
            due = max(due + pause, clock())


async def _until(due: float, earliest: float, sooner: asyncio.Event) -> float:
    """Sleeps until `due`, or until `earliest` once `sooner` is set; returns the time that was due in the end."""
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout_at(due):
            await sooner.wait()
    except TimeoutError:
        return due
    now = clock()
    due = min(due, max(earliest, now))
    await asyncio.sleep(due - now)
    # whoever asked in the meantime asked for this look
    sooner.clear()
    return due
