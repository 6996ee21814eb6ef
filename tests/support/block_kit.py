"""What Slack's documentation allows in Block Kit. Raises InvalidBlocks, in the way of Slack's `invalid_blocks`, for all else."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MOST_BLOCKS = 50
MOST_TEXT = 12_000
"""All texts of a message's blocks together: said by Slack's own developers in their issue tracker, in no document."""
_MENTIONS = re.compile(r"<!(?:channel|here|everyone|subteam)\b|<@[UW]|@(?:channel|here|everyone)\b", re.IGNORECASE)

_ADDRESS = re.compile(r"<https?://[^\s<>|]*")


class InvalidBlocks(Exception):
    """What is wrong, and where."""


class TooLong(Exception):
    """Each block is allowed, all together are not."""


def check(blocks: Any) -> None:
    """Raises InvalidBlocks or TooLong unless Slack would show `blocks`."""
    listed = _listed(blocks, "blocks", 0, MOST_BLOCKS)
    ids = [block.get("block_id") for block in listed if isinstance(block, dict) and "block_id" in block]
    _see(len(ids) == len(set(ids)), "blocks: block_id twice")
    for index, block in enumerate(listed):
        _one_of(block, f"blocks[{index}]", BLOCKS)
    if sum(map(len, texts(listed))) > MOST_TEXT:
        raise TooLong


def texts(value: Any, *kinds: str) -> Iterator[str]:
    """Every text in blocks; of these kinds, where some are named."""
    if isinstance(value, dict):
        if value.get("type") in (kinds or ("plain_text", "mrkdwn")):
            yield str(value.get("text"))
        for inner in value.values():
            yield from texts(inner, *kinds)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, *kinds)


def mentions(*said: str) -> list[str]:
    """Whom these texts would ping, in any way that Slack's settings allow: each with the words about it.

    An address within a link is no text.
    """
    shown = [_ADDRESS.sub("<", one) for one in said]
    return [one[max(found.start() - 30, 0) : found.end() + 30] for one in shown for found in _MENTIONS.finditer(one)]


# --- the parts

Check = Callable[[Any, str], None]


def _see(holds: bool, problem: str) -> None:
    if not holds:
        raise InvalidBlocks(problem)


def _listed(value: Any, at: str, least: int, most: int) -> list[Any]:
    _see(isinstance(value, list), f"{at}: no list")
    _see(least <= len(value) <= most, f"{at}: {len(value)} items, {least} to {most} are allowed")
    found: list[Any] = value
    return found


def _string(most: int, shape: str = ".+") -> Check:
    def check(value: Any, at: str) -> None:
        _see(isinstance(value, str), f"{at}: no string")
        _see(1 <= len(value) <= most, f"{at}: {len(value)} characters, 1 to {most} are allowed")
        _see(re.fullmatch(shape, value, re.DOTALL) is not None, f"{at}: {value[:100]!r}")

    return check


def _flag(value: Any, at: str) -> None:
    _see(isinstance(value, bool), f"{at}: neither true nor false")


def _text(most: int, *kinds: str) -> Check:
    def check(value: Any, at: str) -> None:
        _see(isinstance(value, dict) and value.get("type") in kinds, f"{at}: no {' or '.join(kinds)}")
        more: dict[str, Check] = {"emoji": _flag} if value["type"] == "plain_text" else {"verbatim": _flag}
        _fields(value, at, {"text": _string(most)}, more)

    return check


def _list_of(check_one: Check, least: int, most: int) -> Check:
    def check(value: Any, at: str) -> None:
        for index, one in enumerate(_listed(value, at, least, most)):
            check_one(one, f"{at}[{index}]")

    return check


def _fields(value: Mapping[str, Any], at: str, required: Mapping[str, Check], optional: Mapping[str, Check]) -> None:
    known = {**required, **optional}
    for name in value:
        _see(name == "type" or name in known, f"{at}: unknown field {name}")
    for name in required:
        _see(name in value, f"{at}: {name} is missing")
    for name, check in known.items():
        if name in value:
            check(value[name], f"{at}.{name}")


def _one_of(value: Any, at: str, kinds: Mapping[str, Check]) -> None:
    _see(isinstance(value, dict), f"{at}: no object")
    kind = value.get("type")
    _see(kind in kinds, f"{at}: type {kind!r}")
    kinds[str(kind)](value, at)


_ID = _string(255)
_WEB = _string(3000, r"https?://\S+")
_EITHER = ("plain_text", "mrkdwn")
_BUTTON: tuple[dict[str, Check], dict[str, Check]] = (
    {"text": _text(75, "plain_text")},
    {
        "action_id": _ID,
        "url": _WEB,
        "value": _string(2000),
        "style": _string(10, "primary|danger"),
        "accessibility_label": _string(75),
    },
)


def _button(value: Any, at: str) -> None:
    _fields(value, at, *_BUTTON)


def _image(value: Any, at: str) -> None:
    _fields(
        value, at, {"image_url": _WEB, "alt_text": _string(2000)}, {"block_id": _ID, "title": _text(2000, "plain_text")}
    )


def _header(value: Any, at: str) -> None:
    _fields(value, at, {"text": _text(150, "plain_text")}, {"block_id": _ID})


def _section(value: Any, at: str) -> None:
    _see("text" in value or "fields" in value, f"{at}: neither text nor fields")
    fields = _list_of(_text(2000, *_EITHER), 1, 10)
    optional: dict[str, Check] = {"text": _text(3000, *_EITHER), "fields": fields, "block_id": _ID, "expand": _flag}
    _fields(value, at, {}, {**optional, "accessory": lambda found, where: _one_of(found, where, _ACCESSORIES)})


def _actions(value: Any, at: str) -> None:
    buttons = _list_of(lambda found, where: _one_of(found, where, {"button": _button}), 1, 25)
    _fields(value, at, {"elements": buttons}, {"block_id": _ID})
    ids = [button["action_id"] for button in value["elements"] if "action_id" in button]
    _see(len(ids) == len(set(ids)), f"{at}: action_id twice")


def _context(value: Any, at: str) -> None:
    def element(found: Any, where: str) -> None:
        if isinstance(found, dict) and found.get("type") == "image":
            _image(found, where)
        else:
            _text(3000, *_EITHER)(found, where)

    _fields(value, at, {"elements": _list_of(element, 1, 10)}, {"block_id": _ID})


def _divider(value: Any, at: str) -> None:
    _fields(value, at, {}, {"block_id": _ID})


_ACCESSORIES: Mapping[str, Check] = {"button": _button, "image": _image}
BLOCKS: Mapping[str, Check] = {
    "header": _header,
    "section": _section,
    "actions": _actions,
    "context": _context,
    "divider": _divider,
    "image": _image,
}
