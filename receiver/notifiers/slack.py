"""A Slack bot: an incident is one message in a channel, edited as it goes on, with a thread of what happened.

`slackbot://TOKEN/CHANNEL_ID`. Apprise's own plugin can neither edit nor begin a thread, and phones show nothing of its
blocks. This one is given the whole message, and where the incident's stands already.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from apprise.manager_plugins import NotificationManager
from apprise.plugins import NotifyBase

from receiver.delivery.outbox import Receipt, Result
from receiver.message import Message
from receiver.notifiers.answers import may_have_arrived
from receiver.notifiers.slack_api import Pace, Refused, Slack
from receiver.notifiers.slack_story import Contents, Story
from receiver.notifiers.words import Say, words
from toolkit.configfile import nearest
from toolkit.redaction import Redactor, printable

__all__ = ["RATE", "Pace", "install", "is_for", "takes_presses", "telling", "url_problem"]

SCHEME = "slackbot"
API = "https://slack.com/api"
RATE = 1.0
"""Messages a second that Slack takes in a channel."""
_TOKEN = re.compile(r"xox[bp]-[A-Za-z0-9-]{8,200}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,30}")
_SWITCH = {"yes": True, "no": False}


@dataclass(frozen=True)
class Address:
    """Where to: what a `slackbot://` URL says. `broadcast`: whether the channel hears of the end, or the thread alone.
    `buttons`: whether Acknowledge and Silence report to us, or open a page."""

    token: str = field(repr=False)
    channel: str
    api: str = API
    broadcast: bool = True
    buttons: bool = False

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Raises ValueError in words that show nothing of the URL."""
        split = urlsplit(url)
        token, channel = unquote(split.netloc), unquote(split.path.strip("/"))
        if not _TOKEN.fullmatch(token):
            raise ValueError("a slackbot:// URL begins with the app's token: slackbot://xoxb-.../C0123ABCD")
        if not _CHANNEL.fullmatch(channel):
            raise ValueError("a slackbot:// URL ends with the channel's id, like C0123ABCD, not with its name")
        given = dict(parse_qsl(split.query, keep_blank_values=True))
        for name in given:
            if name not in ("api", "broadcast", "buttons"):
                shown = name if name.isalpha() and len(name) < 20 else "that"
                hint = nearest(name, ("api", "broadcast", "buttons")) if shown == name else ""
                raise ValueError(f"slackbot:// has no parameter '{shown}'{hint}")
        return cls(token, channel, _api(given), _switch(given, "broadcast", True), _switch(given, "buttons", False))


def _api(given: Mapping[str, str]) -> str:
    api = given.get("api", API)
    if not api.startswith(("https://", "http://")):
        raise ValueError("api is an http:// or https:// address")
    return api


def _switch(given: Mapping[str, str], name: str, usual: bool) -> bool:
    if name not in given:
        return usual
    if given[name] not in _SWITCH:
        raise ValueError(f"{name} is yes or no")
    return _SWITCH[given[name]]


class SlackBot(NotifyBase):
    """The plugin, as Apprise knows it."""

    # Apprise's base says None of all of these, and that is no type to override
    service_name: Any = "Slack bot"
    service_url: Any = "https://api.slack.com/"
    secure_protocol: Any = SCHEME
    templates: Any = ("{schema}://{token}/{channel}",)
    template_tokens: Any = {
        **NotifyBase.template_tokens,
        "token": {"name": "Token", "type": "string", "private": True, "required": True},
        "channel": {"name": "Channel id", "type": "string", "required": True},
    }

    def __init__(self, address: Address, **kwargs: Any) -> None:
        """`address` comes from `parse_url`."""
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # Apprise's
        self.address = address

    @staticmethod
    def parse_url(url: str, **_: Any) -> dict[str, Any] | None:  # type: ignore[override]  # its base has flags that mean nothing here
        """What `__init__` is called with; None when the URL is not usable."""
        try:
            return {"schema": SCHEME, "address": Address.parse(url)}
        except ValueError:
            return None

    def tell(
        self, message: Message, contents: Contents, may_repeat: bool, place: str, timeout: float, pace: Pace
    ) -> Receipt:
        """One attempt; it blocks, for `timeout` seconds at each wait on the network. `place` is `CHANNEL:TIMESTAMP`, or
        "". Apprise's own way, `notify`, knows of none."""
        at = self.address
        with requests.Session() as session:
            slack = Slack(session, at.api, at.token, at.channel, timeout, pace)
            story = Story(slack, message, contents, may_repeat, _root(place, at.channel))
            try:
                receipt = Receipt("sent", story.tell(at.broadcast), 200)
            except Refused as refused:
                result: Result = "unknown" if story.begun or refused.may_have_arrived else "failed"
                receipt = Receipt(result, str(refused), refused.status, refused.retry_after)
            except requests.RequestException as error:
                result = "unknown" if story.begun or may_have_arrived(error) else "failed"
                receipt = Receipt(result, f"no answer ({type(error).__name__})")
        redact = Redactor({at.token})
        # a message of several incidents is no single one's, and none of them may take its place
        place = f"{at.channel}:{story.root}" if story.root and message.incident else ""
        return replace(receipt, detail=printable(redact(receipt.detail)), place=place)


def _root(place: str, channel: str) -> str:
    """The message's timestamp; "" when it stands in another channel, which the URL named before."""
    stands_in, _, ts = place.partition(":")
    return ts if stands_in == channel else ""


def telling(
    url: str, message: Message, may_repeat: bool, place: str, timeout: float, pace: Pace, say: Say = words
) -> Callable[[], Receipt]:
    """What tells `message` once it is called, in a thread; see `SlackBot.tell`."""
    try:
        bot = SlackBot(Address.parse(url))
    except ValueError as error:
        return functools.partial(Receipt, "failed", str(error))
    contents = Contents.of(message, may_repeat, bot.address.buttons, say)
    return functools.partial(bot.tell, message, contents, may_repeat, place, timeout, pace)


def install() -> None:
    """Makes Apprise know the scheme, for this process."""
    NotificationManager().add(SlackBot, force=True)


def is_for(url: str) -> bool:
    """Whether this URL is a Slack bot's."""
    return url.partition("://")[0].lower() == SCHEME


def url_problem(url: str) -> str | None:
    """Why `url` can't be used, in words that don't show it; None when it can."""
    try:
        Address.parse(url)
    except ValueError as error:
        return str(error)
    return None


def takes_presses(url: str) -> bool:
    """Whether buttons of this URL's messages report to us."""
    return is_for(url) and url_problem(url) is None and Address.parse(url).buttons
