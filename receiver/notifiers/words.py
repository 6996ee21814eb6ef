"""What a message says, in plain sentences and in the order of use; each channel lays them out. Pure.

The first view answers eight questions: what broke, since when, by how much against its normal, for whom it matters,
what changed, who owns it, what to do first, and what if that fails. What nobody could answer is named.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from receiver.message import Change, Message
from toolkit.clock import format_duration, format_utc
from toolkit.redaction import printable

TITLE_LIMIT = 146
"""Slack's header takes 150, and has a mark before it."""
TEXT_LIMIT = 600
LINK_LIMIT = 500
"""A longer link (a query with its expression) is left to the incident's page: many channels cut it, or refuse it."""
DIGEST_LINE_LIMIT = 180
MOST_RELATED = 5
MOST_LOGS = 5


ZERO_WIDTH = "\u200b"
# within a longer word too: what follows may be cut off later, or be made a link
_MENTION = re.compile(r"<(?=[!@#]|/?at\b|users/)|@(?=here|channel|everyone|all\b|room\b|_?\*)", re.IGNORECASE)
# anybody else, but for what stands in a link: those of a mail address and of user@host follow a letter
_NAMED = re.compile(r"(?P<link>https?://[^\s<>\"'`|\\()\[\],;]+)|(?<!\w)@(?=\w)")


@dataclass(frozen=True)
class Link:
    """`url` is http or https, without blanks."""

    label: str
    url: str


@dataclass(frozen=True)
class Fact:
    """One line: `Since: 14:02 UTC`, with links that belong to it."""

    label: str
    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Words:
    """The message in parts. Every text is one line without control characters in which nobody is
    mentioned; nothing in it is escaped yet.

    `lead`: what it means. `facts`: the first view. `steps` and `fallback`: what to do; the first step comes first.
    `unknown`: what could not be found out. `more`: what can wait. `links` lead to pages, `actions` to what can be done.
    """

    title: str
    lead: str
    facts: tuple[Fact, ...]
    steps: tuple[str, ...]
    fallback: str
    unknown: str
    more: tuple[Fact, ...]
    links: tuple[Link, ...]
    actions: tuple[Link, ...]


Say = Callable[[Message, bool], Words]
"""Puts a message into words; True says that an earlier copy may have arrived."""


def words(message: Message, may_repeat: bool = False) -> Words:
    """The parts of `message`. `may_repeat`: an earlier copy may have arrived, and the title says so."""
    if message.digest:
        return _digest(message, may_repeat)
    firing = message.status == "firing"
    return Words(
        title=title(message, may_repeat),
        lead=_lead(message),
        facts=tuple(_firing_facts(message) if firing else _ended_facts(message)),
        steps=tuple(clean(step) for step in message.first_steps) if firing else (),
        fallback=clean(message.fallback) if firing else "",
        unknown="; ".join(_unknown(message)) if firing else "",
        more=tuple(_more(message)),
        links=tuple(_links(message)),
        actions=tuple(_actions(message)),
    )


def _digest(message: Message, may_repeat: bool) -> Words:
    """A line for each incident, numbered."""
    lines = enumerate(message.digest, start=1)
    return Words(
        title=title(message, may_repeat),
        lead="",
        facts=(),
        steps=(),
        fallback="",
        unknown="",
        more=tuple(Fact(str(number), clean(line, DIGEST_LINE_LIMIT)) for number, line in lines),
        links=(Link("Incidents", message.incident_url),) if is_link(message.incident_url) else (),
        actions=(),
    )


def title(message: Message, may_repeat: bool = False, limit: int = TITLE_LIMIT) -> str:
    """`[P1 FIRING] summary · service environment · 14:02 UTC`, at most `limit` characters; where it was is kept before
    the end of a long summary."""
    repeat = " (may be a repeat)" if may_repeat else ""
    where = " ".join(part for part in (clean(message.service), clean(message.environment)) if part)
    tail = "".join(f" · {part}" for part in (clip(where, 60), format_utc(message.since, "%H:%M UTC")) if part)
    head = f"[{state(message)}] "
    return head + clip(clean(message.summary), limit - len(head + tail + repeat)) + tail + repeat


