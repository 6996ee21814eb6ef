"""A message as plain text: one line for a phone's lock screen, and a body of short labelled lines. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from receiver.message import Message
from toolkit.clock import format_duration, format_utc
from toolkit.redaction import printable

TITLE_LIMIT = 150
"""Slack's header takes no more."""
_LINE_LIMIT = 600
_DIGEST_LINE_LIMIT = 180
_LINK_LIMIT = 200
"""A longer link (a query with its expression) is left to the incident's page: nobody reads it off a phone."""
_ZERO_WIDTH = "\u200b"
_MENTION = re.compile(r"<(?=[!@#])|@(?=(?:here|channel|everyone|all)\b)", re.IGNORECASE)


def render(message: Message, may_repeat: bool) -> tuple[str, str]:
    """(title, body). `may_repeat` says that an earlier copy may have arrived, and so does the title."""
    repeat = " (may be a repeat)" if may_repeat else ""
    lines = _digest(message) if message.digest else _body(message)
    return _clip(_title(message), TITLE_LIMIT - len(repeat)) + repeat, "\n".join(lines)


def _title(message: Message) -> str:
    where = " ".join(part for part in (message.service, message.environment) if part)
    parts = [f"[{_state(message)}] {message.summary}", where, format_utc(message.since, "%H:%M UTC")]
    return " · ".join(_safe(part) for part in parts if part)


def _state(message: Message) -> str:
    if message.status == "resolved":
        return "SOURCE LOST" if message.reason == "source_lost" else "RESOLVED"
    return f"{message.severity.upper()} FIRING"


_ENDS = {
    "source_lost": "Prometheus has fallen silent, and Alertmanager takes that for the end of the alert. Nobody knows "
    "whether it has ended: see to Prometheus, and to this.",
    "vanished": "Its resolve never came: no Alertmanager holds the alert any more, so it has ended. See that it has.",
}


def _body(message: Message) -> Iterator[str]:
    firing = message.status == "firing"
    if firing:
        yield from _trouble(message)
    if message.untold:
        yield "You may hear of this for the first time: the message that it began could not be delivered."
    if message.reason in _ENDS:
        yield _ENDS[message.reason]
    if firing and message.priority:
        yield _clip(f"Priority: {message.priority} ({_safe(message.rank)})")
    yield f"Since: {_since(message)}"
    if message.measured:
        normal = f" (normal: {message.normal})" if message.normal else ""
        yield _clip(f"Measured now: {_safe(message.measured + normal)}")
    if message.owner:
        yield f"Owner: {_safe(message.owner)}"
    yield from _extent(message)
    if firing:
        yield from _steps(message)
    if message.stands_in:
        yield _clip(f"You are told because {_safe(message.stands_in)}")
    links = {"Runbook": message.runbook_url, "Query": message.query_url, "Incident": message.incident_url}
    yield from (f"{label}: {_safe(url)}" for label, url in links.items() if _is_link(url))
    if message.absent:
        yield _clip(f"Not known: {_safe('; '.join(message.absent))}")


def _digest(message: Message) -> Iterator[str]:
    yield from (_clip(_safe(line), _DIGEST_LINE_LIMIT) for line in message.digest)
    if _is_link(message.incident_url):
        yield f"Incidents: {_safe(message.incident_url)}"


def _extent(message: Message) -> Iterator[str]:
    """How far it goes, and what is behind it."""
    if message.reopened:
        yield f"Reopened: {message.reopened} time{'s' if message.reopened > 1 else ''}"
    if message.cause:
        yield _clip(f"Probable cause: {_safe(message.cause)}")
    if message.spread:
        yield _clip(f"Alerts: {_safe(message.spread)}")
    elif message.firing_count > 1:
        yield f"Alerts: {message.firing_count} firing in this incident"


def _trouble(message: Message) -> Iterator[str]:
    if message.description:
        yield _clip(_safe(message.description))
    if message.impact:
        yield _clip(f"Impact: {_safe(message.impact)}")


def _since(message: Message) -> str:
    began = format_utc(message.since)
    if message.until is not None:
        return f"{began}, for {format_duration(message.until - message.since)}"
    return began


def _steps(message: Message) -> Iterator[str]:
    if message.pays and message.pays != message.owner:
        yield _clip(f"Pays: {_safe(message.pays)}")
    if message.first_steps:
        yield "First steps:"
        for number, step in enumerate(message.first_steps, start=1):
            yield _clip(f"  {number}. {_safe(step)}")
    if message.fallback:
        yield _clip(f"If that fails: {_safe(message.fallback)}")


def _is_link(url: str) -> bool:
    """Only http and https, for a payload's link is data and some schemes run programs; and short enough to show."""
    try:
        split = urlsplit(url)
    except ValueError:
        return False
    return split.scheme in ("http", "https") and bool(split.netloc) and len(url) <= _LINK_LIMIT


def _safe(text: str) -> str:
    """Text from labels and annotations, as data: on one line, and no mention in it pings anybody."""
    flat = " ".join(printable(text.replace("\n", " ").replace("\t", " ")).split())
    return _MENTION.sub(lambda match: match.group() + _ZERO_WIDTH, flat)


def _clip(text: str, limit: int = _LINE_LIMIT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
