"""How much an observer keeps, sends and waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of one observer; times are in seconds."""

    success_interval: float = 5.0
    """At most one success per provider and operation in this time: the next one says nothing new."""
    refusals_per_second: float = 5.0
    """For each provider; four seconds' worth may come at once."""
    waiting: int = 1000
    """Observations kept until the exporter takes them; beyond that the oldest is dropped."""
    batch: int = 50
    linger: float = 0.5
    """How long the first observation of a batch waits for others."""
    longest_wait: float = 120.0
    """An observation says how a vendor answers now; older than this it would tell of the past as of the present."""
    post_timeout: float = 5.0
    first_pause: float = 1.0
    longest_pause: float = 30.0
    exit_timeout: float = 1.0
    """How long the end of the program may wait for what is not sent yet."""
