"""Which channel writes a message, by the scheme of the Apprise URL. Pure."""

from collections.abc import Callable, Mapping

from receiver.message import Message
from receiver.notifiers.channels import (
    discord,
    fields,
    mail,
    ntfy,
    pager,
    slack,
    sms,
    teams,
    telegram,
    text,
    voice,
)
from receiver.notifiers.folding import folds, parameters, scheme
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Say, Words, words

Render = Callable[[Message, Words], Rendered]

CHANNELS: Mapping[str, Render] = {
    "text": lambda _, said: text.render(said),
    "slack": slack.render,
    "teams": teams.render,
    "discord": discord.render,
    "telegram": telegram.render,
    "mail": mail.render,
    "pagerduty": pager.pagerduty,
    "opsgenie": pager.opsgenie,
    "goalert": pager.goalert,
    "sms": lambda _, said: sms.render(said),
    "voice": voice.render,
    "ntfy": ntfy.render,
    "json": fields.render,
}
"""By the name that `preview --channel` takes."""
_SCHEMES = {
    "slack": "slack",
    "workflow": "teams",
    "workflows": "teams",
    "discord": "discord",
    "tgram": "telegram",
    "mailto": "mail",
    "mailtos": "mail",
    "pagerduty": "pagerduty",
    "opsgenie": "opsgenie",
    "goalert": "goalert",
    "goalerts": "goalert",
    "ntfy": "ntfy",
    "ntfys": "ntfy",
    "json": "json",
    "jsons": "json",
}
_CALLS = {"twilio": "method"}
"""Services that call as well as they send SMS, with the parameter of the URL that says which."""


def channel(url: str, service_limit: int) -> str:
    """The name of the channel behind an Apprise URL. `service_limit`: characters that its service takes as a body."""
    found = _SCHEMES.get(scheme(url))
    if found is not None:
        return found
    chosen = parameters(url).get(_CALLS.get(scheme(url), ""), "")
    if chosen.lower().startswith("c"):
        return "voice"
    return "sms" if service_limit <= sms.SERVICE_LIMIT else "text"


def render(message: Message, url: str, service_limit: int, may_repeat: bool = False, say: Say = words) -> Rendered:
    """The message as the service behind `url` takes it. `may_repeat`: an earlier copy may have arrived, and the title
    says so, but where the service folds it into the first."""
    # a sink that folds a repeat into the first shows it to nobody
    said = say(message, may_repeat and not folds(url))
    name = channel(url, service_limit)
    if name == "text":
        return text.render(said, min(service_limit, text.BODY_LIMIT))
    return CHANNELS[name](message, said)
