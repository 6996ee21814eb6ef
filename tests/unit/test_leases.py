"""When a sender is taken for dead: a timeline of looks at the leases there are."""

import pytest

from receiver.delivery.leases import LEASE_SECONDS, Lease, observe

A, B = Lease(1, "a", 1030.0), Lease(1, "a", 1040.0)
OTHER = Lease(2, "b", -86400.0)

TIMELINES: list[tuple[str, list[tuple[float, list[Lease]]], list[Lease]]] = [
    ("one just seen is alive, whatever time it names", [(0, [OTHER])], []),
    ("one that stands still is dead", [(0, [A]), (LEASE_SECONDS, [A])], [A]),
    ("not a moment earlier", [(0, [A]), (LEASE_SECONDS - 0.1, [A])], []),
    ("a renewal is a sign of life", [(0, [A]), (20, [B]), (LEASE_SECONDS, [B])], []),
    ("a renewal by a clock set back is one too", [(0, [B]), (20, [A]), (LEASE_SECONDS, [A])], []),
    ("one that ended is forgotten", [(0, [A]), (10, []), (LEASE_SECONDS, [A])], []),
    ("one that is renewed no more is dead in the end", [(0, [A]), (20, [B]), (20 + LEASE_SECONDS, [B])], [B]),
    ("each is watched alone", [(0, [A, OTHER]), (20, [B, OTHER]), (LEASE_SECONDS, [B, OTHER])], [OTHER]),
]


@pytest.mark.parametrize(("looks", "dead"), [one[1:] for one in TIMELINES], ids=[one[0] for one in TIMELINES])
def test_who_is_taken_for_dead(looks: list[tuple[float, list[Lease]]], dead: list[Lease]) -> None:
    seen: dict[Lease, float] = {}
    found: list[Lease] = []
    for at, leases in looks:
        seen, found = observe(seen, leases, at)
    assert found == dead
