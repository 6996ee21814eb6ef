"""An incident told in one channel of Slack: one message that is edited as it goes on, with a thread of what happened.

What is written carries the incident's key and revision as metadata. So whatever an attempt has done before it was cut
off is found again by the next one, and edited rather than written twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from receiver.message import Message
from receiver.notifiers.blocks import Block, blocks, details
from receiver.notifiers.escape import fitted, mrkdwn
from receiver.notifiers.slack_api import Content, Posted, Refused, Slack
from receiver.notifiers.words import Say, clean, is_link, words

T = TypeVar("T")
_MARGIN_SECONDS = 3600.0
"""How much earlier than the trouble began its message is looked for: clocks differ."""
_TEXT_LIMIT = 3000
_ALL_BLOCKS_LIMIT = 10_000
"""Slack refuses some 12,000 characters and more, all blocks together; its developers say so, its documents do not."""
_QUIET = frozenset({"opened", "cause_found", "acknowledged", "noted", "snoozed", "silenced", "reclassified"})
"""What stands in the thread alone. Of anything else the channel is told as well, for an edit notifies nobody."""
_HAPPENED: Mapping[str, str] = {
    "severity_rose": "The severity rose",
    "cause_found": "The probable cause was found",
    "storm_grew": "The storm has grown",
    "fired_again": "It fires anew",
    "reopened": "It fires again",
    "assigned": "It was handed over",
    "noted": "Somebody has left a note",
    "snoozed": "It was put off",
    "silenced": "It was silenced",
    "reclassified": "It was classed anew",
    "escalated": "Nobody has acknowledged it",
    "reminder": "It is still open",
}
_UNSHOWABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_UNEDITABLE = frozenset({"cant_update_message", "edit_window_closed"})


@dataclass(frozen=True)
class Contents:
    """All that may be written for one message: made before anything is, so that no defect cuts off what has begun.

    `fresh` is posted where nothing stands yet, and `details` into its thread; `edited` takes the place of what stands,
    and `happened` goes into its thread. None: there is nothing to say.
    """

    fresh: Content
    details: Content | None
    edited: Content
    happened: Content | None

    @classmethod
    def of(cls, message: Message, may_repeat: bool, buttons: bool, say: Say = words) -> "Contents":
        """`buttons`: whether Acknowledge and Silence report to us, or open a page. `say`: what puts it into words."""
        said = say(message, False)
        fresh, edited = blocks(message, may_repeat, say(message, may_repeat)), blocks(message, said=said)
        if not buttons or not message.incident:
            fresh, edited = _with_links(fresh, message), _with_links(edited, message)
        return cls(_bounded(fresh), _bounded(details(message, said)), _bounded(edited), _bounded(_happened(message)))


class Story:
    """One attempt to tell one message."""

    def __init__(self, slack: Slack, message: Message, contents: Contents, may_repeat: bool, root: str) -> None:
        """`root`: the timestamp of the incident's message, "" where it is not known."""
        self._slack, self._message, self._contents, self._may_repeat = slack, message, contents, may_repeat
        self.root, self.begun = root, False
        """`begun`: whether this attempt has changed anything there."""

    def tell(self, broadcast: bool) -> str:
        """Returns what was done, in words. `broadcast`: whether the channel is told aloud of the end. Raises Refused,
        or what requests raises; `root` and `begun` say how far it came."""
        found = "" if self.root else self._find()
        self.root = self.root or found
        if not self.root or not (edited := self._edit()):
            return self._post()
        if not (self._may_repeat or found) or not self._is_in_thread():
            aloud = _is_loud(self._message, broadcast) or not self.begun
            edited += self._reply(self._contents.happened, aloud)
        return f"found again, and {edited}" if found else edited

    def _find(self) -> str:
        """The incident's message, where one may stand there that we don't know of."""
        message = self._message
        if not self._may_repeat and (message.revision == 1 or not message.incident):
            return ""
        # what came back is older than it says
        since = 0.0 if message.reopened else message.since - _MARGIN_SECONDS
        try:
            return next((one.ts for one in self._ours(self._slack.in_channel(since)) if not one.thread), "")
        except Refused as refused:
            if refused.lasting:
                return ""  # rather told twice than not at all
            raise

    def _is_in_thread(self) -> bool:
        found = self._ours(self._slack.in_thread(self.root))
        try:
            return any(one.revision == self._message.revision for one in found)
        except Refused as refused:
            if refused.lasting:
                return False
            raise

    def _ours(self, found: Iterable[Posted]) -> Iterable[Posted]:
        return (one for one in found if one.key == self._message.key)

    # --- writing

    def _post(self) -> str:
        self.root = self._shown(self._contents.fresh, lambda shown: self._slack.post(self._message, shown))
        self.begun = True
        return "posted" + self._reply(self._contents.details, aloud=False)

    def _edit(self) -> str:
        """Puts the message in the place of what stands there; "" when nothing stands there any more."""
        try:
            self._shown(self._contents.edited, lambda shown: self._slack.edit(self._message, shown, self.root))
        except Refused as refused:
            if refused.reason == "message_not_found":
                self.root = ""
                return ""
            if refused.reason not in _UNEDITABLE:
                raise
            return f"not edited ({refused})"
        self.begun = True
        return "edited"

    def _reply(self, content: Content | None, aloud: bool) -> str:
        """Writes into the thread, aloud into the channel as well; returns what went wrong, if anything did."""
        if content is None:
            return ""
        try:
            self._shown(content, lambda shown: self._slack.post(self._message, shown, self.root, aloud))
        except Refused as refused:
            if refused.lasting and self.begun:
                # the message stands, and trying again would not mend the thread
                return f"; its thread was refused: {refused}"
            raise
        self.begun = True
        return ""

    @staticmethod
    def _shown(content: Content, write: Callable[[Content], T]) -> T:
        """Writes it, without its blocks where Slack can't show them."""
        try:
            return write(content)
        except Refused as refused:
            if refused.reason not in _UNSHOWABLE:
                raise
            return write({"text": content["text"], "blocks": []})


