"""Timelines of what is put off, merged or reopened while escalations run: who hears what, and when, each once."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from receiver.alerts import AlertEvent
from receiver.store import MIGRATIONS
from tests.support.escalating import EVENING, Replica, Sinks, Time, alert, config, new_metrics
from toolkit.storage import migrate, storage_url

MINUTE = 60.0
SERVICES = {
    "correlation": {"labels": ["service"], "window": "1h"},
    "services": {"z": {"depends_on": ["x", "y"]}, "x": {}, "y": {}},
}
COOLDOWN = {"routes": [{"targets": ["chat"], "cooldown": "30m"}]}
BY_TEAM = {"routes": [{"match": {"team": "platform"}, "targets": ["pager"]}, {"targets": ["chat"]}]}
WORK: dict[str, Any] = {
    "maintenance": [
        {"match": {"team": "platform"}, "from": "2026-11-20 22:00", "to": "2026-11-20 22:30", "reason": "work"}
    ]
}


class Line:
    """A receiver and its time."""

    def __init__(self, replica: Replica, time: Time, sinks: Sinks) -> None:
        self.replica, self._time, self.sinks = replica, time, sinks

    async def at(self, minute: float, *alerts: AlertEvent) -> None:
        """Lets the time pass until then, half a minute at a time; then these come in."""
        while self._time.passed < minute * MINUTE:
            await self.replica.tick()
            await self.replica.pipeline.retell()
            await self.replica.deliver()
            self._time.passed += MINUTE / 2
        await self.replica.hear(*alerts)
        await self.replica.deliver()


def fires(name: str, minute: float = 0, severity: str = "warning", **labels: str) -> AlertEvent:
    return alert("firing", name, EVENING + minute * MINUTE, severity=severity, **labels)


def ended(event: AlertEvent, minute: float) -> AlertEvent:
    at = EVENING + minute * MINUTE
    return AlertEvent(event.fingerprint, "resolved", event.starts_at, at, event.labels, event.annotations, "")


async def worse_while_put_off(line: Line) -> None:
    await line.at(0, fires("Old", team="x", service="shop"))
    await line.at(1, fires("New", 1, team="y", service="shop"))
    await line.at(2, fires("New2", 2, "critical", team="y", service="shop"))
    await line.at(45)


async def one_of_two_put_off(line: Line) -> None:
    await line.at(0, fires("Old", team="x", service="shop", go="chat"))
    await line.at(1, fires("New", 1, team="y", service="shop", go="both"))
    await line.at(45)


async def reopened_in_the_window(line: Line) -> None:
    down = fires("Down", severity="critical", team="night")
    await line.at(0, down)
    await line.at(2, ended(down, 2))
    await line.at(4, fires("Down", 4, "critical", team="night"))
    await line.at(50)


async def merged_into_what_somebody_has(line: Line) -> None:
    await line.at(0, fires("X", team="q", service="x"))
    await line.replica.desk.acknowledge(1, "cy")
    await line.at(1, fires("Y", 1, "critical", team="platform", service="y"))
    await line.at(2, fires("Z", 2, team="q", service="z"))
    await line.at(12)


async def merged_while_put_off(line: Line) -> None:
    await line.at(1, fires("X", 1, team="q", service="x"))
    await line.at(2, fires("Y", 2, team="platform", service="y"))
    await line.at(3, fires("Z", 3, team="q", service="z"))
    await line.at(60)


async def announced_and_told_by_its_escalation_alone(line: Line) -> None:
    await line.at(5, fires("A", 5, "critical", team="platform"))
    await line.at(33)


NIGHT = [{"match": {"team": "night"}, "from": "2026-11-20 22:03", "to": "2026-11-20 22:30", "reason": "work"}]
ROWS: list[tuple[str, dict[str, Any], Callable[[Line], Awaitable[None]], list[str]]] = [
    ("what was put off and became critical is told once", COOLDOWN, worse_while_put_off, ["0:00 chat opened", "2:00 chat severity_rose"]),
    ("who was told is not told again when the others' time comes", {"routes": [{"match": {"go": "chat"}, "targets": ["chat"], "cooldown": "30m"}, {"targets": ["chat", "pager"], "cooldown": "30m"}]}, one_of_two_put_off, ["0:00 chat opened", "1:00 pager opened", "30:00 chat still_fires"]),
    ("what opens again in a maintenance window is escalated at its end", {"maintenance": NIGHT}, reopened_in_the_window, ["0:00 chat opened", "0:00 bo-phone opened", "2:00 chat resolved", "2:00 bo-phone resolved", "30:00 chat still_fires", "30:00 bo-phone still_fires"]),
    ("somebody who has a warning does not have the critical one merged into it", SERVICES, merged_into_what_somebody_has, ["0:00 chat opened", "1:00 chat opened", "1:00 pager opened", "1:00 ana-phone opened", "2:00 chat severity_rose", "2:00 pager severity_rose", "6:00 bo-phone escalated"]),
    ("what was put off and then merged is told to whom it concerns", {**SERVICES, **BY_TEAM, **WORK}, merged_while_put_off, ["1:00 chat opened", "30:00 pager still_fires"]),
    ("announced work calls nobody either", {**WORK, "routes": [{"targets": [], "escalation": "standard"}]}, announced_and_told_by_its_escalation_alone, ["30:00 ana-phone still_fires"]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "story", "told"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
async def test_everybody_hears_what_concerns_them_once(
    any_database: str,
    tmp_path: Path,
    changes: dict[str, Any],
    story: Callable[[Line], Awaitable[None]],
    told: list[str],
) -> None:
    migrate(storage_url(any_database, tmp_path, ""), MIGRATIONS)
    time = Time()
    sinks = Sinks(time)
    replica = Replica(any_database, tmp_path, config(**changes), time, sinks, new_metrics())
    await story(Line(replica, time, sinks))
    await replica.close()
    assert sinks.told == told
