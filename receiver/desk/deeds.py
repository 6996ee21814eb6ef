"""What people may do to an incident: (how it stands, who, what) -> what follows, or why not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from receiver.alerts import AlertEvent
from receiver.escalation.opening import wanted_escalation
from receiver.escalation.people import known
from receiver.escalation.policy import Progress, begin, ended, put_off, resumed
from receiver.incidents import SEVERITIES, Incident, acknowledge, weight
from receiver.oncall.contacts import contacts
from receiver.settings import ReceiverConfig
from receiver.store.actions import Action, What
from toolkit.clock import format_utc
from toolkit.configfile import nearest

LONGEST_NAME = 200
LONGEST_NOTE = 2000
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, 30 * 86400.0
"""For how long an incident may be snoozed or silenced."""

Why = Literal["unknown_incident", "ended", "malformed", "unknown_person", "not_silenced", "busy"]


class Refused(Exception):
    """What was asked for is not done. The message is for people; `why` is the reason's name."""

    def __init__(self, why: Why, words: str) -> None:
        self.why = why
        super().__init__(words)


@dataclass(frozen=True)
class Person:
    """Who does something, and how that reached us: `link`, `slack`, `api`. Raises Refused for what is no name."""

    name: str
    via: str

    def __post_init__(self) -> None:
        if not 0 < len(self.name.strip()) <= LONGEST_NAME or not self.name.isprintable():
            raise Refused("malformed", f"by: 1 to {LONGEST_NAME} printable characters are expected")


@dataclass(frozen=True)
class Case:
    """An incident as it stands, with its escalation, the configuration in force and the present time."""

    incident: Incident
    progress: Progress | None
    config: ReceiverConfig
    now: float


@dataclass(frozen=True)
class Outcome:
    """What follows: the incident afterwards, what is on record, what the person is told. `action` None: nothing.

    `tells` are targets that are told, because of `because`; those who know of the incident are told besides, where
    their sinks show it (`shown`). `events` are worked on as if they had been received.
    """

    incident: Incident
    said: str
    action: Action | None = None
    progress: Progress | None = None
    tells: tuple[str, ...] = ()
    because: str = ""
    shown: bool = False
    events: tuple[AlertEvent, ...] = ()


def live(incident: Incident) -> Incident:
    """`incident`, while something can be done to it. Raises Refused."""
    if not incident.live:
        raise Refused("ended", f"incident {incident.id} has ended: it is {incident.state}")
    return incident


def acknowledging(case: Case, by: Person, take_over: bool, note: str = "") -> Outcome:
    """`by` has it, and nobody more is called. What somebody else has is theirs, unless it is taken over."""
    before = live(case.incident)
    holder = before.acknowledged_by if before.state == "acknowledged" else None
    if holder == by.name:
        return Outcome(before, f"You have incident {before.id} already.")
    if holder is not None and not take_over:
        since = format_utc(before.acknowledged_at or case.now, "%H:%M UTC")
        return Outcome(before, f"{holder} has incident {before.id}, since {since}.")
    free = before if holder is None else replace(before, state="open")
    after = acknowledge(free, by.name, case.now)
    progress = case.progress
    if progress is not None and progress.due_at is not None:
        progress = ended(case.config.escalations.get(progress.policy), progress, "acknowledged", case.now)
    detail = f"taken over from {holder}" if holder is not None else ""
    said = f"You have incident {before.id}. Nobody else is called."
    return Outcome(after, said, _action("acknowledged", by, detail, note), progress, shown=True)


def resolving(case: Case, by: Person, note: str) -> Outcome:
    """Every alert of it has ended, says `by`; one that begins anew opens it again."""
    before = live(case.incident)
    ends = tuple(
        replace(alert, status="resolved", ends_at=max(case.now, alert.starts_at + 1), origin="by_hand")
        for alert in before.firing
    )
    said = f"Incident {before.id} is resolved."
    return Outcome(_next(before), said, _action("resolved", by, "", note), case.progress, events=ends)


