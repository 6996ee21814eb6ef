"""Does what people want done to an incident: each deed in one transaction with its reason and its messages."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from receiver.config import graph
from receiver.delivery.outbox import Planned
from receiver.desk import deeds, matching
from receiver.desk.deeds import Case, Outcome, Person, Refused
from receiver.escalation.opening import handling
from receiver.incidents import Incident
from receiver.message import Message
from receiver.settings import Target
from receiver.stages.enrich import Enrichment
from receiver.stages.escalate import Means, held, kept_back
from receiver.stages.plan import compose, in_hands
from receiver.store import Changed, Decision, Record, Store
from toolkit.alertmanager import Alertmanager, Unreachable
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.redaction import printable

TRIES = 5
SILENCE_SECONDS = 10.0
"""How long an Alertmanager may take to answer."""
TWICE_SECONDS = 60.0
"""A second wish for the same silence within this is the same wish: a finger that tapped twice."""
DEFAULT_SILENCE_SECONDS = 7200.0
LINK = "link"
"""How it reached us when somebody used a message's link: they need know neither our addresses nor our files."""


@dataclass(frozen=True)
class Asked:
    """What came of asking the Alertmanager of `source` for a silence."""

    source: str
    url: str
    done: bool
    said: str

    def told(self, via: str) -> str:
        """In words for whoever reached us by `via`."""
        if via != LINK:
            return f"{self.url}: {self.said}"
        return f"{f'Alertmanager {self.source}'.strip()}: it took {'the' if self.done else 'no'} silence"


@dataclass(frozen=True)
class Done:
    """The incident as it stands now, what the person is told, and whether anything was changed."""

    incident: Incident
    said: str
    changed: bool


