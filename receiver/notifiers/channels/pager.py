"""What a pager does with a message, and what PagerDuty, Opsgenie and GoAlert keep of it. Pure."""

from typing import Any, Literal

from receiver.message import Message
from receiver.notifiers.channels import text
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Words, clean

SUMMARY_LIMIT = 1024
OPSGENIE_LIMIT = 15_000
GOALERT_LIMIT = 6000
_SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info"}


def pagerduty(message: Message, said: Words) -> Rendered:
    """`native`: an event of the Events API v2. An acknowledgement and an end name the incident only."""
    event = _event(message)
    payload = {
        "summary": said.title,
        "severity": _SEVERITIES.get(message.severity, "critical"),
        "source": clean(message.service or message.alert or "tocsin"),
        "component": clean(message.service),
        "group": clean(message.environment),
        "class": clean(message.kind or message.alert),
        "custom_details": details(said),
    }
    links = [{"href": link.url, "text": link.label} for link in (*said.links, *said.actions)]
    native: dict[str, Any] = {"event_action": event, "dedup_key": message.key}
    if event == "trigger":
        native |= {"payload": {name: value for name, value in payload.items() if value}, "links": links}
    spoken = text.body(said, SUMMARY_LIMIT - len(said.title) - 2)
    return Rendered(said.title, spoken, native=native, event=event)


def opsgenie(message: Message, said: Words) -> Rendered:
    """Title, description and details; `native`: the alert's fields that a URL doesn't fill."""
    return Rendered(
        said.title,
        text.body(said, OPSGENIE_LIMIT),
        native={"details": details(said), "entity": clean(message.service)},
        parameters={"priority": message.priority.lower()} if message.priority else {},
        event=_event(message),
    )


def goalert(message: Message, said: Words) -> Rendered:
    """Its API opens and closes; who has it is said there by pressing its own button."""
    spoken = text.render(said, GOALERT_LIMIT)
    return Rendered(spoken.title, spoken.body, event=_event(message))


def details(said: Words) -> dict[str, str]:
    """The rows as a table of texts, the more useful first."""
    what = [said.lead, *(fact.text for fact in said.facts if not fact.label)]
    rows = {"What": "\n".join(line for line in what if line)}
    rows |= {fact.label: text.line(fact).partition(": ")[2] for fact in said.facts if fact.label}
    rows |= {f"Step {number}": step for number, step in enumerate(said.steps, start=1)}
    rows |= {"If that fails": said.fallback, "Not known": said.unknown}
    for fact in said.more:
        rows[fact.label] = "\n".join(part for part in (rows.get(fact.label), fact.text) if part)
    return {label: row for label, row in rows.items() if row}


def _event(message: Message) -> Literal["trigger", "acknowledge", "resolve"]:
    if message.status == "resolved":
        return "resolve"
    return "acknowledge" if message.reason == "acknowledged" else "trigger"
