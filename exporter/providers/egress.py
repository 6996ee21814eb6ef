"""Whether it is us: unrelated vendors that stop at once are one broken way out, not as many broken vendors. Pure."""

from bisect import bisect_right
from collections.abc import Iterable
from urllib.parse import urlsplit

from exporter.config import Provider
from exporter.providers.history import PROBE, State
from exporter.providers.kinds import Certainty

LEAST_HOSTS = 3
AT_ONCE_SECONDS = 600.0
SHARE = 0.5
_UNTOLD = frozenset({Certainty.STATUS, Certainty.HISTORY})


def suspected(watched: Iterable[tuple[Provider, State]]) -> bool:
    """Whether our own egress is the likeliest cause: at least LEAST_HOSTS hosts, and at least SHARE of those that ever
    answered well, began to fail within AT_ONCE_SECONDS of each other, and none of them says why. One that has failed
    for longer is not counted. Only our own probes tell of our own way out: a program elsewhere may have lost its."""
    good_once = [(_host(provider), state) for provider, state in watched if state.last_success is not None]
    failing = {host: state.failing_since for host, state in good_once if _fails_without_a_word(state)}
    hosts = {host for host, _ in good_once}
    began = sorted(since for since in failing.values() if since is not None)
    at_once = max(
        (bisect_right(began, first + AT_ONCE_SECONDS) - number for number, first in enumerate(began)), default=0
    )
    return at_once >= max(LEAST_HOSTS, SHARE * len(hosts))


def _fails_without_a_word(state: State) -> bool:
    return state.failing_since is not None and state.certainty in _UNTOLD and state.source == PROBE


def _host(provider: Provider) -> str:
    return urlsplit(provider.url).hostname or provider.name