class Desk:
    """Each method takes the incident's number, who does it (`by`) and how that reached us (`via`: `link`, `slack`,
    `api`), and raises Refused, or StorageUnavailable. Done twice it is done once."""

    def __init__(
        self,
        store: Store,
        means: Callable[[], Means],
        servers: Callable[[], Sequence[tuple[str, Alertmanager]]],
        shows: Callable[[Target], bool],
        wake: Callable[[], None],
        now: Now,
        log: Logger,
    ) -> None:
        """`servers` are asked for silences. `shows` tells whether a target's sink shows an acknowledgement where the
        message stands, instead of sending one more. `wake` is called when there is something to work on or to send."""
        self._store, self._means, self._servers, self._shows = store, means, servers, shows
        self._wake, self._now, self._log = wake, now, log

    async def acknowledge(
        self, incident: int, by: str, via: str = "api", *, take_over: bool = False, note: str = ""
    ) -> Done:
        """`by` has it. `take_over`: also when somebody else has it already."""
        who = Person(by.strip(), via)
        return await self._do(incident, who, lambda case: deeds.acknowledging(case, who, take_over, _note(note)))

    async def resolve(self, incident: int, by: str, via: str = "api", *, note: str = "") -> Done:
        """It has ended, whatever the alerts say; one of them that begins anew opens it again."""
        who = Person(by.strip(), via)
        return await self._do(incident, who, lambda case: deeds.resolving(case, who, _note(note)))

    async def assign(self, incident: int, to: str, by: str, via: str = "api", *, note: str = "") -> Done:
        """Hands it to `to`, who is told."""
        who, whom = Person(by.strip(), via), Person(to.strip(), via).name
        return await self._do(incident, who, lambda case: deeds.assigning(case, who, whom, _note(note)))

    async def note(self, incident: int, note: str, by: str, via: str = "api") -> Done:
        """Writes something down."""
        who = Person(by.strip(), via)
        return await self._do(incident, who, lambda case: deeds.noting(case, who, _note(note)))

    async def snooze(self, incident: int, by: str, seconds: float, via: str = "api", *, note: str = "") -> Done:
        """Nobody is called or reminded for so long."""
        who = Person(by.strip(), via)
        return await self._do(incident, who, lambda case: deeds.snoozing(case, who, seconds, _note(note)))

    async def reclassify(
        self, incident: int, by: str, why: str, via: str = "api", *, severity: str = "", owner: str = "", kind: str = ""
    ) -> Done:
        """Another severity, owner or class than the alerts say; "" leaves it as it is."""
        who = Person(by.strip(), via)
        given = {"severity": severity, "owner": owner, "kind": kind}
        wanted = {name: _note(value) for name, value in given.items() if value}
        return await self._do(incident, who, lambda case: deeds.reclassifying(case, who, wanted, _note(why)))

    async def silence(
        self,
        incident: int,
        by: str,
        seconds: float = DEFAULT_SILENCE_SECONDS,
        via: str = "api",
        *,
        reason: str = "",
    ) -> Done:
        """Lets every Alertmanager silence the incident's alerts, and snoozes it for as long."""
        who = Person(by.strip(), via)
        case = await self._case(incident)
        deeds.bounded(seconds)
        deeds.live(case.incident)
        for action in await self._store.actions.of(case.incident.id or 0):
            if action.what == "silenced" and abs(case.now - (action.at or 0.0)) < TWICE_SECONDS:
                detail = f", {action.detail}" if who.via != LINK else ""
                return Done(case.incident, f"{action.by} has silenced it a moment ago{detail}.", changed=False)
        words = _note(reason) or f"silenced from incident {case.incident.id}"
        where, failed = await self._silenced(case, who, seconds, words)
        done = await self._do(incident, who, lambda case: deeds.snoozing(case, who, seconds, words, "silenced", where))
        return replace(done, said=f"{done.said} That failed at {failed}.") if failed else done

    # --- how it is done

    async def _do(self, number: int, by: Person, deed: Callable[[Case], Outcome]) -> Done:
        for _ in range(TRIES):
            case = await self._case(number)
            outcome = deed(case)
            if outcome.action is None:
                return Done(case.incident, outcome.said, changed=False)
            record, decision = await self._record(case, outcome)
            try:
                done = await self._store.change(outcome.incident, case.incident, decision, case.now, record)
            except Changed:
                continue
            self._log.info("a person acted", incident=done.id, what=outcome.action.what, by=by.name, via=by.via)
            self._wake()
            return Done(done, outcome.said, changed=True)
        raise Refused("busy", "the incident changes too fast, try again")

    async def _case(self, number: int) -> Case:
        """The incident, or the one that it is part of by now. Raises Refused."""
        found = await self._store.incident(number)
        while found is not None and found.merged_into is not None:
            found = await self._store.incident(found.merged_into)
        if found is None or found.id is None:
            raise Refused("unknown_incident", f"there is no incident {number}")
        progress = await self._store.escalations.of(found.id)
        return Case(found, progress, self._means().config, self._now())

    async def _record(self, case: Case, outcome: Outcome) -> tuple[Record, Decision]:
        """What goes on record besides the incident, and why."""
        action = outcome.action
        assert action is not None  # noqa: S101 - _do has seen to it
        newest = await self._store.outbox.newest(case.incident.id or 0)
        calls = [self._planned(case, outcome, target, newest, outcome.because) for target in outcome.tells]
        rows = list(kept_back(calls, case.config, case.now))
        shows, hidden = await self._who_sees(case) if outcome.shown else ([], [])
        rows += [self._planned(case, outcome, target, newest, "it was told that it began") for target in shows]
        more = [*held(rows)]
        words = f"not told to {', '.join(hidden)}: it would be one more message there"
        more += [Decision("acknowledgement", "sink_shows_none", words)] if hidden else []
        words = " ".join(
            part for part in (f"by {action.by}", action.detail, action.note and f"({action.note})") if part
        )
        progress = outcome.progress if outcome.progress != case.progress else None
        record = Record(rows, action, progress, outcome.events, more)
        return record, Decision(action.what, "by_a_person", words)

    async def _who_sees(self, case: Case) -> tuple[list[str], list[str]]:
        """The targets that know of the incident: those whose sinks show what became of it, and the others."""
        told = await self._store.outbox.told([case.incident.id or 0], case.config.shadow)
        shows = {target.name: self._shows(target) for target in case.config.targets}
        return [name for name in told if shows.get(name)], [name for name in told if shows.get(name) is False]

    def _planned(self, case: Case, outcome: Outcome, target: str, newest: dict[str, Message], because: str) -> Planned:
        """A row that tells what the person did, in the words of the target's last message, else of anybody's."""
        assert outcome.action is not None  # noqa: S101 - a row tells of an action
        after, means = outcome.incident, self._means()
        base = newest.get(target) or next(reversed(newest.values()), None)
        if base is None:
            base = compose(after, "opened", Enrichment(), means.external_url, graph(case.config))
        act_url = means.act_url(after.id or 0, case.now)
        handled = handling(after, outcome.progress, case.config, act_url, case.now)
        message = msgspec.structs.replace(
            in_hands(base, after, handled),
            revision=after.revision,
            status="firing",
            reason=outcome.action.what,
            severity=after.severity,
            until=None,
            note=outcome.action.note,
            stands_in="",
            untold=False,
        )
        return Planned(target, because, message, shadow=case.config.shadow)

    async def _silenced(self, case: Case, by: Person, seconds: float, words: str) -> tuple[str, str]:
        """What each Alertmanager said, for the record, and for whoever asked what those did that failed. Raises Refused
        when all failed."""
        sources = {alert.source for alert in case.incident.firing or case.incident.alerts}
        servers = [(source, server) for source, server in self._servers() if source in sources]
        if not servers:
            raise Refused("not_silenced", "no Alertmanager is configured (alertmanagers in receiver.yml)")
        matchers = matching.matchers(case.incident, case.config.correlation.labels)
        if not matchers:
            raise Refused("not_silenced", "its alerts have too many names for one silence")
        until = case.now + seconds

        async def one(source: str, server: Alertmanager) -> Asked:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    found = await server.silence(matchers, case.now, until, by.name, words)
            except (Unreachable, TimeoutError) as error:
                reason = str(error) or "no answer in time"
                self._log.warning("a silence was not taken", alertmanager=server.url, reason=reason)
                return Asked(source, server.url, False, reason)
            return Asked(source, server.url, True, f"silence {found}")

        asked = await asyncio.gather(*(one(source, server) for source, server in servers))
        failed = "; ".join(one.told(by.via) for one in asked if not one.done)
        if not any(one.done for one in asked):
            raise Refused("not_silenced", failed)
        return "; ".join(one.told("") for one in asked), failed


def _note(text: str) -> str:
    """What a person wrote, without control characters. Raises Refused when it is too long."""
    if len(text) > deeds.LONGEST_NOTE:
        raise Refused("malformed", f"at most {deeds.LONGEST_NOTE} characters are taken")
    return "\n".join(printable(line) for line in text.strip().splitlines())
