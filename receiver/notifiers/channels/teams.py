"""Microsoft Teams: an Adaptive Card. Pure.

Every text of others is a TextRun, in which Teams looks for no mark-up and no mention; a TextBlock would read Markdown.
"""

import base64
import json
from dataclasses import replace
from typing import Any

from receiver.message import Message
from receiver.notifiers.channels import text as plain_text
from receiver.notifiers.channels.chart import chart
from receiver.notifiers.escape import divided
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Fact, Link, Words, clip, state

Element = dict[str, Any]

CARD_LIMIT = 27_000
"""Bytes of the JSON: Teams takes 28 KB, and drops a larger message without a word."""
BODY_LIMIT = 1000
ACTIONS_LIMIT = 6
SHORT = 60
STYLES = {"FIRING": "attention", "ACKNOWLEDGED": "warning", "RESOLVED": "good", "SOURCE LOST": "default"}


def render(message: Message, said: Words) -> Rendered:
    """`native`: the message with its card. Where it would be too large, the chart goes first, then the details."""
    spoken = plain_text.body(said, BODY_LIMIT)
    picture = [_picture(one.content) for one in chart(message)]
    more = [_fact(fact) for fact in _more(said)]
    fewer = [(said, more[:count]) for count in range(len(more), -1, -max(len(more) // 8, 1))]
    tries = [(said, [*picture, *more]), *fewer, (_shortened(said), [])]
    cards = (_card(message, words_of, shown) for words_of, shown in tries)
    card = next((card for card in cards if _size(card) <= CARD_LIMIT), None)
    return Rendered(said.title, spoken, native=card)


def _shortened(said: Words) -> Words:
    """For what is written in characters that take twelve bytes each in JSON."""
    return replace(
        said,
        lead=clip(said.lead, SHORT),
        facts=tuple(replace(fact, text=clip(fact.text, SHORT)) for fact in said.facts),
        steps=tuple(clip(step, SHORT) for step in said.steps),
        fallback=clip(said.fallback, SHORT),
        unknown=clip(said.unknown, SHORT),
    )


def _card(message: Message, said: Words, more: list[Element]) -> Element:
    style = next(style for end, style in STYLES.items() if state(message).endswith(end))
    head = {"type": "Container", "style": style, "bleed": True, "items": [_text([_run(said.title, weight="Bolder")])]}
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": said.title,
        "msteams": {"width": "full"},
        "body": [head, *([_text(_runs(said.lead))] if said.lead else []), *map(_fact, _first(said)), *more],
        "actions": [_action(link) for link in (*said.actions, *said.links)][:ACTIONS_LIMIT],
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "summary": said.title, "attachments": [card]}


def _first(said: Words) -> list[Fact]:
    return [
        *said.facts,
        *(Fact("First step", step) for step in said.steps[:1]),
        *([Fact("If that fails", said.fallback)] if said.fallback else []),
        *([Fact("Not known", said.unknown)] if said.unknown else []),
    ]


def _more(said: Words) -> list[Fact]:
    return [*(Fact("Then", step) for step in said.steps[1:]), *said.more]


def _fact(fact: Fact) -> Element:
    label = [_run(f"{fact.label}: ", weight="Bolder")] if fact.label else []
    runs = [*label, *_runs(fact.text)]
    for link in fact.links:
        runs += [_run(" · "), _linked(link)]
    return {**_text(runs), "spacing": "Small"}


def _runs(text: str) -> list[Element]:
    return [_linked(Link(part, part)) if is_url else _run(part) for part, is_url in divided(text) if part]


def _linked(link: Link) -> Element:
    return {**_run(link.label, color="Accent"), "selectAction": _action(link)}


def _text(runs: list[Element]) -> Element:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, **looks: str) -> Element:
    return {"type": "TextRun", "text": text, **looks}


def _action(link: Link) -> Element:
    return {"type": "Action.OpenUrl", "title": link.label, "url": link.url}


def _picture(png: bytes) -> Element:
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"type": "Image", "url": url, "altText": "The value of the last hours against its normal", "size": "Stretch"}


def _size(card: Element) -> int:
    return len(json.dumps(card).encode())
