"""When a sender is taken for dead. Pure.

Replicas never compare their clocks: each looks how long, by its own steady clock, a lease has stood unchanged. A sender
that lives renews its lease, so one that stands still for LEASE_SECONDS has lost its sender, whatever time it names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0
LOOK_SECONDS = 5.0
"""How often the leases are looked at."""


@dataclass(frozen=True)
class Lease:
    """Who sends a row, and until when it says so, in seconds since its own epoch. Every renewal is another value."""

    row: int
    owner: str | None
    until: float | None


def observe(seen: Mapping[Lease, float], found: Iterable[Lease], at: float) -> tuple[dict[Lease, float], list[Lease]]:
    """The leases there are with when each was first seen, and those of them whose sender is dead.

    `seen` is what the last look returned; `at` is the present time in seconds of a clock that nobody sets.
    """
    known = {lease: seen.get(lease, at) for lease in found}
    return known, [lease for lease, since in known.items() if at - since >= LEASE_SECONDS]
