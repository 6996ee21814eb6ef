"""The order of the stages. Read this first.

An alert's way: `accept` parses the webhook and commits its events, and only then it is answered. `process` takes what
is stored through correlate, and each incident's events through advance -> enrich -> route -> plan, and commits the
incident and its outbox rows in one transaction. `Deliverer` sends what the outbox holds. Each step can be cut off and
is taken up again at a restart, or by another replica: one leads and works on events, all accept and deliver.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from receiver.alerts import AlertEvent, Notification, StoredEvent
from receiver.config import graph, vocabulary
from receiver.delivery.outbox import Planned
from receiver.drills.drill import Drill, is_drill
from receiver.escalation.opening import Opening, handling, opening
from receiver.escalation.policy import Progress, carried_on
from receiver.incidents import Incident, Step, advance
from receiver.intake import Intake
from receiver.links import Signer
from receiver.metrics import ReceiverMetrics
from receiver.oncall.hold import Holds
from receiver.payload import parse
from receiver.settings import ReceiverConfig
from receiver.stages.correlate import Group, Rules, comes_back, correlate, divert, opens, runs
from receiver.stages.deliver import Deliverer
from receiver.stages.enrich import Enricher, Enrichment, Patience, enrich
from receiver.stages.hold import hold, words
from receiver.stages.plan import plan
from receiver.stages.postpone import Postponed, Recent, furthest, postpone
from receiver.stages.route import Audience, audience
from receiver.stages.storm import Openings
from receiver.store import Changed, Decision, Store
from receiver.upkeep.source import Heard
from receiver.upkeep.watchdog import Watchdog, is_watchdog
from receiver.vocabulary import Vocabulary
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.service import Spawn
from toolkit.storage import StorageUnavailable

BATCH = 1000
AT_ONCE = 8
"""How many incidents are worked on side by side: each may wait for its enrichers."""
RETRY_SECONDS = 1.0
LOOK_SECONDS = 5.0
"""How often it is looked whether the time has come for what was put off."""
FOLLOW_SECONDS = 1.0
"""How often a replica looks whether it leads by now, and the leader for events that another replica took in."""


@dataclass(frozen=True)
class Settings:
    """What the configuration decides in the pipeline."""

    config: ReceiverConfig
    enrichers: Mapping[str, Enricher]
    external_url: str
    key: bytes = b""
    """What links are signed with; without one there are none."""

    @property
    def signer(self) -> Signer:
        """What makes and checks the links in a message."""
        return Signer(self.key, self.external_url)

    @property
    def holds(self) -> Holds:
        """What is told later."""
        return Holds(self.config.people, self.config.teams, self.config.digests)

    @property
    def rules(self) -> Rules:
        """What correlation goes by."""
        correlation = self.config.correlation
        return Rules(correlation.labels, correlation.window, graph(self.config))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the operator's rules call things."""
        return vocabulary(self.config)


