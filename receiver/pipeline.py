"""The order of the stages. Read this first.

An alert's way: `accept` parses the webhook and commits its events, and only then it is answered. `advance` takes the
events of one incident through correlate -> enrich -> route -> plan, and commits the incident and its outbox rows in
one transaction. `Deliverer` sends what the outbox holds. Each step can be cut off and is taken up again at a restart.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from receiver.alerts import AlertEvent
from receiver.config import ReceiverConfig
from receiver.incidents import TOLD, Incident, Reason, Step, advance
from receiver.metrics import ReceiverMetrics
from receiver.outbox import Planned
from receiver.payload import parse
from receiver.stages.correlate import correlate, runs
from receiver.stages.deliver import Deliverer
from receiver.stages.enrich import Enricher, Enrichment, enrich
from receiver.stages.plan import plan
from receiver.stages.route import Choice, route, who_was_told
from receiver.store import Store
from receiver.store.store import StoredEvent
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

BATCH = 1000
AT_ONCE = 8
"""How many incidents are worked on side by side: each may wait for its enrichers."""
RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Settings:
    """What the configuration decides in the pipeline."""

    config: ReceiverConfig
    enrichers: Mapping[str, Enricher]
    external_url: str


class Pipeline:
    """Takes webhooks in and turns them into outbox rows."""

    def __init__(
        self, store: Store, deliverer: Deliverer, settings: Settings, metrics: ReceiverMetrics, now: Now, log: Logger
    ) -> None:
        self.settings = settings
        self._store, self._deliverer = store, deliverer
        self._metrics, self._now, self._log = metrics, now, log
        self._awake = asyncio.Event()

    async def accept(self, body: bytes) -> int:
        """Stores a webhook's alerts; returns how many were new. They are on disk when this returns.

        Raises PayloadError for what is no version-4 body, StorageUnavailable when nothing could be stored.
        """
        notification = parse(body)
        now = self._now()
        watchdogs = [alert for alert in notification.alerts if self._is_watchdog(alert)]
        others = [alert for alert in notification.alerts if not self._is_watchdog(alert)]
        new = await self._store.add_events(others, now)
        if any(alert.status == "firing" for alert in watchdogs):
            self._metrics.watchdog_last_seen.set(now)
        self._count(watchdogs, others, new)
        if any(new):
            self._awake.set()
        return sum(new)

    async def take(self, events: Sequence[AlertEvent]) -> None:
        """Stores events that no webhook brought. Raises StorageUnavailable."""
        if any(await self._store.add_events(events, self._now())):
            self._awake.set()

    def _is_watchdog(self, alert: AlertEvent) -> bool:
        wanted = self.settings.config.watchdog
        return bool(wanted) and all(alert.labels.get(label) == value for label, value in wanted.items())

    def _count(self, watchdogs: list[AlertEvent], others: list[AlertEvent], new: list[bool]) -> None:
        for alert in watchdogs:
            self._metrics.alert_events.labels(alert.status, "watchdog").inc()
        for alert, is_new in zip(others, new, strict=True):
            self._metrics.alert_events.labels(alert.status, "new" if is_new else "duplicate").inc()

    async def run(self) -> None:
        """Works on stored events until cancelled. What fails is tried again after RETRY_SECONDS."""
        while True:
            self._awake.clear()
            try:
                failed = await self.process()
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("events can't be read, will try again", reason=error.reason)
                failed = True
            if failed:
                await asyncio.sleep(RETRY_SECONDS)
            elif not self._awake.is_set():
                await self._awake.wait()

    async def process(self) -> bool:
        """Works on what is stored and not processed; returns whether something has to be tried again or is left."""
        stored = await self._store.unprocessed(BATCH)
        gate = asyncio.Semaphore(AT_ONCE)
        found = correlate(stored, self.settings.config.correlation.labels)

        async def one(key: str, events: list[StoredEvent]) -> bool:
            async with gate:
                return await self._try(key, events)

        done = await asyncio.gather(*(one(key, events) for key, events in found.items()))
        if len(stored) == BATCH:
            self._awake.set()
        return not all(done)

    async def _try(self, key: str, events: list[StoredEvent]) -> bool:
        try:
            for run in runs(events):
                await self.advance(key, run)
        except StorageUnavailable as error:
            self._metrics.storage_errors.inc()
            self._log.error("incident not stored, will try again", key=key, reason=error.reason)
        except Exception:  # noqa: BLE001 - one incident's defect must not hold up the others; its events stay stored
            self._log.exception("incident not processed, will try again", key=key)
        else:
            return True
        return False

    def _choices(self, step: Step, events: list[AlertEvent], told: list[str]) -> tuple[Reason | None, list[Choice]]:
        """What is told, and to whom: of the end, whoever was told; of anything else, everybody that the routes name for
        an alert that fires; and of an alert that joins, those of its routes that have not heard of the incident."""
        config, incident = self.settings.config, step.incident
        everyone = [target.name for target in config.targets]
        if incident is None:
            return None, []
        if step.notice is not None and TOLD[step.notice] == "resolved":
            return step.notice, list(who_was_told(told, everyone))
        alerts = incident.firing if step.notice is not None else events
        found: dict[str, Choice] = {}
        for alert in alerts:
            for choice in route(alert.labels, config.routes, everyone):
                found.setdefault(choice.target, choice)

        if step.notice is not None:
            return step.notice, list(found.values())
        newcomers = [choice for choice in found.values() if choice.target not in told]
        return ("joined", newcomers) if newcomers and "joined" in step.reasons else (None, [])

    async def advance(self, key: str, stored: list[StoredEvent]) -> None:
        """Events of one incident -> the incident's next revision and its outbox rows, in one transaction."""
        events = [one.event for one in stored]
        before = await self._store.open_incident(key, (event.fingerprint for event in events))
        past = await self._store.past(event.occurrence for event in events)
        step = advance(before, past, before.key if before is not None else key, events, self._now())
        told = await self._store.outbox.told(before.id) if before is not None and before.id is not None else []
        notice, choices = self._choices(step, events, told)
        enrichment = Enrichment()
        if step.incident is not None and notice is not None:
            enrichment = await enrich(step.incident, self.settings.enrichers, self._metrics, self._log)

        def planned(incident: Incident) -> tuple[Planned, ...]:
            if notice is None:
                return ()
            # the configuration may have changed while the facts were gathered: who left it is not planned for
            served = {target.name for target in self.settings.config.targets}
            wanted = [choice for choice in choices if choice.target in served]
            return plan(incident, notice, enrichment, wanted, self.settings.external_url)

        incident = await self._store.commit(step, before, stored, planned, self._now())
        for reason in step.reasons:
            self._metrics.decisions.labels(reason).inc()
        self._log.info(
            "incident", id=incident.id if incident else None, key=key, reasons=_counted(step.reasons), told=notice
        )
        self._deliverer.wake()


def _counted(reasons: Iterable[str]) -> str:
    """`["opened", "joined", "joined"]` -> `"opened, joined x2"`."""
    return ", ".join(reason if times == 1 else f"{reason} x{times}" for reason, times in Counter(reasons).items())
