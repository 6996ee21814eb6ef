"""Sinks that fold messages into one by a key: trigger, repeat and resolve of an incident are one alert there. Pure."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

_DEDUP = {"dedup": "{key}", "action": "map"}
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "pagerduty": _DEDUP,
    "opsgenie": {"alias": "{key}"},
    "goalert": _DEDUP,
    "goalerts": _DEDUP,
    "ilert": _DEDUP,
    "incidentio": _DEDUP,
    "firehydrant": _DEDUP,
    "squadcast": _DEDUP,
}
"""By the scheme of the Apprise URL: the parameters that give it the key, and that make a resolve of a success."""

EDITS = frozenset({"slackbot"})
"""The schemes of sinks that edit the message they were sent."""


def folds(url: str) -> bool:
    """Whether the sink at this Apprise URL makes one of a message and its repeat."""
    return scheme(url) in PARAMETERS


def shows_acknowledgement(url: str) -> bool:
    """Whether the sink at this Apprise URL shows who has an incident where its message stands. Any other would get one
    message more."""
    return folds(url) or scheme(url) in EDITS


def with_key(url: str, key: str) -> str:
    """The Apprise URL with `key` where its sink takes one; a parameter that stands there already stays as it is."""
    return with_parameters(
        url, {name: value.format(key=key) for name, value in PARAMETERS.get(scheme(url), {}).items()}
    )


def with_parameters(url: str, added: Mapping[str, str]) -> str:
    """The Apprise URL with these parameters; one that stands there already stays as it is."""
    _, question, query = url.partition("?")
    more = urlencode({name: value for name, value in added.items() if name not in parameters(url)})
    if not more:
        return url
    return f"{url}{'' if not question else '&' if query else ''}{'' if question else '?'}{more}"


def parameters(url: str) -> dict[str, str]:
    """What stands behind the question mark of an Apprise URL, the names in small letters."""
    return {name.lower(): value for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True)}


def scheme(url: str) -> str:
    """`slack` of `slack://...`."""
    return url.partition("://")[0].lower()
