"""What became of the observations, counted."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """Where an observation ended. The value is the name of its field in `Statistics`."""

    SAMPLED_OUT = "sampled_out"
    RATE_LIMITED = "rate_limited"
    UNUSABLE = "unusable"
    DROPPED = "dropped"
    EXPIRED = "expired"
    REFUSED = "refused"
    DELIVERED = "delivered"


@dataclass(frozen=True)
class Statistics:
    """Counts since the start of the process (or of the forked child).

    `observed` is the sum of all the others but `failed_posts`.
    """

    observed: int
    """Calls of listed hosts, and observations by hand."""
    sampled_out: int
    """Successes so soon after another one that they say nothing new."""
    rate_limited: int
    """Refusals beyond the rate."""
    unusable: int
    """No observation could be made: wrong arguments, or a mistake of this library."""
    dropped: int
    """Pushed out by newer ones because too many were waiting, or left behind by `close`."""
    expired: int
    """Waited so long for the exporter that they had become untrue."""
    refused: int
    """The exporter answered 3xx or 4xx (a wrong URL or token), or rejected them (a provider that it doesn't know)."""
    delivered: int
    """The exporter took them."""
    waiting: int
    """Queued, or on their way."""
    failed_posts: int
    """Attempts that the exporter did not answer, or answered with 5xx. Their observations are tried again."""


class Tally:
    """Counts, from any thread."""

    def __init__(self) -> None:
        # re-entrant: a signal handler may observe while its own thread counts. One of the two counts may be lost then,
        # which is better than a deadlock
        self._lock = threading.RLock()
        self._fates: Counter[Fate] = Counter()
        self._observed = self._failed_posts = 0

    def observed(self) -> None:
        """One call or one observation by hand has come in."""
        with self._lock:
            self._observed += 1

    def ended(self, fate: Fate, count: int = 1) -> None:
        """`count` observations ended like this."""
        with self._lock:
            self._fates[fate] += count

    def post_failed(self) -> None:
        """An attempt to send was in vain."""
        with self._lock:
            self._failed_posts += 1

    def statistics(self, waiting: int) -> Statistics:
        """The counts as a value; `waiting` is how many have not ended yet."""
        with self._lock:
            fates = {fate.value: self._fates[fate] for fate in Fate}
            return Statistics(observed=self._observed, waiting=waiting, failed_posts=self._failed_posts, **fates)
