"""Polls as timelines: what is held here, what each Alertmanager holds, and what has vanished after the last poll."""

import pytest

from receiver.alerts import AlertEvent
from receiver.upkeep.reconcile import Held, Missing, vanished
from toolkit.alertmanager import HeldAlert, Holdings


def held(*names: str, heard_at: float = 0) -> list[Held]:
    return [Held(AlertEvent(name, "firing", 0, None, {}, {}, ""), heard_at) for name in names]


def holds(*names: str, up_since: float = -10_000) -> Holdings:
    return Holdings(up_since, tuple(HeldAlert(name, 0, {}) for name in names))


Poll = tuple[float, list[Holdings | None]]
TIMELINES: list[tuple[str, list[Held], list[Poll], set[str]]] = [
    ("what is held is alive", held("a"), [(0, [holds("a")]), (400, [holds("a")])], set()),
    ("gone for five minutes has ended", held("a"), [(0, [holds()]), (60, [holds()]), (300, [holds()])], {"a"}),
    ("gone for less may be on its way", held("a"), [(0, [holds()]), (240, [holds()])], set()),
    ("gone and back is alive, and is counted anew", held("a"), [(0, [holds()]), (200, [holds("a")]), (400, [holds()])], set()),
    ("only what is gone ends", held("a", "b"), [(0, [holds("b")]), (300, [holds("b")])], {"a"}),
    ("one that was just heard of may not be there yet", held("a", heard_at=200), [(0, [holds()]), (400, [holds()])], set()),
    ("... and has ended when it never comes", held("a", heard_at=200), [(0, [holds()]), (500, [holds()])], {"a"}),
    ("an Alertmanager that can't be reached freezes", held("a"), [(0, [holds()]), (300, [None])], set()),
    ("... and what was counted before counts no more", held("a"), [(0, [holds()]), (200, [None]), (400, [holds()])], set()),
    ("one of two that can't be reached freezes", held("a"), [(0, [holds(), None]), (300, [holds(), None])], set()),
    ("one of two that holds it is enough", held("a"), [(0, [holds(), holds("a")]), (300, [holds(), holds("a")])], set()),
    ("gone from both has ended", held("a"), [(0, [holds(), holds()]), (300, [holds(), holds()])], {"a"}),
    ("one that has just started has not heard everything again", held("a"), [(0, [holds(up_since=-10)]), (280, [holds(up_since=-10)])], set()),
    ("... and later it has", held("a"), [(300, [holds(up_since=-10)]), (600, [holds(up_since=-10)])], {"a"}),
    ("without an Alertmanager to ask nothing vanishes", held("a"), [(0, []), (9999, [])], set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("here", "polls", "expected"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES]
)
def test_what_vanished_has_ended(here: list[Held], polls: list[Poll], expected: set[str]) -> None:
    missing, ends, now = Missing(), list[AlertEvent](), 0.0
    for now, polled in polls:
        ends, missing = vanished(here, polled, missing, now)
    assert {end.fingerprint for end in ends} == expected
    assert all((end.status, end.ends_at, end.origin) == ("resolved", now, "reconciled") for end in ends)
