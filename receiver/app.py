"""Wires the receiver: configuration, store, pipeline, deliverer and web server, each released when it stops."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry, disable_created_metrics

from receiver import config as configuration
from receiver.alerts import Notification
from receiver.changes.settings import ChangeSources
from receiver.changes.web import ChangeEndpoints
from receiver.config import sources
from receiver.delivery.web import OutboxEndpoints
from receiver.desk import Desk
from receiver.desk.pages import LinkPages
from receiver.desk.web import DeskEndpoints
from receiver.drills.driller import Driller
from receiver.drills.web import DrillEndpoints
from receiver.enrichers.measuring import measuring
from receiver.enrichers.recorded import recorded
from receiver.enrichers.runbook import RunbookEnricher
from receiver.links import KEY_BYTES
from receiver.metrics import ReceiverMetrics
from receiver.notifiers.apprise import AppriseTarget, install_recorder
from receiver.notifiers.folding import shows_acknowledgement
from receiver.notifiers.style import Style, compiled
from receiver.oncall.web import RotaEndpoints
from receiver.pipeline import Pipeline, Settings
from receiver.redact import MessageRedactor
from receiver.settings import ReceiverConfig, Target
from receiver.slack.web import SlackEndpoints
from receiver.stages.deliver import Deliverer
from receiver.stages.escalate import Escalator, Means
from receiver.store import MIGRATIONS, Store
from receiver.upkeep.auditor import Auditor
from receiver.upkeep.heart import Heart
from receiver.upkeep.reconciler import Reconciler
from receiver.upkeep.shadow import DailyReport
from receiver.upkeep.watchdog import is_watchdog
from receiver.web import Endpoints
from toolkit.alertmanager import Alertmanager
from toolkit.cli import Options
from toolkit.clock import Now
from toolkit.configfile import ConfigError
from toolkit.httpserver import Authenticator, Probes, application, require_authentication, server_tls
from toolkit.logs import Logger, configure, mask
from toolkit.redaction import Redactor, secret_parts
from toolkit.secretfile import SecretUnreadable
from toolkit.service import Background, Spawn, serve
from toolkit.storage import Database, lock_database, migrate

LONGEST_APART_SECONDS = 1.0
"""Between the posts of one message, which a slow target's rate must not draw out beyond its timeout."""
LINK_KEY = "link_key"
"""The name of the sign in the store that holds what links are signed with: made once, and shared by replicas."""