def _is_loud(message: Message, broadcast: bool) -> bool:
    return broadcast if message.status == "resolved" else message.reason not in _QUIET


def _happened(message: Message) -> Content | None:
    """What the thread is told of a message that is already there."""
    said = words(message)
    facts = {fact.label: fact.text for fact in said.facts}
    if message.status == "resolved":
        ends = [said.lead, *(f"{label}: {facts[label]}" for label in ("Since", "Measured now") if label in facts)]
        return _paragraph([said.title, *ends])
    if message.reason == "opened" or not message.incident:
        return details(message)
    if message.reason == "acknowledged":
        return _paragraph([f"Acknowledged {facts.get('Acknowledged', '')}".rstrip()])
    return _paragraph([f"{_HAPPENED.get(message.reason, clean(message.reason))}: {said.title}"])


@overload
def _bounded(content: Content) -> Content: ...
@overload
def _bounded(content: None) -> None: ...
def _bounded(content: Content | None) -> Content | None:
    """The same without what is too much for one message; the last goes first, and buttons stay."""
    if content is None:
        return None
    kept, left = list[Block](), _ALL_BLOCKS_LIMIT
    for block in content["blocks"]:
        length = sum(map(len, _texts(block)))
        if length <= left or block["type"] == "actions":
            kept.append(block)
            left -= length
    return {**content, "blocks": kept}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a block."""
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _paragraph(lines: Iterable[str]) -> Content:
    text = fitted("\n".join(line for line in lines if line), _TEXT_LIMIT, mrkdwn)
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}]}


def _with_links(content: Content, message: Message) -> Content:
    """The same with buttons that open a page, for nobody takes the presses; without those that lead nowhere."""
    pages = {"acknowledge": message.acknowledge_url, "silence": message.silence_url}
    return {**content, "blocks": [found for block in content["blocks"] if (found := _linked(block, pages))]}


def _linked(block: Block, pages: Mapping[str, str]) -> Block | None:
    if block["type"] != "actions":
        return block
    linked = [_leading(button, pages) for button in block["elements"]]
    left = [button for button in linked if button is not None]
    return {**block, "elements": left} if left else None


def _leading(button: Block, pages: Mapping[str, str]) -> Block | None:
    action = button["action_id"]
    if action not in pages:
        return button
    if not is_link(pages[action]):
        return None
    return {**{key: value for key, value in button.items() if key != "value"}, "url": pages[action]}
