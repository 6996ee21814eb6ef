"""Whether it is us: unrelated vendors that stop at once are one broken way out, not as many broken vendors. Pure."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from exporter.config import Provider
from exporter.providers.history import State
from exporter.providers.kinds import Certainty

LEAST_HOSTS = 3
AT_ONCE_SECONDS = 600.0
SHARE = 0.5
_UNTOLD = frozenset({Certainty.STATUS, Certainty.HISTORY})


def suspected(watched: Iterable[tuple[Provider, State]]) -> bool:
    """Whether our own egress is the likeliest cause: at least LEAST_HOSTS hosts, and at least SHARE of those that ever
    answered well, began to fail within AT_ONCE_SECONDS of each other, and none of them says why."""
    good_once = [(_host(provider), state) for provider, state in watched if state.last_success is not None]
    failing = {host: state.failing_since for host, state in good_once if _fails_without_a_word(state)}
    hosts = {host for host, _ in good_once}
    if len(failing) < LEAST_HOSTS or len(failing) < SHARE * len(hosts):
        return False
    began = sorted(since for since in failing.values() if since is not None)
    return began[-1] - began[0] <= AT_ONCE_SECONDS


def _fails_without_a_word(state: State) -> bool:
    return state.failing_since is not None and state.certainty in _UNTOLD


def _host(provider: Provider) -> str:
    return urlsplit(provider.url).hostname or provider.name
