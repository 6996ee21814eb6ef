"""Wires the exporter: configuration, ledger, schedule and web server, each released when the process stops."""

import asyncio
import gc
import time
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path

from prometheus_client import CollectorRegistry, disable_created_metrics

from exporter import config as configuration
from exporter.config import ExporterConfig
from exporter.exposition import render
from exporter.ledger import MIGRATIONS, Ledger, UsageLedger
from exporter.metrics import ExporterMetrics
from exporter.observations import Observed
from exporter.observations import read as read_observations
from exporter.providers.monitor import Monitor
from exporter.providers.transport import Sessions
from exporter.usage.collector import More, UsageCollector
from exporter.usage.counting import Counting
from exporter.usage.sources.http import Doorman, EventEndpoints
from exporter.usage.sources.kafka.metrics import KafkaCollector
from exporter.usage.sources.running import RunningSources
from exporter.wanted import Wanted
from exporter.web import Endpoints
from toolkit.cli import Options
from toolkit.clock import Now
from toolkit.configfile import ConfigError
from toolkit.httpserver import Authenticator, Probes, application, require_authentication, server_tls
from toolkit.logs import Logger, configure
from toolkit.service import Background, Spawn, serve
from toolkit.storage import Database, lock_database, migrate, storage_url


class Exporter:
    """The running exporter. Everything that touches the world was passed in."""

    def __init__(
        self,
        options: Options,
        ledger: Ledger,
        counting: Counting,
        sessions: Sessions,
        spawn: Spawn,
        metrics: ExporterMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        self.metrics = metrics
        self.ready = False
        self.monitor = Monitor(ledger, sessions, spawn, metrics, now, log)
        self._reloading = asyncio.Lock()
        self._writing = asyncio.Lock()
        """Held while series are written in a thread: a reload waits for that."""
        self.counting = counting
        self.sources = RunningSources(counting, spawn, metrics.kafka, now, log)
        self._options, self._now, self._log = options, now, log
        self._use(ExporterConfig())

    # --- configuration

    def _use(self, config: ExporterConfig) -> None:
        self.counting.use(config.usage)  # before anything else: it is the most that could be refused
        self._usage = UsageCollector(tuple(self.counting.engine.rules), lambda: self.counting.watching)
        self._config = config
        self._authenticator = Authenticator(self._options.web.basic_auth_users, config.auth.bearer_token_files)
        self.doorman = Doorman(config.usage.producers, self._authenticator)
        self.monitor.use(config)

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
        await self.sources.end(config.usage.sources)  # before the rules change by which they are read
        async with self._writing:
            self._use(config)
        await self.monitor.follow()
        self.sources.begin(config.usage.sources)
        self.metrics.reloaded(True, self._now)
        self._log.info("configuration loaded", file=self._options.config_file, providers=len(config.providers))

    # --- life

    async def start(self) -> None:
        """Reads what was remembered, loads the configuration, begins to probe."""
        await self.monitor.recall()
        await self.counting.start()
        await self.reload()
        self.ready = True

    def drain(self) -> None:
        """Says that it is not ready any more."""
        self.ready = False

    async def stop(self) -> None:
        """Ends the probes and saves what they found."""
        self.ready = False
        await self.sources.stop()
        await self.monitor.stop()

    # --- the measurement line

    async def observe(self, body: bytes, ndjson: bool) -> Observed:
        """Takes what programs were answered by vendors. Raises TooMany."""
        observed = await asyncio.to_thread(read_observations, body, ndjson, self.monitor.providers)
        await self.monitor.observe(observed.observations)
        return observed

    async def exposition(self, wanted: Wanted, openmetrics: bool) -> bytes:
        """Third-party and usage series as text (without OpenMetrics's closing line)."""
        text = b""
        if wanted.includes("providers"):
            text += render(wanted.named(self.monitor.families()), openmetrics)
        if wanted.includes("usage", by_default=not self.counting.shared):
            await self.counting.refreshed()
            # in a thread: a hundred thousand series take some ten milliseconds, and nobody should wait for them
            async with self._writing:
                text += await asyncio.to_thread(self._usage_text, wanted, openmetrics)
        if wanted.includes("self"):
            text += render(wanted.named(chain(self._usage.own(), self.sources.families())), openmetrics)
        return text

    def _usage_text(self, wanted: Wanted, openmetrics: bool) -> bytes:
        more = More(openmetrics and self._config.usage.created_timestamps, openmetrics)
        families = self._usage.families(self._now(), wanted.shard, more)
        return render(wanted.named(families), openmetrics)

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
    if options.storage.get_backend_name() != "sqlite":
        raise ValueError(
            "--storage.url: the exporter keeps this in SQLite; `usage.ledger` counts usage in a PostgreSQL"
        )
    lock = lock_database(options.storage)
    migrate(options.storage, MIGRATIONS)
    disable_created_metrics()  # they double the scrape, and few read them
    with lock:
        asyncio.run(_run(options, configure(options.log_level, options.log_format)))
    gc.unfreeze()  # or what is left in cycles is found at the exit, and a library complains of its sketches
    return 0


def _ledger(options: Options, beside: Database, stack: AsyncExitStack) -> Database:
    """Where usage is counted: beside the rest, or in a database that exporters share. Raises ValueError."""
    shared = load(options).usage.ledger
    if shared is None:
        return beside
    try:
        url = storage_url(shared.url_file.read(), Path(), "")
    except ValueError as error:
        raise ValueError(f"usage.ledger.url_file: {str(error).removeprefix('--storage.url').lstrip(': ')}") from None
    if url.get_backend_name() == "sqlite":
        raise ValueError("usage.ledger.url_file: an SQLite file can't be shared; without this setting one is used")
    migrate(url, MIGRATIONS)
    database = Database(url)
    stack.push_async_callback(database.close)
    return database


async def _run(options: Options, log: Logger) -> None:
    metrics = ExporterMetrics(CollectorRegistry())
    async with AsyncExitStack() as stack:
        database = Database(options.storage)
        stack.push_async_callback(database.close)
        sessions = Sessions()
        stack.push_async_callback(sessions.close)
        background = Background()
        stack.push_async_callback(background.close)
        counting = Counting(UsageLedger(_ledger(options, database, stack)), metrics, time.time, log)
        background.spawn(counting.run(), "count")
        background.spawn(counting.fold_forever(), "fold")
        exporter = Exporter(options, Ledger(database), counting, sessions, background.spawn, metrics, time.time, log)
        stack.push_async_callback(exporter.stop)
        await exporter.start()
        gc.freeze()  # what was loaded stays: looking at it again and again would take a fifth of the time
        gc.set_threshold(20_000, 20, 50)
        metrics.registry.register(KafkaCollector(exporter.sources.kafka, time.time))
        background.spawn(exporter.monitor.save_forever(), "save")
        app = application(exporter.probes, metrics)
        app.add_routes(Endpoints(exporter, metrics, options.external_url).routes())
        app.add_routes(EventEndpoints(counting, lambda: exporter.doorman).routes())
        await serve(app, options.listen, server_tls(options.web), exporter.probes, background, log)
