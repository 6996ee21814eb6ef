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
    return _scheme(url) in PARAMETERS


def shows_acknowledgement(url: str) -> bool:
    """Whether the sink at this Apprise URL shows who has an incident where its message stands. Any other would get one
    message more."""
    return folds(url) or _scheme(url) in EDITS


def with_key(url: str, key: str) -> str:
    """The Apprise URL with `key` where its sink takes one; a parameter that stands there already stays as it is."""
    known = PARAMETERS.get(_scheme(url))
    if known is None:
        return url
    _, question, query = url.partition("?")
    given = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
    added = urlencode({name: value.format(key=key) for name, value in known.items() if name not in given})
    if not added:
        return url
    return f"{url}{'' if not question else '&' if query else ''}{'' if question else '?'}{added}"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()
