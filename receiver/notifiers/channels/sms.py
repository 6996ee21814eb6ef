"""SMS: two segments at most, in characters of which each takes one place. Pure."""

from receiver.notifiers.escape import ascii_text
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Words, clip

LIMIT = 306
"""Two segments of 153: the alphabet of SMS takes seven bits a character, and a message of several has headers."""
SERVICE_LIMIT = 160
"""A service that takes no more than this at a time sends SMS."""
_TWO_PLACES = str.maketrans("[]{}|^~\\`", "()()/-- '")


def render(said: Words) -> Rendered:
    """One text: the title, the first step, where to acknowledge; the rest while it fits."""
    found = _short(said.title)
    for part in _parts(said):
        if len(found) + 1 + len(part) <= LIMIT:
            found += f"\n{part}"
        elif "://" not in part and LIMIT - len(found) > 40:
            found += f"\n{_short(clip(part, LIMIT - len(found) - 3))}"
    return Rendered("", found[:LIMIT])


def _parts(said: Words) -> list[str]:
    """The most useful first; links that an SMS has room for are those that act."""
    acknowledge = next((link.url for link in said.actions if len(link.url) < LIMIT // 2), "")
    owner = next((fact.text for fact in said.facts if fact.label == "Owner"), "")
    parts = [
        f"Ack: {acknowledge}" if acknowledge else "",
        f"Do: {_short(said.steps[0])}" if said.steps else "",
        f"Owner: {_short(owner)}" if owner else "",
        _short(said.lead),
        *(_short(fact.text) for fact in said.facts if not fact.label),
    ]
    return [part for part in parts if part]


def _short(text: str) -> str:
    return ascii_text(text).translate(_TWO_PLACES)
