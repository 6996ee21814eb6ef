"""ntfy: plain text with a priority, a tag, and up to three buttons. Pure."""

import json
from urllib.parse import quote

from receiver.message import Message
from receiver.notifiers.channels import text
from receiver.notifiers.channels.chart import chart
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Link, Words, clip

LIMIT = 4000
"""Bytes: ntfy makes a file of a longer message."""
TITLE_LIMIT = 200
ACTIONS_LIMIT = 3
_PRIORITIES = {"critical": "max", "warning": "high", "info": "default"}


def render(message: Message, said: Words) -> Rendered:
    """`parameters`: what ntfy takes beside the text; those that the target's URL gives already stay as they are."""
    limit = LIMIT
    while len((body := text.body(said, limit)).encode()) > LIMIT:
        limit = limit * 9 // 10
    ended = message.status == "resolved"
    links = [*said.actions, *said.links][:ACTIONS_LIMIT]
    parameters = {
        "priority": "default" if ended else _PRIORITIES.get(message.severity, "high"),
        "tags": "white_check_mark" if ended else "rotating_light",
        "actions": json.dumps([_action(link) for link in links]) if links else "",
        "click": next((quote(link.url, safe=":/?@&=#%") for link in said.links if link.label == "Incident"), ""),
    }
    filled = {name: value for name, value in parameters.items() if value}
    return Rendered(clip(said.title, TITLE_LIMIT), body, attachments=chart(message), parameters=filled)


def _action(link: Link) -> dict[str, str]:
    return {"action": "view", "label": link.label, "url": link.url}