def state(message: Message) -> str:
    """How it stands, in capitals: `P1 FIRING`, `P1 ACKNOWLEDGED`, `RESOLVED`, `SOURCE LOST`."""
    if message.status == "resolved":
        return "SOURCE LOST" if message.reason == "source_lost" else "RESOLVED"
    return f"{message.priority or message.severity.upper()} {'ACKNOWLEDGED' if message.acknowledged_by else 'FIRING'}"


ENDS = {
    "source_lost": "Prometheus has fallen silent, and Alertmanager takes that for the end of the alert. Nobody knows "
    "whether it has ended: see to Prometheus, and to this.",
    "vanished": "Its resolve never came: no Alertmanager holds the alert any more, so it has ended. See that it has.",
}
UNTOLD = "You may hear of this for the first time: the message that it began could not be delivered."


def _lead(message: Message) -> str:
    if message.status == "firing":
        return clean(message.description)
    return " ".join(part for part in (UNTOLD if message.untold else "", ENDS.get(message.reason, "")) if part)


def _firing_facts(message: Message) -> Iterator[Fact]:
    if message.cause:
        yield Fact("Probable cause", clean(message.cause))
    yield Fact("Since", _joined(_since(message), message.history))
    if message.measured:
        yield Fact("Measured now", value(message))
    if message.impact or message.impact_measured:
        yield Fact("Impact", _joined(message.impact_measured, message.impact))
    if message.changes:
        yield _changed(message.changes[0], message.since)
    if message.owner:
        yield Fact("Owner", _owner(message))
    if message.acknowledged_by:
        yield Fact("Acknowledged", _acknowledged(message))
    elif message.next_step:
        yield Fact("Next", clean(message.next_step))


def _ended_facts(message: Message) -> Iterator[Fact]:
    yield Fact("Since", _since(message))
    if message.measured:
        yield Fact("Measured now", value(message))
    if message.owner:
        yield Fact("Owner", _owner(message))
    if message.acknowledged_by:
        yield Fact("Acknowledged", _acknowledged(message))


def value(message: Message) -> str:
    """The value now against its normal: `0 % (normal: 99.8 %), 6 times below normal`."""
    normal = f" (normal: {message.normal})" if message.normal else ""
    factor = f", {message.factor}" if message.factor else ""
    line = f" {message.sparkline}" if message.sparkline else ""
    return clean(f"{message.measured}{normal}{factor}{line}")


def _since(message: Message) -> str:
    began = format_utc(message.since)
    if message.until is not None:
        return f"{began}, for {format_duration(message.until - message.since)}"
    return began


def _owner(message: Message) -> str:
    on_call = f" (on call: {message.on_call})" if message.on_call else ""
    return clean(f"{message.owner}{on_call}")


def _acknowledged(message: Message) -> str:
    at = f" at {_clock(message.acknowledged_at, message.since)}" if message.acknowledged_at is not None else ""
    note = f": {message.note}" if message.note else ""
    return clean(f"by {message.acknowledged_by}{at}{note}")


def _clock(at: float, since: float) -> str:
    """The time of day, and the date where it is not that on which the trouble began."""
    same = format_utc(at, "%Y-%m-%d") == format_utc(since, "%Y-%m-%d")
    return format_utc(at, "%H:%M UTC" if same else "%Y-%m-%d %H:%M UTC")


def _changed(change: Change, since: float, label: str = "Changed") -> Fact:
    links = [Link("Change", change.url), Link("Undo", change.undo_url)]
    return Fact(
        label,
        clean(f"{_clock(change.at, since)}: {change.what}"),
        tuple(link for link in links if is_link(link.url)),
    )


