"""Takes the steps of escalations when they are due: the leader does, and each step in one transaction with its rows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from receiver.config import graph
from receiver.delivery.outbox import Planned
from receiver.escalation.opening import choices, handling, step_words, wanted_escalation, whom
from receiver.escalation.people import known
from receiver.escalation.policy import (
    QUIET,
    EndedBy,
    Progress,
    Reason,
    Standing,
    begin,
    decide,
    ended,
    held_up,
    is_reached,
    reminded,
    take,
)
from receiver.incidents import Incident
from receiver.metrics import ReceiverMetrics
from receiver.oncall.contacts import contacts
from receiver.oncall.hold import Holds
from receiver.settings import ReceiverConfig
from receiver.stages.enrich import Enrichment
from receiver.stages.hold import hold, words
from receiver.stages.plan import plan
from receiver.stages.route import Choice
from receiver.store import Changed, Decision, Record, Store
from receiver.store.escalations import Waiting
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

LOOK_SECONDS = 1.0
AT_ONCE = 8
"""How many incidents ask for the facts of a message side by side."""
TRIES = 5
"""An incident that grows changes between our reading and writing; so often in one look it is tried again."""
ESCALATED, REMINDER = "escalated", "reminder"
"""The reasons of messages that an escalation sends."""

Enrich = Callable[[Incident], Awaitable[Enrichment]]


@dataclass(frozen=True)
class Means:
    """What the configuration in force gives to an escalation. `act_url` makes the address at which people act."""

    config: ReceiverConfig
    external_url: str
    act_url: Callable[[int, float], str]


@dataclass(frozen=True)
class _Facts:
    """What was found out for a message, and which targets know that the incident fires."""

    enrichment: Enrichment = field(default_factory=Enrichment)
    told: tuple[str, ...] = ()


class Escalator:
    """`run` looks at all escalations every second; `look` does it once."""

    def __init__(
        self,
        store: Store,
        means: Callable[[], Means],
        enrich: Enrich,
        wake: Callable[[], None],
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        """`wake` is called when rows were planned."""
        self._store, self._means, self._enrich, self._wake = store, means, enrich, wake
        self._metrics, self._now, self._log = metrics, now, log

    async def run(self) -> None:
        """Looks every LOOK_SECONDS until cancelled, while this process leads."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await self._store.leads():
                    await self.look()
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("escalations can't be read or written, will try again", reason=error.reason)

    async def look(self) -> None:
        """Does what is due. Raises StorageUnavailable."""
        waiting = await self._store.escalations.waiting()
        troubled = await self._store.escalations.troubled([one.incident for one in waiting if one.progress.active])
        due = [one for one in waiting if await self._due(one, one.incident in troubled) not in QUIET]
        gate = asyncio.Semaphore(AT_ONCE)

        async def act(number: int) -> None:
            async with gate:
                await self._try(number)

        await asyncio.gather(*(act(one.incident) for one in due))

    async def _due(self, waiting: Waiting, troubled: bool = True) -> Reason:
        """What is due. Only an incident that is `troubled`, with messages that failed, is asked whom they reached."""
        progress = waiting.progress
        policy = self._means().config.escalations.get(progress.policy)
        reached = True
        if troubled and progress.active and progress.called:
            reached = is_reached(await self._store.escalations.reach(waiting.incident, progress))
        return decide(policy, progress, waiting.standing, reached, self._now())

    async def _try(self, number: int) -> None:
        try:
            await self._act(number)
        except StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001 - one incident's defect must not hold up the others; its step stays due
            self._log.exception("an escalation could not go on, will try again", incident=number)

    async def _act(self, number: int) -> None:
        """What is due of one incident. The facts are asked for once, however often the incident changes meanwhile."""
        facts: _Facts | None = None
        for _ in range(TRIES):
            incident = await self._store.incident(number)
            progress = await self._store.escalations.of(number)
            if incident is None or progress is None or not incident.live:
                return
            reason = await self._due(Waiting(number, progress, Standing(incident.state, incident.snoozed_until)))
            if reason in QUIET:
                return
            if facts is None and reason in _TOLD:
                facts = await self._facts(incident)
                continue  # it took seconds: look again
            if await self._commit(incident, progress, reason, facts or _Facts()):
                return
        self._log.warning("an incident changes too fast for its escalation, will try again", incident=number)

    async def _facts(self, incident: Incident) -> "_Facts":
        known = [incident.id] if incident.id is not None else []
        told = await self._store.outbox.told(known, self._means().config.shadow)
        return _Facts(await self._enrich(incident), tuple(told))

    async def _commit(self, incident: Incident, progress: Progress, reason: Reason, facts: "_Facts") -> bool:
        """Whether it was done; not when somebody else changed the incident meanwhile."""
        after = replace(incident, revision=incident.revision + 1)
        following, record, decision = self._acts(after, progress, reason, facts)
        try:
            record = replace(record, escalation=following, more=held(record.rows))
            await self._store.change(after, incident, decision, self._now(), record)
        except Changed:
            return False
        self._metrics.escalations.labels(reason).inc()
        self._log.info("escalation", incident=incident.id, reason=reason, what=decision.detail)
        self._wake()
        return True

    def _acts(
        self, incident: Incident, progress: Progress, reason: Reason, facts: "_Facts"
    ) -> tuple[Progress, Record, Decision]:
        """How far it is afterwards, what goes on record, and why."""
        policy, now = self._means().config.escalations.get(progress.policy), self._now()
        if policy is not None and reason in ("step_due", "unreachable"):
            return self._step(incident, progress, reason, facts)
        if reason == "reminder_due":
            return self._remind(incident, progress, facts)
        if reason == "policy_gone":
            return self._goes_over(incident, progress)
        if reason == "clock_set_back":
            following = held_up(policy, progress, now)
        else:
            following = ended(policy, progress, _ENDS[reason], now)
        return following, Record(), Decision("escalation", reason, f"{progress.policy}: {_WORDS[reason]}")

    def _goes_over(self, incident: Incident, progress: Progress) -> tuple[Progress, Record, Decision]:
        """From an escalation that is gone to the one that the incident has by now, if any."""
        now, words = self._now(), f"{progress.policy}: {_WORDS['policy_gone']}"
        wanted = wanted_escalation(incident, self._means().config, now)
        if wanted is None:
            return ended(None, progress, "policy_gone", now), Record(), Decision("escalation", "policy_gone", words)
        return begin(wanted, now), Record(), Decision("escalation", "policy_gone", f"{words}, so {wanted} begins")

    def _step(
        self, incident: Incident, progress: Progress, reason: Reason, facts: "_Facts"
    ) -> tuple[Progress, Record, Decision]:
        config, now = self._means().config, self._now()
        move = take(config.escalations[progress.policy], progress, lambda step: whom(step, incident, config, now), now)
        following = replace(move.progress, called_at=incident.revision)
        rows = self._rows(incident, ESCALATED, choices(move, progress), following, facts.enrichment)
        why = f"{step_words(progress.policy, move)}, since {_WORDS[reason]}"
        return following, Record(rows), Decision("escalation", reason, why)

    def _remind(self, incident: Incident, progress: Progress, facts: "_Facts") -> tuple[Progress, Record, Decision]:
        config, now = self._means().config, self._now()
        following = reminded(config.escalations.get(progress.policy), progress, now)
        told = self._reminded(incident, progress, facts.told)
        rows = self._rows(incident, REMINDER, told, following, facts.enrichment)
        names = ", ".join(choice.target for choice in told) or "nobody: no target is known of who has it"
        return following, Record(rows), Decision("escalation", "reminder_due", f"reminded: {names}")

    def _reminded(self, incident: Incident, progress: Progress, told: Sequence[str]) -> tuple[Choice, ...]:
        """The contacts of whoever has it, else whom the last step called, else who was told."""
        config = self._means().config
        served = {target.name for target in config.targets}
        by = incident.acknowledged_by or incident.assigned_to or ""
        short = known(by, config)
        found = contacts(config.people[short], incident.severity) if short is not None else ()
        why = f"a reminder for {by}, who has it" if found else "a reminder, since it goes on"
        return tuple(Choice(target, why) for target in found or progress.called or told if target in served)

    def _rows(
        self,
        incident: Incident,
        notice: str,
        told: Sequence[Choice],
        progress: Progress,
        enrichment: Enrichment,
    ) -> Sequence[Planned]:
        means, now = self._means(), self._now()
        handled = handling(incident, progress, means.config, means.act_url(incident.id or 0, now), now)
        rows = plan(incident, notice, enrichment, told, means.external_url, graph(means.config), handled)
        return kept_back(rows, means.config, now)


def kept_back(rows: Iterable[Planned], config: ReceiverConfig, now: float) -> tuple[Planned, ...]:
    """The rows as they are sent: not at all, in the shadow; later, to whoever is quiet."""
    shadowed = (replace(row, shadow=config.shadow) for row in rows)
    return hold(shadowed, Holds(config.people, config.teams, config.digests), now)


def held(rows: Iterable[Planned]) -> tuple[Decision, ...]:
    """Why some of the rows are sent later."""
    return tuple(Decision("held", row.hold.reason, words(row.target, row.hold)) for row in rows if row.hold)


_TOLD: frozenset[Reason] = frozenset({"step_due", "unreachable", "reminder_due"})
"""The reasons that people are told something."""
_ENDS: dict[Reason, EndedBy] = {
    "exhausted": "exhausted",
    "acknowledged": "acknowledged",
}
_WORDS: dict[Reason, str] = {
    "step_due": "nobody has acknowledged",
    "unreachable": "nobody of the last step could be reached",
    "exhausted": "every step was taken, and nobody has acknowledged",
    "acknowledged": "somebody has it",
    "policy_gone": "the configuration has this escalation no more",
    "clock_set_back": "the clock was set back, so the wait begins anew",
}
