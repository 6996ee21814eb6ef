"""Wires the exporter: configuration, ledger, schedule and web server, each released when the process stops."""

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import chain

import aiohttp
from prometheus_client import CollectorRegistry, disable_created_metrics

from exporter import config as configuration
from exporter.config import ExporterConfig, Provider
from exporter.exposition import render
from exporter.ledger import MIGRATIONS, Ledger
from exporter.metrics import ExporterMetrics
from exporter.providers import billing
from exporter.providers.answer import Exchange
from exporter.providers.collector import Collector
from exporter.providers.concealed import secrets_of
from exporter.providers.history import Past, State, advance, conclude
from exporter.providers.kinds import Certainty, Kind, Verdict
from exporter.providers.probe import client_session, exchange, fingerprint
from exporter.providers.schedule import Schedule
from exporter.providers.verdict import judge
from exporter.usage.collector import UsageCollector
from exporter.usage.engine import Counted, count
from exporter.usage.rules import SeriesKey, compile_rules
from exporter.web import routes
from toolkit.cli import Options
from toolkit.clock import Now
from toolkit.configfile import ConfigError
from toolkit.httpserver import Authenticator, Probes, application, require_authentication, server_tls
from toolkit.logs import Logger, configure
from toolkit.service import Background, Spawn, serve
from toolkit.storage import Database, StorageUnavailable, lock_database, migrate

SAVE_EVERY_SECONDS = 1.0
"""How much of a provider's past a crash can cost: states are saved together, this often."""