class Pipeline:
    """Takes webhooks in and turns them into outbox rows.

    `held` tells what an Alertmanager of a source last heard of the Watchdog, None when none can say. `truncated` is
    given a notification that left alerts out.
    """

    def __init__(
        self,
        store: Store,
        deliverer: Deliverer,
        settings: Settings,
        held: Callable[[str], Heard | None],
        truncated: Callable[[Notification], None],
        spawn: Spawn,
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        self.settings = settings
        self._intake = Intake(lambda events: store.add_events(events, now()), spawn)
        self._store, self._deliverer = store, deliverer
        self.watchdog, self._truncated = Watchdog(store.signs, held, now), truncated
        self._metrics, self._now, self._log = metrics, now, log
        self._awake = asyncio.Event()
        # incidents wait side by side for their enrichers; at the store they would only hold up the webhooks
        self._storing = asyncio.Lock()
        self._openings = Openings()
        self._patience = Patience()

    # --- intake

    async def accept(self, body: bytes, source: str = "") -> int:
        """Stores the alerts of a webhook of `source`; returns how many were new. They are on disk when this returns.

        Raises PayloadError for what is no version-4 body, StorageUnavailable or Overloaded when nothing was stored.
        """
        notification = parse(body, source)
        watchdogs = [alert for alert in notification.alerts if self._is_watchdog(alert)]
        others = [alert for alert in notification.alerts if not self._is_watchdog(alert)]
        new = await self._intake.add(self._translated(others))
        await self.watchdog.note(source, {alert.status for alert in watchdogs})
        self._count(watchdogs, others, new)
        if any(new):
            self._awake.set()
        if notification.truncated:
            self._log.warning("a webhook left alerts out; Alertmanager is asked", alerts=notification.truncated)
            self._truncated(notification)
        return sum(new)

    def wake(self) -> None:
        """Lets what is stored be worked on now."""
        self._awake.set()

    async def take(self, events: Sequence[AlertEvent]) -> int:
        """Stores events that no webhook brought; returns how many were new. Raises StorageUnavailable."""
        new = await self._intake.add(self._translated(events))
        if any(new):
            self._awake.set()
        return sum(new)

    def _translated(self, alerts: Iterable[AlertEvent]) -> list[AlertEvent]:
        return [self.settings.vocabulary.translated(alert) for alert in alerts]

    def _is_watchdog(self, alert: AlertEvent) -> bool:
        return is_watchdog(alert.labels, self.settings.config.watchdog)

    def _count(self, watchdogs: list[AlertEvent], others: list[AlertEvent], new: list[bool]) -> None:
        for alert in watchdogs:
            self._metrics.alert_events.labels(alert.status, "watchdog").inc()
        for alert, is_new in zip(others, new, strict=True):
            self._metrics.alert_events.labels(alert.status, "new" if is_new else "duplicate").inc()

    # --- work

    async def run(self) -> None:
        """Works on stored events until cancelled. What fails is tried again after RETRY_SECONDS."""
        while True:
            self._awake.clear()
            try:
                if not await self._store.leads():
                    await asyncio.sleep(FOLLOW_SECONDS)
                    continue
                failed = await self.process()
                await self.retell()
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("events can't be read, will try again", reason=error.reason)
                failed = True
            if failed:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Until something was stored here, or for a while: others may store as well, and time passes."""
        try:
            async with asyncio.timeout(FOLLOW_SECONDS if self._store.shared else LOOK_SECONDS):
                await self._awake.wait()
        except TimeoutError:
            return

    async def process(self) -> bool:
        """Works on what is stored and not processed; returns whether something has to be tried again."""
        stored = await self._store.unprocessed(BATCH)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(group: Group) -> bool:
            async with gate:
                return await self._try(group)

        done = await asyncio.gather(*(one(group) for group in await self._groups(stored)))
        if len(stored) == BATCH:
            self._awake.set()
        return not all(done)

    async def retell(self) -> None:
        """Tells what was put off, where it still fires. Raises StorageUnavailable."""
        now = self._now()
        for id_ in await self._store.to_tell(now, now + furthest(self.settings.config, now)):
            (incident,) = await self._store.load([id_])
            told = await self._store.outbox.told([id_], self.settings.config.shadow)
            again = replace(incident, tell_at=None, revision=incident.revision + 1)
            progress = await self._store.escalations.of(id_)
            try:
                await self._tell(Step(again, (), "still_fires"), incident, [], told, progress)
            except Changed:
                continue  # it is told with what changed it, or at the next look

    async def _groups(self, stored: Sequence[StoredEvent]) -> list[Group]:
        """What is stored, by incident; what would open too many incidents is the storm's."""
        if not stored:
            return []
        rules, storm, now = self.settings.rules, self.settings.config.storm, self._now()
        groups = correlate(stored, await self._store.known([one.event for one in stored], rules), rules)
        opening = [group.key for group in groups if opens(group)]
        room = self._openings.room(set(opening), storm.incidents, storm.per, now)
        self._openings.note(opening, storm.incidents, now)
        return divert(groups, room, await self._store.storm()) if len(opening) > room else groups

    async def _try(self, group: Group) -> bool:
        try:
            incidents, incident = group.incidents, None
            for run in runs(group.events):
                if incident is not None:
                    incidents = self._goes_on(incident, run)
                incident = await self.advance(group.key, incidents, run)
        except StorageUnavailable as error:
            self._metrics.storage_errors.inc()
            self._log.error("incident not stored, will try again", key=group.key, reason=error.reason)
        except Changed:
            self._log.info("incident changed meanwhile, once more", key=group.key)
        except Exception:  # noqa: BLE001 - one incident's defect must not hold up the others; its events stay stored
            self._log.exception("incident not processed, will try again", key=group.key)
        else:
            return True
        return False

    def _goes_on(self, incident: Incident, stored: Sequence[StoredEvent]) -> tuple[int, ...]:
        """The incident of these events after that of the ones before; none opens a new one."""
        ended = incident.resolved_at
        back = ended is None or comes_back((one.event for one in stored), ended, self.settings.rules)
        return (incident.id,) if incident.id is not None and back else ()

    async def advance(self, key: str, incidents: Sequence[int], stored: list[StoredEvent]) -> Incident | None:
        """Events of one incident -> the incident's next revision and its outbox rows, in one transaction.

        `incidents` are stored ones: the first that is live goes on, or the first, and the others are merged into it;
        none opens a new one of `key`.
        """
        stored = await self.watchdog.doubted(stored)
        events = [one.event for one in stored]
        async with self._storing:
            loaded = sorted(await self._store.load(incidents), key=lambda one: not one.live)
            past = await self._store.past(event.occurrence for event in events)
            told = await self._store.outbox.told(
                [one.id for one in loaded if one.id is not None], self.settings.config.shadow
            )
            drill = await self._store.drills.last() if any(is_drill(event.labels) for event in events) else None
            own, *others = [await self._progress(one) for one in loaded] or [None]
        progress = carried_on(own, others)
        before, absorbed = (loaded[0], loaded[1:]) if loaded else (None, [])
        step = advance(before, past, key, events, self._now(), absorbed, self.settings.rules.graph)
        return await self._tell(step, before, stored, told, progress, drill, carried=progress is not own)

    async def _progress(self, incident: Incident) -> Progress | None:
        return await self._store.escalations.of(incident.id) if incident.id is not None else None

    async def _tell(
        self,
        step: Step,
        before: Incident | None,
        stored: list[StoredEvent],
        told: Sequence[str],
        progress: Progress | None,
        drill: Drill | None = None,
        carried: bool = False,
    ) -> Incident | None:
        """Decides who hears of a step, gathers what they need to know, and commits it all."""
        events, config, now = [one.event for one in stored], self.settings.config, self._now()
        hearers, put_off = audience(step, events, told, config, now, drill), tuple[Postponed, ...]()
        if step.notice == "still_fires":
            hearers = replace(hearers, choices=tuple(one for one in hearers.choices if one.target not in told))
        if step.incident is not None:
            hearers, put_off = postpone(hearers, step.incident, told, await self._recent(step, hearers), config, now)
            if put_off:
                before_that = step.incident.tell_at or 0.0
                times = [one.until for one in put_off] + ([before_that] if before_that > now else [])
                step = replace(step, incident=replace(step.incident, tell_at=min(times)))
        # what nobody is told yet calls nobody yet, and who was called for a part is not called anew for the whole
        waits = carried or (put_off and not hearers.choices)
        called = Opening(progress, carried=carried) if waits else opening(step, progress, config, now)
        hearers = called.joined_by(hearers)
        enrichment = Enrichment()
        if step.incident is not None and hearers.choices:
            enrichment = await self.enrich(step.incident)

        def planned(incident: Incident) -> tuple[tuple[Planned, ...], tuple[Decision, ...]]:
            return self._plan(replace(step, incident=incident), hearers, put_off, enrichment, called)

        async with self._storing:
            incident = await self._store.commit(step, before, stored, planned, self._now(), called.begun)
        for reason in step.reasons:
            self._metrics.decisions.labels(reason).inc()
        self._log.info(
            "incident",
            id=incident.id if incident else None,
            key=incident.key if incident else None,
            reasons=_counted(step.reasons),
            told=hearers.notice if hearers.choices else None,
        )
        self._deliverer.wake()
        return incident

    async def enrich(self, incident: Incident) -> Enrichment:
        """What is to be found out about an incident; never raises."""
        return await enrich(incident, self.settings.enrichers, self._patience, self._metrics, self._log)

    async def _recent(self, step: Step, hearers: Audience) -> list[Recent]:
        """Who heard of the same cause lately, as far as a route asks for that."""
        longest = max((choice.cooldown for choice in hearers.choices), default=0.0)
        if step.incident is None or not longest:
            return []
        return await self._store.outbox.recent(
            step.incident.root, step.incident.id, self._now() - longest, self.settings.config.shadow
        )

    def _plan(
        self,
        step: Step,
        hearers: Audience,
        put_off: Iterable[Postponed],
        enrichment: Enrichment,
        called: Opening,
    ) -> tuple[tuple[Planned, ...], tuple[Decision, ...]]:
        """The rows for a stored incident, and why somebody is told or nobody."""
        incident, config = step.incident, self.settings.config
        assert incident is not None  # noqa: S101 - the store plans for what it has stored
        decided = [
            Decision("merged", "cause_found", f"incident {other.id} is part of this one") for other in step.merged
        ]
        decided += [Decision("postponed", one.reason, one.detail) for one in put_off]
        decided += [Decision("escalation", called.reason, called.words)] if called.begun is not None else []
        # the configuration may have changed while the facts were gathered: who left it is not planned for
        served = {target.name for target in config.targets}
        choices = [choice for choice in hearers.choices if choice.target in served]
        if hearers.notice is None or not choices:
            return (), (*decided, Decision("not_told", hearers.why, _counted(step.reasons)))
        now = self._now()
        act_url = self.settings.signer.incident_url(incident.id or 0, now)
        handled = handling(incident, called.progress, config, act_url, now)
        rows = plan(incident, hearers.notice, enrichment, choices, self.settings.external_url, graph(config), handled)
        if config.shadow:
            rows = tuple(replace(row, shadow=True) for row in rows)
        if not is_drill(incident.leading.labels):
            rows = hold(rows, self.settings.holds, self._now())
        decided += [Decision("held", row.hold.reason, words(row.target, row.hold)) for row in rows if row.hold]
        targets = ", ".join(choice.target for choice in choices)
        return rows, (*decided, Decision("shadow" if config.shadow else "told", hearers.notice, targets))


def _counted(reasons: Iterable[str]) -> str:
    """`["opened", "joined", "joined"]` -> `"opened, joined x2"`."""
    return ", ".join(reason if times == 1 else f"{reason} x{times}" for reason, times in Counter(reasons).items())
