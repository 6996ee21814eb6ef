"""A message as Slack's Block Kit, within its limits: header 150, section 3,000, 10 fields of 2,000, 50 blocks. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from receiver.message import Message
from receiver.notifiers.escape import fitted, mrkdwn
from receiver.notifiers.words import Fact, Link, Words, state, words

Block = dict[str, Any]
"""One block, as Slack's API takes it in JSON."""
Payload = dict[str, Any]
"""`{"text": ..., "blocks": [...]}`: `text` is what phones and screen readers get."""

SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
FIELDS_LIMIT = 10
BLOCKS_LIMIT = 50
MARKS = {"FIRING": "🔴", "ACKNOWLEDGED": "🟡", "RESOLVED": "🟢", "SOURCE LOST": "⚪"}
"""By the end of a message's state."""


def blocks(
    message: Message, may_repeat: bool = False, said: Words | None = None, *, interactive: bool = True
) -> Payload:
    """The message of an incident, as it stands: firing, acknowledged or ended. `said`: its words, where they are others
    than usual.

    `interactive`: its buttons report to us (action ids `acknowledge` and `silence`, the value is the incident's
    number). Without it, as for a webhook, they are links, and what would stand in the thread stands here.
    """
    said = said or words(message, may_repeat)
    shown = [_header(message, said), *_first_view(said)]
    if not interactive or message.digest:
        shown += _details(said)
    pressed = interactive and not message.digest
    buttons = [*(_buttons(message) if pressed else map(_link, said.actions)), *map(_link, said.links)]
    if buttons:
        shown.append({"type": "actions", "elements": buttons[:25]})
    return {"text": _text(said), "blocks": shown[:BLOCKS_LIMIT]}


def details(message: Message, said: Words | None = None) -> Payload | None:
    """What stands in the thread of a message; None when there is nothing to add."""
    found = list(_details(said or words(message)))
    if not found or message.digest:
        return None
    return {"text": "Details", "blocks": found[:BLOCKS_LIMIT]}


def _text(said: Words) -> str:
    parts = [said.title, said.lead or (f"First step: {said.steps[0]}" if said.steps else "")]
    return fitted("\n".join(part for part in parts if part), SECTION_LIMIT, mrkdwn)


def _header(message: Message, said: Words) -> Block:
    mark = next(mark for end, mark in MARKS.items() if state(message).endswith(end))
    return {"type": "header", "text": {"type": "plain_text", "text": f"{mark} {said.title}", "emoji": False}}


def _first_view(said: Words) -> Iterator[Block]:
    if said.lead:
        yield _section(_escaped(said.lead))
    if said.facts:
        yield {
            "type": "section",
            "fields": [_mrkdwn(_fact(fact, FIELD_LIMIT, "\n")) for fact in said.facts[:FIELDS_LIMIT]],
        }
    steps = [Fact("First step", step) for step in said.steps[:1]]
    steps += [Fact("If that fails", said.fallback)] if said.fallback else []
    if steps:
        yield _section("\n".join(_fact(step, SECTION_LIMIT // 2 - 1, " ") for step in steps))
    if said.unknown:
        yield {"type": "context", "elements": [_mrkdwn(_fact(Fact("Not known", said.unknown), FIELD_LIMIT, " "))]}


def _details(said: Words) -> Iterator[Block]:
    if len(said.steps) > 1:
        numbered = [Fact(f"{number}.", step) for number, step in enumerate(said.steps, start=1)]
        yield from _sections([Fact("Steps", ""), *numbered])
    yield from _sections(said.more)


def _sections(facts: Iterable[Fact]) -> Iterator[Block]:
    """As few sections as hold them, whole lines each."""
    held = ""
    for fact in facts:
        line = _fact(fact, SECTION_LIMIT, " ")
        if held and len(held) + 1 + len(line) > SECTION_LIMIT:
            yield _section(held)
            held = ""
        held = f"{held}\n{line}" if held else line
    if held:
        yield _section(held)


def _fact(fact: Fact, limit: int, between: str) -> str:
    """A label in bold, its text, and its links; the text gives way."""
    label = f"*{_escaped(fact.label)}*{between}" if fact.label else ""
    ends = "".join(f" · <{_address(link.url)}|{_escaped(link.label)}>" for link in fact.links)
    if len(label) + len(ends) > limit // 2:
        ends = ""
    return f"{label}{fitted(fact.text, limit - len(label) - len(ends), mrkdwn)}{ends}".rstrip()


def _address(url: str) -> str:
    """A link's address within `<...|...>`; is_link has seen that nothing else in it ends the link."""
    return url.replace("&", "&amp;")


def _escaped(text: str) -> str:
    return fitted(text, SECTION_LIMIT, mrkdwn)


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _buttons(message: Message) -> Iterator[Block]:
    """What a press reports to us."""
    if message.status == "resolved":
        return
    if not message.acknowledged_by:
        yield {**_button("Acknowledge", "acknowledge"), "value": str(message.incident), "style": "primary"}
    yield {**_button("Silence 2 h", "silence"), "value": str(message.incident)}


def _link(link: Link) -> Block:
    """A button that opens a page; Slack reports it too, under an action id that begins with `open_`."""
    return {**_button(link.label, f"open_{link.label.lower().replace(' ', '_')}"), "url": link.url}


def _button(label: str, action: str) -> Block:
    return {"type": "button", "text": {"type": "plain_text", "text": label, "emoji": False}, "action_id": action}
