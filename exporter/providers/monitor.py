"""Third-party health, running: the schedule, `/probe` and observations around the one state of each provider."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TypeVar

from exporter.config import ExporterConfig, Provider
from exporter.exposition import Families
from exporter.ledger import Ledger
from exporter.metrics import ExporterMetrics
from exporter.observations import Observation
from exporter.providers import billing, statuspage
from exporter.providers.answer import Exchange
from exporter.providers.collector import Collector
from exporter.providers.history import State, in_doubt
from exporter.providers.kinds import Kind
from exporter.providers.prober import Found, Prober
from exporter.providers.schedule import Schedule
from exporter.providers.transport import Sessions
from exporter.providers.watch import Watch
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.service import Spawn
from toolkit.storage import StorageUnavailable

V = TypeVar("V")
SAVE_EVERY_SECONDS = 1.0
"""How much of a provider's past a crash can cost: states are saved together, this often."""


class Monitor:
    """Everything about providers that lives while the process does."""

    def __init__(
        self, ledger: Ledger, sessions: Sessions, spawn: Spawn, metrics: ExporterMetrics, now: Now, log: Logger
    ) -> None:
        self._ledger, self._spawn, self._metrics, self._now, self._log = ledger, spawn, metrics, now, log
        self._watch = Watch(log)
        self._prober = Prober(sessions, now)
        self._pages: dict[str, bool | None] = {}
        self._done: dict[str, float] = {}
        # intervals are measured by a clock that nobody sets
        self._clock = asyncio.get_running_loop().time
        chance = random.Random()  # noqa: S311 - spreads probes, guards nothing
        self._schedule = Schedule(self._on_schedule, metrics.schedule_delay.observe, spawn, chance)
        self.providers: Mapping[str, Provider] = {}
        self.use(ExporterConfig())

    # --- life

    async def recall(self) -> None:
        """Reads what a former process knew."""
        self._watch.states = await self._ledger.states()
        self._watch.accounts = await self._ledger.accounts()

    def use(self, config: ExporterConfig) -> None:
        """Exports what this configuration names from now on."""
        self._cards = config.cards
        for provider in config.providers:
            before = self.providers.get(provider.name)
            if before is not None and before.account != provider.account:
                self._watch.forget_balance(provider.name)
        self.providers = {provider.name: provider for provider in config.providers}
        self._collector = Collector(config.providers)

    async def follow(self) -> None:
        """Probes what is scheduled from now on."""
        await self._schedule.follow(provider for provider in self.providers.values() if provider.scheduled)

    async def stop(self) -> None:
        """Ends the probes and saves what they found."""
        await self._schedule.stop()
        await self._save()

    async def save_forever(self) -> None:
        """Saves what changed every SAVE_EVERY_SECONDS; a failure is counted and tried again."""
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            await self._save()

    async def _save(self) -> None:
        watch = self._watch
        names, watch.changed = watch.changed, set()
        if not names:
            return
        try:
            await self._ledger.save(_of(names, watch.states), _of(names, watch.accounts))
        except StorageUnavailable as error:
            watch.changed |= names
            self._metrics.storage_errors.inc()
            self._log.error("provider states not saved, will try again", reason=error.reason)

    # --- looks

    async def _on_schedule(self, provider: Provider) -> float:
        _, state = await self.probe(provider, provider.timeout)
        confirmation = provider.confirmation
        doubtful = in_doubt(state, confirmation.probes, confirmation.duration)
        return provider.doubt_interval if doubtful else provider.interval

    async def probe(self, provider: Provider, limit: float) -> tuple[Found, State]:
        """One look within `limit` seconds, entered into the provider's state. What else there is to ask the vendor is
        asked afterwards, for a scrape has little time."""
        deadline = self._clock() + limit
        found = await self._prober.look(provider, limit)
        if provider.second_url and self._watch.is_open(provider, found):
            left = deadline - self._clock()
            found = await self._prober.look_again(provider, found, provider.second_url, left)
        state = self._watch.probed(provider, found, self._now())
        self._follow_up(provider, found, state)
        return found, state

    def _follow_up(self, provider: Provider, found: Found, state: State) -> None:
        """Balance and quota while all is well, the vendor's status page while it isn't; each when its time has come."""
        if state.kind is not Kind.OK:
            if provider.status_page and self._is_time(f"page of {provider.name}", statuspage.ASKED_EVERY_SECONDS):
                asking = self._ask_status_page(provider, provider.status_page)
                self._spawn(asking, f"status page of {provider.name}")
            return
        self._pages.pop(provider.name, None)
        reading = provider.account
        if reading is None:
            return
        if reading.url is None:
            self._watch.told(provider, found.outcome, self._now())
        elif self._is_time(f"account of {provider.name}", reading.interval):
            self._spawn(self._ask_account(provider, reading.url, found), f"account of {provider.name}")

    def _is_time(self, what: str, interval: float) -> bool:
        """Whether `what` was last done at least `interval` seconds ago; if so it counts as done now."""
        now = self._clock()
        if now - self._done.get(what, -interval) < interval:
            return False
        self._done[what] = now
        return True

    async def _ask_account(self, provider: Provider, url: str, found: Found) -> None:
        self._watch.told(provider, await self._prober.read(provider, url, found.credential), self._now())

    async def _ask_status_page(self, provider: Provider, address: str) -> None:
        incident = None
        for url in statuspage.addresses(address):
            answer = await self._prober.read_public(provider, url)
            incident = statuspage.incident(answer) if isinstance(answer, Exchange) else None
            if incident is not None:
                break
        state = self._watch.states.get(provider.name)
        if state is not None and state.kind is not Kind.OK:
            self._pages[provider.name] = incident

    async def observe(self, observations: Iterable[Observation]) -> None:
        """Takes what programs were answered; where that leaves the cause open, our own probe follows at once."""
        for one in observations:
            await asyncio.sleep(0)  # probes and health checks come in between
            if self._watch.observed(one.provider, one.outcome, one.source, self._now()):
                self._hasten(one.provider)

    def _hasten(self, provider: Provider) -> None:
        """Once in a while: a program that goes on asking must not make us ask as often."""
        if self._is_time(f"hastened look at {provider.name}", provider.doubt_interval):
            self._schedule.hasten(provider.name)

    # --- what Prometheus reads

    def families(self) -> Families:
        """Every provider's series."""
        watch = self._watch
        measured = self._collector.families(watch.states, watch.responses, watch.observations, self._pages)
        return chain(measured, billing.families(self.providers.values(), self._cards, watch.accounts, self._now()))

    def latest(self) -> list[tuple[Provider, State | None, float]]:
        """Each of `providers` with what was last found of it, and the time now."""
        now = self._now()
        return [(provider, self._watch.states.get(name), now) for name, provider in self.providers.items()]

    def families_of(self, provider: Provider) -> Families:
        """One provider's series, for `/probe`."""
        return Collector([provider]).families(self._watch.states, {}, {})


def _of(names: Iterable[str], values: Mapping[str, V]) -> dict[str, V]:
    return {name: values[name] for name in names if name in values}