class Exporter:
    """The running exporter. Everything that touches the world was passed in."""

    def __init__(
        self,
        options: Options,
        ledger: Ledger,
        session: aiohttp.ClientSession,
        spawn: Spawn,
        metrics: ExporterMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        self.metrics = metrics
        self.ready = False
        self._reloading = asyncio.Lock()
        self._options, self._ledger, self._session, self._now, self._log = options, ledger, session, now, log
        self._states: dict[str, State] = {}
        self._unsaved: set[str] = set()
        self._responses: Counter[tuple[str, str, str]] = Counter()
        self._counts: dict[SeriesKey, int] = {}
        self._schedule = Schedule(self.probe, metrics.schedule_delay.observe, spawn, random.Random())  # noqa: S311 - spreads probes, guards nothing
        self._use(ExporterConfig())

    # --- configuration

    def _use(self, config: ExporterConfig) -> None:
        self._config = config
        self._authenticator = Authenticator(self._options.web.basic_auth_users, config.auth.bearer_token_files)
        self._providers = Collector(config.providers)
        self._usage = UsageCollector(config.usage.rules)
        self._table = compile_rules(config.usage.rules)

    @property
    def config(self) -> ExporterConfig:
        """The configuration in force."""
        return self._config

    async def reload(self) -> None:
        """Puts the file's present content in force. Raises ConfigError and changes nothing when it is unusable."""
        async with self._reloading:
            await self._reload()

    async def _reload(self) -> None:
        try:
            config = await asyncio.to_thread(load, self._options)
        except ConfigError as error:
            self.metrics.reloaded(False, self._now)
            self._log.error("configuration refused, the old one stays in force", problems=str(error))
            raise
        self._use(config)
        await self._schedule.follow(config.providers)
        self.metrics.reloaded(True, self._now)
        self._log.info("configuration loaded", file=self._options.config_file, providers=len(config.providers))

    # --- life

    async def start(self) -> None:
        """Reads what was remembered, loads the configuration, begins to probe."""
        self._states = await self._ledger.states()
        self._counts = await self._ledger.counts()
        await self.reload()
        self.ready = True

    def drain(self) -> None:
        """Says that it is not ready any more."""
        self.ready = False

    async def stop(self) -> None:
        """Ends the probes and saves what they found."""
        self.ready = False
        await self._schedule.stop()
        await self._save()

    async def save_forever(self) -> None:
        """Saves changed states every SAVE_EVERY_SECONDS; a failure is counted and tried again."""
        while True:
            await asyncio.sleep(SAVE_EVERY_SECONDS)
            await self._save()

    async def _save(self) -> None:
        names, self._unsaved = self._unsaved, set()
        if not names:
            return
        try:
            await self._ledger.save_states({name: self._states[name] for name in names})
        except StorageUnavailable as error:
            self._unsaved |= names
            self.metrics.storage_errors.inc()
            self._log.error("provider states not saved, will try again", reason=error.reason)

    # --- the measurement line

    async def probe(self, provider: Provider) -> None:
        """One probe: exchange -> verdict -> state."""
        outcome = await exchange(self._session, provider)
        try:
            verdict = judge(outcome, provider.signatures, secrets_of(provider))
        except Exception as error:  # noqa: BLE001 - a vendor's answer must not end the probing of the others
            self._log.exception("an answer could not be judged", provider=provider.name)
            verdict = Verdict(Kind.UNKNOWN, Certainty.STATUS, f"internal error: {type(error).__name__}")
        before = self._states.get(provider.name)
        now, credential = self._now(), fingerprint(provider.auth)
        verdict = conclude(verdict, before.past(credential, now) if before is not None else Past(ever_ok=False))
        state = advance(before, verdict, credential, outcome.seconds, now)
        self._states[provider.name] = state
        self._unsaved.add(provider.name)
        self._responses[provider.name, verdict.kind.value, outcome.code] += 1
        if before is None or before.kind is not verdict.kind:
            self._log_change(provider, verdict, outcome.status if isinstance(outcome, Exchange) else None)

    def _log_change(self, provider: Provider, verdict: Verdict, status: int | None) -> None:
        self._log.info(
            "verdict changed",
            provider=provider.name,
            verdict=verdict.kind.value,
            certainty=verdict.certainty.value,
            reason=verdict.reason,
            signature=verdict.signature,
            status=status,
        )

    async def count_events(self, body: bytes, ndjson: bool) -> Counted:
        """Counts a body's events; they are in the ledger when this returns. Raises StorageUnavailable."""
        # in a thread: a large body must not hold up the probes and the health check
        counted = await asyncio.to_thread(count, body, ndjson, self._table)
        if counted.deltas:
            await self._ledger.add(counted.deltas)
            for key, delta in counted.deltas.items():
                self._counts[key] = self._counts.get(key, 0) + delta
        self.metrics.events.labels("matched").inc(counted.matched)
        self.metrics.events.labels("unmatched").inc(counted.unmatched)
        self.metrics.events.labels("rejected").inc(counted.rejected)
        return counted

    def exposition(self, openmetrics: bool) -> bytes:
        """Third-party and usage series as text (without OpenMetrics's closing line)."""
        providers = self._providers.families(self._states, self._responses)
        money = billing.families(self._config.providers, self._config.cards, self._now())
        return render(chain(providers, money), openmetrics) + render(self._usage.families(self._counts), openmetrics)

    @property
    def probes(self) -> Probes:
        """What the web server asks."""
        return Probes(lambda: self.ready, self.reload, self.drain, lambda: self._authenticator)


def load(options: Options) -> ExporterConfig:
    """The configuration, refused with ConfigError also when it would leave the door open to other machines."""
    config = configuration.load(options.config_file)
    authenticator = Authenticator(options.web.basic_auth_users, config.auth.bearer_token_files)
    require_authentication(options.listen, authenticator, options.insecure, options.config_file)
    return config


def run(options: Options) -> int:
    """Runs until told to stop; returns the exit status. Raises ConfigError or ValueError for a person to mend."""
    load(options)
    lock = lock_database(options.storage)
    migrate(options.storage, MIGRATIONS)
    disable_created_metrics()  # they double the scrape, and few read them
    with lock:
        asyncio.run(_run(options, configure(options.log_level, options.log_format)))
    return 0


async def _run(options: Options, log: Logger) -> None:
    metrics = ExporterMetrics(CollectorRegistry())
    async with AsyncExitStack() as stack:
        database = Database(options.storage)
        stack.push_async_callback(database.close)
        session = await stack.enter_async_context(client_session())
        background = Background()
        stack.push_async_callback(background.close)
        exporter = Exporter(options, Ledger(database), session, background.spawn, metrics, time.time, log)
        stack.push_async_callback(exporter.stop)
        await exporter.start()
        background.spawn(exporter.save_forever(), "save")
        app = application(exporter.probes, metrics)
        app.add_routes(routes(exporter, metrics, options.external_url))
        await serve(app, options.listen, server_tls(options.web), exporter.probes, background, log)