def _unknown(message: Message) -> Iterator[str]:
    named = {
        "value against its normal": message.measured and message.normal,
        "impact": message.impact or message.impact_measured,
        "what changed": message.changes,
        "owner": message.owner,
        "first step": message.first_steps,
        "fallback": message.fallback,
    }
    missing = [name for name, found in named.items() if not found]
    if missing:
        yield ", ".join(missing)
    yield from (clean(one) for one in message.absent)


def _more(message: Message) -> Iterator[Fact]:
    firing = message.status == "firing"
    if message.stands_in:
        yield Fact("You are told because", clean(message.stands_in))
    if firing and message.pays and message.pays != message.owner:
        yield Fact("Pays", clean(message.pays))
    yield from _extent(message)
    if firing:
        yield from _surroundings(message)
    elif message.history:
        yield Fact("History", clean(message.history))


def _surroundings(message: Message) -> Iterator[Fact]:
    """What else is known at the time."""
    yield from (_changed(change, message.since, "Changed too") for change in message.changes[1:])
    if message.vendor_status:
        yield Fact("Vendor says", clean(message.vendor_status))
    if message.related:
        yield Fact("Also firing", clean("; ".join(message.related[:MOST_RELATED])))
    yield from (Fact("Log", clean(line)) for line in message.logs[:MOST_LOGS])
    if message.priority:
        yield Fact("Priority", clean(f"{message.priority} ({message.rank})" if message.rank else message.priority))


def _extent(message: Message) -> Iterator[Fact]:
    """How far it goes."""
    if message.reopened:
        yield Fact("Reopened", f"{message.reopened} time{'s' if message.reopened > 1 else ''}")
    if message.status == "resolved" and message.cause:
        yield Fact("Probable cause", clean(message.cause))
    if message.spread:
        yield Fact("Alerts", clean(message.spread))
    elif message.firing_count > 1:
        yield Fact("Alerts", f"{message.firing_count} firing in this incident")


def _links(message: Message) -> Iterator[Link]:
    links = {
        "Runbook": message.runbook_url,
        "Dashboard": message.dashboard_url,
        "Query": message.query_url,
        "Incident": message.incident_url,
        "Logs": message.logs_url,
        "Trace": message.trace_url,
    }
    yield from (Link(label, url) for label, url in links.items() if is_link(url))


def _actions(message: Message) -> Iterator[Link]:
    if message.status == "resolved":
        return
    if is_link(message.acknowledge_url) and not message.acknowledged_by:
        yield Link("Acknowledge", message.acknowledge_url)
    if is_link(message.silence_url):
        yield Link("Silence 2 h", message.silence_url)


def is_link(url: str) -> bool:
    """Only http and https, for a payload's link is data and some schemes run programs; short enough to show, and
    nothing in it ends the link where it is written out."""
    try:
        split = urlsplit(url)
    except ValueError:
        return False
    plain = url.isprintable() and not any(one in url for one in " <>\"'`|\\")
    return split.scheme in ("http", "https") and bool(split.netloc) and len(url) <= LINK_LIMIT and plain


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text from labels and annotations, as data: on one line, at most `limit` characters. What would ping somebody in
    one channel or another is broken by a blank of no width."""
    flat = " ".join(printable(text.replace("\n", " ").replace("\t", " ")).split())
    broken = _MENTION.sub(lambda match: match.group() + ZERO_WIDTH, flat)
    return clip(_NAMED.sub(lambda match: match["link"] or match.group() + ZERO_WIDTH, broken), limit)


def clip(text: str, limit: int) -> str:
    """`text` in at most `limit` characters. A link that doesn't fit is left out whole, for half a link leads astray."""
    if len(text) <= limit:
        return text
    cut = text[: max(limit - 1, 0)]
    if not text[len(cut)].isspace():
        last = cut.rpartition(" ")[2]
        if "://" in last:
            cut = cut.removesuffix(last).rstrip()
    return f"{cut}…"


def _joined(*parts: str) -> str:
    return clean("; ".join(part.rstrip(".") for part in parts if part))
