"""Which observations are worth sending.

Successes are the bulk, and one in five seconds proves as much as a thousand: that the vendor answers, and the account
is good. A refusal tells the cause, and each may tell another one, so they pass up to a rate.
"""

from __future__ import annotations

import threading

from tocsin_observe.limits import Limits
from tocsin_observe.tally import Fate

BURST_SECONDS = 4.0
MOST_KEYS = 256
"""Operations that are told apart at one time. A program that names operations by an id would else send everything."""


class Sampler:
    """Remembers what passed lately. Time is passed in, in seconds of any steady clock."""

    def __init__(self, limits: Limits) -> None:
        self._interval = limits.success_interval
        self._rate = limits.refusals_per_second
        self._passed: dict[tuple[str, str], float] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.RLock()

    def held_back(self, provider: str, operation: str, refusal: bool, now: float) -> Fate | None:
        """Why this observation is not sent; None when it is."""
        with self._lock:
            if refusal:
                return None if self._refusal_passes(provider, now) else Fate.RATE_LIMITED
            return None if self._success_passes((provider, operation), now) else Fate.SAMPLED_OUT

    def _success_passes(self, key: tuple[str, str], now: float) -> bool:
        last = self._passed.get(key)
        if last is not None and now - last < self._interval:
            return False
        if last is None and len(self._passed) >= MOST_KEYS:
            self._passed = {known: at for known, at in self._passed.items() if now - at < self._interval}
            if len(self._passed) >= MOST_KEYS:
                return False
        self._passed[key] = now
        return True

    def _refusal_passes(self, provider: str, now: float) -> bool:
        full = max(1.0, self._rate * BURST_SECONDS)
        if provider not in self._buckets and len(self._buckets) >= MOST_KEYS:
            return False
        tokens, since = self._buckets.get(provider, (full, now))
        tokens = min(full, tokens + (now - since) * self._rate)
        passes = tokens >= 1
        self._buckets[provider] = (tokens - passes, now)
        return passes
