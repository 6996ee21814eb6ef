"""When each provider is probed: on its own interval, with jitter, each undisturbed by the others."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable

from exporter.config import Provider
from toolkit.service import Spawn

JITTER = 0.05
"""Each pause is lengthened or shortened by up to this share of the interval, so that probes don't march in step."""
FIRST_PROBE_WITHIN_SECONDS = 5.0
"""After a start every provider is probed within this time, so that a restart is soon over."""

Probe = Callable[[Provider], Coroutine[None, None, None]]
Late = Callable[[float], None]


class Schedule:
    """Runs `probe(provider)` for every provider, until stopped. `late(seconds)` hears how late each probe began."""

    def __init__(self, probe: Probe, late: Late, spawn: Spawn, chance: random.Random) -> None:
        self._probe, self._late, self._spawn, self._chance = probe, late, spawn, chance
        self._tasks: dict[str, tuple[Provider, asyncio.Task[None]]] = {}

    async def follow(self, providers: Iterable[Provider]) -> None:
        """Probes exactly these from now on. A provider that did not change keeps its rhythm."""
        wanted = {provider.name: provider for provider in providers}
        gone = [name for name, (provider, _) in self._tasks.items() if wanted.get(name) != provider]
        await self._cancel(gone)
        for name, provider in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = (provider, self._spawn(self._repeat(provider), f"probe {name}"))

    async def stop(self) -> None:
        """Ends every probe under way."""
        await self._cancel(list(self._tasks))

    async def _cancel(self, names: list[str]) -> None:
        tasks = [self._tasks.pop(name)[1] for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, provider: Provider) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + self._chance.uniform(0, min(provider.interval, FIRST_PROBE_WITHIN_SECONDS))
        while True:
            await asyncio.sleep(due - clock())
            self._late(max(clock() - due, 0.0))
            await self._probe(provider)
            pause = provider.interval * self._chance.uniform(1 - JITTER, 1 + JITTER)
            # a probe that outlasted its turn (a suspended machine, say) is not made up for
            due = max(due + pause, clock())
