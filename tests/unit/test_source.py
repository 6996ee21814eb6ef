"""When a resolve is no evidence: the Watchdog as timelines."""

import pytest

from receiver.alerts import Notification
from receiver.upkeep.reconcile import last_heard, left_out
from receiver.upkeep.source import Heard, is_silent
from toolkit.alertmanager import HeldAlert, Holdings

NOW = 10_000.0
CASES = [
    ("nobody ever heard of a Watchdog", None, None, None, False),
    ("it was told a minute ago", NOW - 60, None, None, False),
    ("it has not been told for four minutes", NOW - 240, None, None, True),
    ("it was told a minute ago, and then its end", NOW - 60, NOW - 30, None, True),
    ("it ended, and is back", NOW - 60, NOW - 300, None, False),
    ("Alertmanager heard of it a minute ago, whatever was told", NOW - 900, NOW - 30, Heard(NOW - 60, 240), False),
    (
        "Alertmanager has not heard of it for four minutes, whatever was told",
        NOW - 10,
        None,
        Heard(NOW - 240, 240),
        True,
    ),
    ("... where rules are evaluated every five minutes", NOW - 10, None, Heard(NOW - 600, 1200), False),
    ("... and has not for fifteen", NOW - 10, None, Heard(NOW - 901, 1200), True),
]


@pytest.mark.parametrize(("told", "ended", "held", "silent"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_source_is_silent(told: float | None, ended: float | None, held: Heard | None, silent: bool) -> None:
    assert is_silent(NOW, told, ended, held) == silent


def holds(*alerts: HeldAlert, up_since: float = 0.0) -> Holdings:
    return Holdings(up_since, alerts)


def watchdog(updated_at: float) -> HeldAlert:
    return HeldAlert("w", 0, {"alertname": "Watchdog"}, updated_at=updated_at, ends_at=updated_at + 240)


HEARD: list[tuple[str, list[Holdings | None], float | None, float | None]] = [
    ("the later of two", [holds(watchdog(50)), holds(watchdog(70))], None, 70),
    ("one that forgot it remembers by the last poll", [holds()], 50, 50),
    ("one that can't be reached can't say", [None], 50, None),
    ("one of two is enough", [None, holds(watchdog(70))], 50, 70),
    ("one that has just started can't say", [holds(up_since=NOW - 10)], 50, None),
    ("one that never heard of it", [holds()], None, None),
]


@pytest.mark.parametrize(("polled", "before", "heard"), [row[1:] for row in HEARD], ids=[row[0] for row in HEARD])
def test_when_alertmanager_last_heard_of_the_watchdog(
    polled: list[Holdings | None], before: float | None, heard: float | None
) -> None:
    found = last_heard(
        polled,
        lambda labels: labels.get("alertname") == "Watchdog",
        Heard(before, 240) if before is not None else None,
        NOW,
    )
    assert found == (Heard(heard, 240) if heard is not None else None)


def test_what_a_webhook_left_out_is_what_its_group_holds_and_was_meant_for_us() -> None:
    def held(name: str, receiver: str = "tocsin", active: bool = True, **labels: str) -> HeldAlert:
        return HeldAlert(
            name, 5, {"alertname": "A", **labels}, {"summary": "s"}, "http://g", active=active, receivers=(receiver,)
        )

    group = Notification((), 2, "http://am", "tocsin", {"alertname": "A", "service": ""})
    polled = [
        holds(held("mine"), held("silenced", active=False), held("other's", "pager"), held("elsewhere", service="x")),
        holds(held("mine"), held("too")),
        None,
    ]
    found = left_out(group, polled)
    assert [(one.fingerprint, one.status, one.origin) for one in found] == [
        ("mine", "firing", "filled_in"),
        ("too", "firing", "filled_in"),
    ]