class Receiver:
    """The running receiver. Everything that touches the world was passed in."""

    def __init__(
        self,
        options: Options,
        store: Store,
        session: aiohttp.ClientSession,
        spawn: Spawn,
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        self.store, self.metrics, self.ready = store, metrics, False
        self.secrets: frozenset[str] = frozenset()
        self._reloading = asyncio.Lock()
        self._key = b""
        self._options, self._session, self._spawn, self._now, self._log = options, session, spawn, now, log
        self._style = Style()
        self.redact = MessageRedactor()
        self._deliverer = Deliverer(store.outbox, self._open_sink, spawn, metrics, now, log)
        self.pipeline = Pipeline(
            store,
            self._deliverer,
            self._settings(ReceiverConfig()),
            lambda source: self.reconciler.watchdog(source),  # noqa: PLW0108 - there is no reconciler yet
            self._left_out,
            spawn,
            metrics,
            now,
            log,
        )
        self.reconciler = Reconciler(
            self._alertmanagers,
            store.held,
            self.pipeline.take,
            lambda labels: is_watchdog(labels, self.pipeline.settings.config.watchdog),
            store.leads,
            metrics,
            now,
            log,
        )
        self.escalator = Escalator(store, self._means, self.pipeline.enrich, self._deliverer.wake, metrics, now, log)
        self.desk = Desk(store, self._means, self._alertmanagers, _shows, self._work, now, log)
        self.presses = SlackEndpoints(
            self.desk, lambda: self.pipeline.settings.config.slack, self._slack_users, session, spawn, now, log
        )
        self.driller = Driller(store.drills, session, lambda: self.pipeline.settings.config, now)
        self.auditor = Auditor(store.audit, self._served, metrics, now, log)
        self.heart = Heart(
            session,
            lambda: self.pipeline.settings.config.heartbeat,
            self.watchdog_seen,
            lambda: self.auditor.findings,
            store.leads,
            metrics,
            now,
            log,
        )
        self.daily = DailyReport(
            store.explained.summary, lambda: self.pipeline.settings.config.shadow, store.leads, now, log
        )
        self._authenticator = Authenticator(options.web.basic_auth_users)

    # --- configuration

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
        mask(Redactor(part for url in secret_urls(config) for part in secret_parts(url)))
        self.secrets = frozenset(known_secrets(config))
        self._authenticator = Authenticator(self._options.web.basic_auth_users, config.auth.bearer_token_files)
        self.redact = MessageRedactor(config.redact)
        self._style = Style("", self.redact, compiled(config.templates), self._template_failed)
        self.pipeline.settings = self._settings(config)
        self.metrics.targets(target.name for target in config.targets)
        await self._deliverer.follow(config.targets)
        self.metrics.reloaded(True, self._now)
        await self._settle(config)

    def _open_sink(self, target: Target) -> AppriseTarget:
        """The sink of a configured target; how it is written to is what the configuration says at the time."""
        return AppriseTarget(
            target.read_url,
            target.timeout,
            min(1 / target.rate, LONGEST_APART_SECONDS),
            lambda: replace(self._style, target=target.name),
        )

    def _template_failed(self, name: str, reason: str) -> None:
        self._log.warning("a template failed; the message is told in the usual words", template=name, reason=reason)

    def _settings(self, config: ReceiverConfig) -> Settings:
        enrichers = measuring(config, self._session, self._now)
        enrichers |= recorded(config, self.store, self._session, self._now)
        external_url = self._options.external_url
        if config.runbooks is not None or config.runbook_urls:
            enrichers["runbook"] = RunbookEnricher(config.runbooks, external_url, self._session, config.runbook_urls)
        return Settings(config, enrichers, external_url, self._key)

    def _means(self) -> Means:
        settings = self.pipeline.settings
        return Means(settings.config, settings.external_url, settings.signer.incident_url)

    def _work(self) -> None:
        self.pipeline.wake()
        self._deliverer.wake()

    def _alertmanagers(self) -> list[tuple[str, Alertmanager]]:
        configured = self.pipeline.settings.config.alertmanagers
        return [(one.source or "", Alertmanager(self._session, one.url, one.bearer_token_file)) for one in configured]

    def _served(self) -> list[str]:
        return [target.name for target in self.pipeline.settings.config.targets]

    def _slack_users(self) -> dict[str, str]:
        people = self.pipeline.settings.config.people
        return {person.slack: name for name, person in people.items() if person.slack}

    async def watchdog_seen(self) -> float | None:
        """When the Watchdog last came, of several sources the one that is silent the longest; now, where none is
        expected."""
        config = self.pipeline.settings.config
        if not config.watchdog:
            return self._now()
        return await self.pipeline.watchdog.last_seen(sources(config))

    def _left_out(self, notification: Notification) -> None:
        self.reconciler.truncated(notification)

    async def _settle(self, config: ReceiverConfig) -> None:
        self._log.info("configuration loaded", file=self._options.config_file, targets=len(config.targets))
        if config.shadow:
            self._log.warning("shadow is on: everything is decided and nothing is sent")
        if not config.targets:
            self._log.warning("there is no target: incidents are recorded, and nobody is told")
        for name, rows in (
            await self.store.outbox.abandon([target.name for target in config.targets], self._now())
        ).items():
            self.metrics.targets([name])
            self.metrics.deliveries.labels(name, "dead").inc(rows)
            self._log.error("messages given up, their target left the configuration", target=name, rows=rows)

    # --- life

    async def start(self) -> None:
        """Takes up what a former process left, loads the configuration, begins to deliver."""
        # on a shared database a living replica may be sending: leases tell
        lost = 0 if self.store.shared else await self.store.outbox.recover(self._now())
        if lost:
            self._log.warning("sends were cut off; they are tried again and marked as possible repeats", rows=lost)
        sign = await self.store.signs.first(LINK_KEY, self._now(), secrets.token_hex(KEY_BYTES))
        self._key = bytes.fromhex(sign.detail)
        await self.reload()
        self.ready = True

    def drain(self) -> None:
        """Answers webhooks with 503 from now on, for Alertmanager comes again, and begins no send: those under way end
        while the last requests do."""
        self.ready = False
        self._spawn(self._deliverer.stop(), "stop delivering")

    async def stop(self) -> None:
        """Lets sends under way end."""
        self.ready = False
        await self._deliverer.stop()

    def wake(self) -> None:
        """Lets what is due be sent now."""
        self._deliverer.wake()

    @property
    def targets(self) -> frozenset[str]:
        """The names of the targets in force."""
        return frozenset(target.name for target in self.pipeline.settings.config.targets)

    @property
    def change_sources(self) -> ChangeSources:
        """How those show who they are who tell of changes and can't send a token."""
        return self.pipeline.settings.config.changes

    @property
    def runbooks(self) -> Path | None:
        """The folder of runbooks in force."""
        return self.pipeline.settings.config.runbooks

    @property
    def probes(self) -> Probes:
        """What the web server asks."""
        return Probes(lambda: self.ready, self.reload, self.drain, lambda: self._authenticator)


def _shows(target: Target) -> bool:
    """Whether a target shows who has an incident where its message stands."""
    try:
        return shows_acknowledgement(target.read_url())
    except SecretUnreadable:
        return False


def secret_urls(config: ReceiverConfig) -> Iterator[str]:
    """The addresses that must not be shown. Raises SecretUnreadable."""
    yield from (target.read_url() for target in config.targets)
    if config.heartbeat is not None:
        yield config.heartbeat.read_url()


def known_secrets(config: ReceiverConfig) -> Iterator[str]:
    """The secrets that nobody may store here, as part of what they tell. Raises SecretUnreadable."""
    yield from (target.read_url() for target in config.targets)
    hooks = (config.changes.github_secret_file, config.changes.launchdarkly_secret_file)
    yield from (file.read() for file in (*config.auth.bearer_token_files, *hooks) if file is not None)


def load(options: Options) -> ReceiverConfig:
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
    install_recorder()
    with lock:
        asyncio.run(_run(options, configure(options.log_level, options.log_format)))
    return 0


async def _run(options: Options, log: Logger) -> None:
    metrics = ReceiverMetrics(CollectorRegistry())
    async with AsyncExitStack() as stack:
        database = Database(options.storage)
        stack.push_async_callback(database.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        background = Background()
        stack.push_async_callback(background.close)
        receiver = Receiver(options, Store(database), session, background.spawn, metrics, time.time, log)
        stack.push_async_callback(receiver.stop)
        await receiver.start()
        background.spawn(receiver.pipeline.run(), "pipeline")
        background.spawn(receiver.reconciler.run(), "reconciler")
        background.spawn(receiver.reconciler.fill(), "fill in")
        background.spawn(receiver.escalator.run(), "escalator")
        background.spawn(receiver.auditor.run(), "auditor")
        background.spawn(receiver.heart.run(), "heartbeat")
        background.spawn(receiver.daily.run(), "daily report")
        app = application(receiver.probes, metrics)
        app.add_routes(Endpoints(receiver, metrics, time.time).routes())
        app.add_routes(DeskEndpoints(receiver).routes())
        app.add_routes(LinkPages(receiver, time.time).routes())
        app.add_routes(DrillEndpoints(receiver.driller).routes())
        app.add_routes(OutboxEndpoints(receiver, time.time).routes())
        app.add_routes(RotaEndpoints(receiver, time.time).routes())
        app.add_routes(ChangeEndpoints(receiver, receiver.probes.authenticator, metrics, time.time).routes())
        app.add_routes(receiver.presses.routes())
        await serve(app, options.listen, server_tls(options.web), receiver.probes, background, log)
