"""Several messages for one target told as one. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from receiver.delivery.outbox import Claimed
from receiver.incidents import weight
from receiver.message import Message
from toolkit.clock import format_duration, format_utc

SUMMARY_LIMIT, WHERE_LIMIT = 60, 30
"""Characters of a line that tells of one incident: twenty lines fit a narrow chat."""


def as_one(rows: Sequence[Claimed]) -> Claimed:
    """What is sent for rows of one target, at least one: the row itself, or a message that lists them.

    It may be a repeat when one of them may, and is tried for as long as the newest of them.
    """
    first = rows[0]
    if len(rows) == 1:
        return first
    return replace(
        first,
        message=digest([row.message for row in rows], max(row.id for row in rows)),
        attempts=max(row.attempts for row in rows),
        may_repeat=any(row.may_repeat for row in rows),
        received_at=min(row.received_at for row in rows),
        trying_since=max(row.trying_since for row in rows),
        place="",
    )


def digest(messages: Sequence[Message], number: int) -> Message:
    """One message that tells of each: what fires first, the worst and oldest before the others. `number` tells it from
    every other digest."""
    firing = sorted((one for one in messages if one.status == "firing"), key=_urgency)
    ended = sorted((one for one in messages if one.status == "resolved"), key=_urgency)
    counts = ", ".join(f"{len(some)} {what}" for some, what in ((firing, "firing"), (ended, "ended")) if some)
    return Message(
        incident=0,
        revision=number,
        status="firing" if firing else "resolved",
        reason="digest",
        severity=max((one.severity for one in firing or ended), key=weight),
        alert="Digest",
        summary=f"Digest of {len(messages)} incidents: {counts}",
        since=min(one.since for one in messages),
        until=None if firing else max(one.until or one.since for one in messages),
        firing_count=len(firing),
        incident_url=messages[0].incident_url.rpartition("/")[0],
        digest=tuple(_lines(firing, ended)),
    )


def _urgency(message: Message) -> tuple[int, float]:
    return -weight(message.severity), message.since


def _lines(firing: Iterable[Message], ended: Iterable[Message]) -> Iterable[str]:
    for one in firing:
        yield " · ".join(part for part in (f"{one.severity} firing", *_what(one), f"since {_at(one.since)}") if part)
    for one in ended:
        lasted = f", for {format_duration(one.until - one.since)}" if one.until is not None else ""
        yield " · ".join(part for part in ("ended", *_what(one), f"since {_at(one.since)}{lasted}") if part)


def _what(message: Message) -> tuple[str, ...]:
    where = " ".join(part for part in (message.service, message.environment) if part)
    return f"#{message.incident}", _clip(message.summary, SUMMARY_LIMIT), _clip(where, WHERE_LIMIT)


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _at(seconds: float) -> str:
    return format_utc(seconds, "%a %H:%M UTC")
