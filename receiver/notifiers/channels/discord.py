"""Discord: the title as text, for the phone's notification, and an embed with fields and the chart. Pure.

`allowed_mentions` lets nothing ping, whatever stands in a label.
"""

from typing import Any

from receiver.message import Message
from receiver.notifiers.channels import text
from receiver.notifiers.channels.chart import NAME, chart
from receiver.notifiers.escape import fitted, markdown
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Fact, Link, Words, state

CONTENT_LIMIT = 2000
FIELD_LIMIT = 1024
FIELDS_LIMIT = 25
EMBED_LIMIT = 6000
"""Characters in all texts of an embed together."""
COLOURS = {"FIRING": 0xD93F3F, "ACKNOWLEDGED": 0xE0A800, "RESOLVED": 0x2EA043, "SOURCE LOST": 0x8B949E}
_INLINE = ("Owner", "Next", "Acknowledged")


def render(message: Message, said: Words) -> Rendered:
    """`native`: a webhook's JSON; the body is plain text of at most 2,000 characters with the title."""
    spoken = text.body(said, CONTENT_LIMIT - len(said.title) - 2)
    native = {
        "content": fitted(said.title, CONTENT_LIMIT - 4, lambda title: f"**{markdown(title)}**"),
        "embeds": [_embed(message, said)],
        "allowed_mentions": {"parse": []},
    }
    return Rendered(said.title, spoken, attachments=chart(message), native=native)


def _embed(message: Message, said: Words) -> dict[str, Any]:
    embed: dict[str, Any] = {"color": next(one for end, one in COLOURS.items() if state(message).endswith(end))}
    if said.lead:
        embed["description"] = fitted(said.lead, FIELD_LIMIT, markdown)
    links = _linked([*said.actions, *said.links])
    opened = [{"name": "Open", "value": links, "inline": False}] if links else []
    first = [_field(fact) for fact in _first(said)]
    embed["fields"] = _kept([*first, *opened, *map(_field, said.more)], EMBED_LIMIT - FIELD_LIMIT)
    if chart(message):
        embed["image"] = {"url": f"attachment://{NAME}"}
    return embed


def _kept(fields: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """The fields from the first on, while there is room; the later ones that still fit after one that doesn't."""
    kept: list[dict[str, Any]] = []
    for field in fields:
        size = len(field["name"]) + len(field["value"])
        if size <= room and len(kept) < FIELDS_LIMIT:
            kept.append(field)
            room -= size
    return kept


def _first(said: Words) -> list[Fact]:
    steps = [f"{number}. {step}" for number, step in enumerate(said.steps, start=1)]
    return [
        *said.facts,
        *([Fact("First step" if len(steps) == 1 else "First steps", "\n".join(steps))] if steps else []),
        *([Fact("If that fails", said.fallback)] if said.fallback else []),
        *([Fact("Not known", said.unknown)] if said.unknown else []),
    ]


def _field(fact: Fact) -> dict[str, Any]:
    links = _linked(list(fact.links), FIELD_LIMIT // 2)
    between = " · " if links else ""
    value = fitted(fact.text, FIELD_LIMIT - len(links) - len(between), _lines) + between + links
    return {"name": fact.label or "\u200b", "value": value or "\u200b", "inline": fact.label in _INLINE}


def _lines(several: str) -> str:
    return "\n".join(map(markdown, several.split("\n")))


def _linked(links: list[Link], limit: int = FIELD_LIMIT) -> str:
    """Links as mark-up, as many as fit, whole."""
    found = ""
    for link in links:
        more = f"{' · ' if found else ''}[{link.label}](<{link.url}>)"
        if len(found) + len(more) <= limit:
            found += more
    return found