def assigning(case: Case, by: Person, to: str, note: str) -> Outcome:
    """`to` is called, and has it once they acknowledge; until then the escalation goes on where it was."""
    before = live(case.incident)
    if to == by.name:
        return acknowledging(case, by, take_over=True, note=note)
    short = known(to, case.config)
    if short is None and case.config.people:
        raise Refused("unknown_person", f"nobody is named '{to}'{nearest(to, case.config.people)}")
    served = {target.name for target in case.config.targets}
    found = contacts(case.config.people[short], before.severity) if short is not None else ()
    tells = tuple(target for target in found if target in served)
    state: Literal["open", "reopened"] = "reopened" if before.reopened else "open"
    after = _next(before, state=state, acknowledged_by=None, acknowledged_at=None, assigned_to=to)
    progress = _handed(case, after, tells)
    told = f"{to} is told" if tells else f"no target is known of {to}, so nobody is told"
    action = _action("assigned", by, f"to {to}", note)
    return Outcome(
        after,
        f"Incident {before.id} is handed to {to}: {told}.",
        action,
        progress,
        tells,
        f"{by.name} hands it to {to}",
    )


def noting(case: Case, by: Person, note: str) -> Outcome:
    """Something that is worth knowing, also once it has ended."""
    if not note.strip():
        raise Refused("malformed", "note: it is empty")
    before = case.incident
    return Outcome(_next(before), f"Noted on incident {before.id}.", _action("noted", by, "", note), case.progress)


def snoozing(case: Case, by: Person, seconds: float, note: str, what: What = "snoozed", detail: str = "") -> Outcome:
    """Nobody is called or reminded before its time is over."""
    before = live(case.incident)
    until = case.now + bounded(seconds)
    words = f"until {format_utc(until)}"
    action = _action(what, by, f"{words}{f', {detail}' if detail else ''}", note)
    after = _next(before, snoozed_until=until)
    return Outcome(after, f"Incident {before.id} is {what} {words}.", action, put_off(case.progress, until, case.now))


def reclassifying(case: Case, by: Person, wanted: Mapping[str, str], why: str) -> Outcome:
    """Another severity, owner or class (`kind`) than the alerts say. What becomes critical is escalated."""
    before = live(case.incident)
    severity = wanted.get("severity", before.severity)
    if severity not in SEVERITIES:
        raise Refused(
            "malformed", f"severity: one of {', '.join(SEVERITIES)} is expected{nearest(severity, SEVERITIES)}"
        )
    if not why.strip():
        raise Refused("malformed", "reason: it is empty")
    after = replace(
        before, severity=severity, owner=wanted.get("owner", before.owner), kind=wanted.get("kind", before.kind)
    )
    if after == before:
        return Outcome(before, f"Incident {before.id} is so already.")
    if weight(severity) > weight(before.severity):  # whoever put it off did not know how bad it would be
        after = replace(after, snoozed_until=None)
    changes = ", ".join(f"{name} {value}" for name, value in wanted.items())
    progress = _worse(case, after)
    said = f"Incident {before.id} is reclassified: {changes}."
    return Outcome(_next(after), said, _action("reclassified", by, changes, why), progress)


def bounded(seconds: float) -> float:
    """A time that is neither nothing nor for ever. Raises Refused."""
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise Refused("malformed", "for: between a minute and thirty days is expected")
    return seconds


def _worse(case: Case, after: Incident) -> Progress | None:
    """The escalation begins when it has become critical, also anew, unless somebody has it: whom it has called for less
    may be told in the morning."""
    rose = after.severity == "critical" != case.incident.severity
    wanted = wanted_escalation(after, case.config, case.now)
    if not rose or wanted is None or after.state == "acknowledged":
        return case.progress
    return begin(wanted, case.now)


def _handed(case: Case, after: Incident, tells: tuple[str, ...]) -> Progress | None:
    """The escalation goes on once the wait for whom it is handed to is over. One that never began, since somebody had
    the incident when its worst alert came, begins then."""
    progress = case.progress
    if progress is None or progress.policy == "":
        wanted = wanted_escalation(after, case.config, case.now)
        progress = begin(wanted, case.now) if wanted is not None else progress
    if progress is None:
        return None
    return resumed(case.config.escalations.get(progress.policy), progress, tells, after.revision, case.now)


def _next(incident: Incident, **changes: object) -> Incident:
    return replace(incident, revision=incident.revision + 1, **changes)  # type: ignore[arg-type]  # fields of Incident


def _action(what: What, by: Person, detail: str, note: str) -> Action:
    return Action(what, by.name, by.via, detail, note)
