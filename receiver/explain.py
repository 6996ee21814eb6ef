"""Why something was told or was not: the stored facts of an incident as one timeline in words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from toolkit.clock import format_duration, format_utc

REASONS: Mapping[str, str] = {
    "opened": "the first alert of the incident",
    "joined": "another alert of an incident that people know of",
    "severity_rose": "worse than the alerts before it",
    "cause_found": "of a service that those of the others need: the probable cause",
    "storm_grew": "the storm has twice the alerts that were told",
    "fired_again": "it fires anew, long after it last began: its resolve was lost",
    "reopened": "the incident had ended a short time ago, and fires again",
    "repeat": "nothing new: we knew",
    "stale": "out of date: it came after its own resolve, or after a later firing",
    "partly_resolved": "other alerts of the incident still fire",
    "resolved": "the last alert of the incident ended",
    "vanished": "no Alertmanager holds it any more; its resolve never came",
    "source_lost": "its resolve came while Prometheus was silent",
    "never_fired_here": "a resolve of something that was never heard firing here",
    "step_due": "nobody had acknowledged in time",
    "carried_on": "it was under way for an incident that is part of this one by now",
    "still_fires": "it was put off to be told, and its time has come",
    "maintenance": "it was announced, and is told if it still fires at the end",
    "cooldown": "the target has just heard of the same cause",
    "postponed": "it was put off to be told",
    "unreachable": "nobody of the step before could be reached",
    "exhausted": "every step was taken, and nobody has acknowledged",
    "no_news": "nothing that people did not know",
    "no_incident": "there is no incident to tell of",
    "quiet_hours": "it can wait, and whom it is for is not to be disturbed",
    "digest": "it can wait, and is told with others in one message",
    "routes_name_nobody": "no route names a target for it",
    "nobody_was_told_that_it_began": "nobody was told that it began, so nobody is told of its end",
}
"""What a reason's name means, for people."""


@dataclass(frozen=True)
class Heard:
    """An event: when it was received, what it said, what it did (`reason`, None while nobody has worked on it)."""

    at: float
    fingerprint: str
    name: str
    labels: Mapping[str, str]
    status: str
    origin: str
    reason: str | None
    processed_at: float | None
    incident: int | None


@dataclass(frozen=True)
class Decided:
    """A decision on a revision of the incident."""

    at: float
    what: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Attempt:
    """One attempt to deliver."""

    started_at: float
    ended_at: float
    result: str
    http_status: int | None
    detail: str


@dataclass(frozen=True)
class Notice:
    """A message for one target; `next_attempt_at` is None once it is finished."""

    id: int
    at: float
    target: str
    status: str
    revision: int
    route: str
    state: str
    next_attempt_at: float | None
    finished_at: float | None
    superseded_by: int | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Facts:
    """What is on record of an incident. Times are seconds since the epoch."""

    incident: int
    state: str
    severity: str
    heard: tuple[Heard, ...]
    decided: tuple[Decided, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Summary:
    """Counts since a time: events by status, incidents told of, messages by (target, shadow), reasons for silence."""

    since: float
    events: Mapping[str, int]
    incidents: int
    messages: Mapping[tuple[str, bool], int]
    not_told: Mapping[str, int]


Kind = Literal["event", "decision", "message", "attempt", "next"]


@dataclass(frozen=True)
class Entry:
    """One line of a timeline."""

    at: float
    kind: Kind
    text: str


def explained(facts: Facts) -> list[Entry]:
    """The incident's timeline, the oldest first; what happened at one time stays in the order of its making."""
    entries = [*map(_event, facts.heard), *map(_decision, facts.decided)]
    for notice in facts.notices:
        entries.extend(_message(notice))
    return sorted(entries, key=lambda entry: entry.at)


def told_of(heard: Heard) -> Entry:
    """The line of one event, with the incident that it went to."""
    return _event(heard, named=True)


def _event(heard: Heard, named: bool = False) -> Entry:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(heard.labels.items()) if name != "alertname")
    origin = {
        "webhook": "",
        "reconciled": ", from what Alertmanager holds",
        "filled_in": ", left out of a webhook",
        "by_hand": ", said by a person",
    }
    said = f"{heard.name} {heard.status}{origin.get(heard.origin, '')} ({labels})"
    if heard.reason is None:
        return Entry(heard.at, "event", f"{said}: not worked on yet")
    where = f", incident {heard.incident}" if named and heard.incident is not None else ""
    return Entry(heard.at, "event", f"{said}: {heard.reason}, {REASONS.get(heard.reason, heard.reason)}{where}")


def _decision(decided: Decided) -> Entry:
    why = REASONS.get(decided.reason, "")
    words = {
        "told": f"told, since {decided.reason}: {why}. To {decided.detail}",
        "shadow": f"would have been told, since {decided.reason}: {why}. To {decided.detail}",
        "not_told": f"nobody is told, since {decided.reason}: {why} ({decided.detail})",
    }
    return Entry(decided.at, "decision", words.get(decided.what, f"{decided.what}: {decided.detail or why}"))


def _message(notice: Notice) -> Iterator[Entry]:
    title = f"message {notice.id}, {notice.status}, to {notice.target}"
    yield Entry(notice.at, "message", f"{title}: planned, because {notice.route}")
    for number, attempt in enumerate(notice.attempts, start=1):
        status = f", HTTP {attempt.http_status}" if attempt.http_status is not None else ""
        took = max(attempt.ended_at - attempt.started_at, 0)
        detail = f": {attempt.detail}" if attempt.detail and attempt.result != "sent" else ""
        line = (
            f"message {notice.id} to {notice.target}, attempt {number}: {attempt.result}{status}, {took:.1f} s{detail}"
        )
        yield Entry(attempt.ended_at, "attempt", line)
    if notice.finished_at is None and notice.next_attempt_at is not None:
        due = format_utc(notice.next_attempt_at)
        yield Entry(notice.next_attempt_at, "next", f"{title}: {notice.state}, due again at {due}")
    elif notice.state not in ("sent", "shadow") and notice.finished_at is not None:
        by = f" by message {notice.superseded_by}" if notice.superseded_by is not None else ""
        yield Entry(notice.finished_at, "message", f"{title}: {notice.state}{by}")


def report(summary: Summary, now: float) -> list[str]:
    """A summary in lines for people."""
    events = sum(summary.events.values())
    shadow = {target: count for (target, is_shadow), count in summary.messages.items() if is_shadow}
    sent = {target: count for (target, is_shadow), count in summary.messages.items() if not is_shadow}
    lines = [
        f"The last {format_duration(now - summary.since)}: Alertmanager told of {events} alert events "
        f"({summary.events.get('firing', 0)} firing, {summary.events.get('resolved', 0)} resolved), repeats left out.",
    ]
    for found, words in ((sent, "were planned"), (shadow, "would have been sent (shadow mode)")):
        total = sum(found.values())
        if total:
            by_target = ", ".join(f"{target} {count}" for target, count in sorted(found.items()))
            lines.append(f"{total} messages about {summary.incidents} incidents {words}: {by_target}.")
            most = max(found.values())
            if events > most:
                lines.append(
                    f"With one message an event a channel that hears of everything would have had {events}, not {most}."
                )
    if not summary.messages:
        lines.append("Nobody was told anything.")
    for reason, count in sorted(summary.not_told.items()):
        lines.append(f"Not told {count} times, since {reason}: {REASONS.get(reason, reason)}.")
    return lines
