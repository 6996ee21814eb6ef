"""A phone call: a few sentences that can be read aloud. Pure."""

import re

from receiver.message import Message
from receiver.notifiers.escape import ascii_text
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Words, clean, clip

LIMIT = 600
_URL = re.compile(r"https?://\S+")
_UNSPOKEN = re.compile(r"[<>\[\]{}|\\^~`*_#=]+")


def render(message: Message, said: Words) -> Rendered:
    """What broke, where, and the first step; the message in writing has the rest."""
    ended = message.status == "resolved"
    parts = [
        f"{'This has ended' if ended else f'Alert of severity {message.severity}'}: {_spoken(message.summary)}",
        f"Service {_spoken(message.service)}" if message.service else "",
        f"Impact: {_spoken(message.impact_measured or message.impact)}" if message.impact and not ended else "",
        f"First step: {_spoken(said.steps[0])}" if said.steps else "",
    ]
    return Rendered("", clip(". ".join(part.rstrip(".") for part in parts if part), LIMIT - 1) + ".")


def _spoken(text: str) -> str:
    return clean(_UNSPOKEN.sub(" ", _URL.sub("the link in the message", ascii_text(clean(text)))), LIMIT // 3)
