"""Escalations while things change: by the alerts, by a reload of the configuration."""

from typing import Any

import pytest

from receiver.alerts import AlertEvent
from tests.contract.test_escalation import OPENED, World, world  # noqa: F401 - world is a fixture
from tests.support.escalating import CONFIG, EVENING, alert, config

SERVICES = {
    "correlation": {"labels": ["service"], "window": "1h"},
    "services": {"z": {"depends_on": ["x", "y"]}, "x": {}, "y": {}},
}


async def reload(world: World, **changes: Any) -> None:  # noqa: F811 - the fixture
    world.config = config(**changes)
    await world.do("restarts")


def ends(event: AlertEvent, minutes: float) -> AlertEvent:
    return AlertEvent(
        event.fingerprint, "resolved", event.starts_at, EVENING + minutes * 60, event.labels, event.annotations, ""
    )


def since(world: World, minutes: float) -> list[str]:  # noqa: F811 - the fixture
    """What arrived from then on."""
    before = sum(at < minutes * 60 for at, _, _ in world.sinks.arrived)
    return world.sinks.told[before:]


# --- by the alerts


async def test_what_fires_anew_after_a_lost_resolve_is_nobodys_and_no_longer_put_off(world: World) -> None:  # noqa: F811
    await world.do("fires")
    await world.until(1)
    await world.do("acknowledges", "ana")
    await world.do("snoozes", 60 * 24)
    await world.until(60)
    await world.do("fires", alert(at=EVENING + 3600))
    await world.until(67)
    incident = await world.first.store.incident(1)
    assert incident is not None
    assert (incident.state, incident.acknowledged_by, incident.snoozed_until) == ("reopened", None, None)
    fired = [line for line in since(world, 60) if "-phone" in line]
    assert fired == ["60:00 ana-phone fired_again", "65:00 bo-phone escalated"]
    assert {one.acknowledged_by for _, _, one in world.sinks.arrived if one.reason == "fired_again"} == {""}


async def test_nobody_is_called_for_a_part_of_what_somebody_has(world: World) -> None:  # noqa: F811
    await reload(world, **SERVICES)
    await world.do("sink", "bo-phone", "is down")
    await world.do("fires", alert(name="X", service="x", team="nobody", severity="warning"))
    await world.do("fires", alert(name="Y", service="y"))
    await world.until(5.5)
    await world.do("fires", alert(name="Z", service="z", team="nobody", severity="warning", at=EVENING + 330))
    await world.do("acknowledges", "cy")
    await world.do("sink", "bo-phone", "ok")
    await world.until(12)
    assert not [line for line in world.sinks.told if "bo-phone" in line]
    (call,) = [row for row in await world.first.store.notices(2) if row["target"] == "bo-phone"]
    assert call["state"] == "superseded"


async def test_who_heard_the_end_of_the_whole_hears_of_a_part_that_comes_back(world: World) -> None:  # noqa: F811
    routes = [{"match": {"team": "platform"}, "targets": ["pager"]}, {"targets": ["chat"]}]
    await reload(world, **SERVICES, routes=routes)
    fired = [
        alert(name="X", service="x", severity="warning"),
        alert(name="Y", service="y", team="nobody", severity="warning"),
        alert(name="Z", service="z", severity="warning"),
    ]
    for minutes, one in enumerate(fired, start=1):
        await world.do("fires", one)
        await world.until(minutes)
    await world.do("fires", *[ends(one, 3) for one in fired])
    await world.until(7)
    assert await world.first.store.outbox.told([1], shadows=False) == []
    await world.do("fires", alert(name="X", service="x", severity="warning", at=EVENING + 420))
    await world.until(9)
    await world.do("fires", alert(name="Y", service="y", team="nobody", severity="warning", at=EVENING + 540))
    await world.until(12)
    assert since(world, 7) == ["7:00 pager reopened", "9:00 chat joined"]


async def test_who_was_not_called_after_all_hears_of_what_is_theirs(world: World) -> None:  # noqa: F811
    routes = [{"match": {"who": "bo"}, "targets": ["bo-phone"]}, *CONFIG["routes"]]
    await reload(world, routes=routes)
    await world.do("fires")
    await world.do("sink", "bo-phone", "is down")
    await world.until(5)
    await world.first.tick()
    await world.do("acknowledges", "cy")
    await world.do("sink", "bo-phone", "ok")
    await world.until(20)
    assert not [line for line in world.sinks.told if "bo-phone" in line]
    await world.do("fires", alert(name="Other", at=EVENING + 1200, who="bo"))
    await world.until(22)
    assert since(world, 20) == ["20:00 bo-phone joined"]


# --- by a reload


async def test_who_was_told_before_a_time_in_the_shadow_hears_of_the_end(world: World) -> None:  # noqa: F811
    first, second = alert(team="nobody", severity="warning"), alert(name="B", team="nobody", at=EVENING + 60)
    await reload(world, correlation={"labels": ["team"]})
    await world.do("fires", first)
    await world.until(1)
    await reload(world, shadow=True)
    await world.do("fires", second)
    await world.until(10)
    await reload(world)
    await world.do("fires", ends(first, 10), ends(second, 10))
    await world.until(12)
    assert world.sinks.told == ["0:00 chat opened", "10:00 chat resolved"]


async def test_what_was_told_to_nobody_in_the_shadow_puts_nothing_off(world: World) -> None:  # noqa: F811
    routes = [{"targets": ["chat"], "cooldown": "30m"}]
    await reload(world, shadow=True, routes=routes)
    await world.do("fires", alert(name="Old", team="q", service="shop"))
    await world.until(1)
    await reload(world, routes=routes)
    await world.do("fires", alert(name="New", team="p", service="shop", at=EVENING + 60))
    await world.until(3)
    assert world.sinks.told == ["1:00 chat opened"]


@pytest.mark.parametrize(
    ("repeat", "told"),
    [(1, ["15:00 ana-phone escalated", "20:00 bo-phone escalated"]), (0, [])],
    ids=["the next round begins", "there is none: all steps were taken"],
)
async def test_an_escalation_that_was_made_shorter_takes_no_step_twice(
    world: World,  # noqa: F811 - the fixture
    repeat: int,
    told: list[str],
) -> None:
    await world.do("fires")
    await world.until(6)
    shorter = {**CONFIG["escalations"]["standard"], "steps": CONFIG["escalations"]["standard"]["steps"][:2]}
    shorter |= {"repeat": repeat, "reminder": "1h"}
    await reload(world, escalations={**CONFIG["escalations"], "standard": shorter})
    await world.until(24)
    assert world.sinks.told == [*OPENED, "5:00 bo-phone escalated", *told]


async def test_an_escalation_that_was_renamed_goes_on_under_its_new_name(world: World) -> None:  # noqa: F811
    await world.do("fires")
    await world.until(1)
    renamed = {"renamed" if name == "standard" else name: one for name, one in CONFIG["escalations"].items()}
    routes = [{**CONFIG["routes"][0], "escalation": "renamed"}, *CONFIG["routes"][1:]]
    await reload(world, escalations=renamed, routes=routes)
    await world.until(10)
    assert world.sinks.told == [*OPENED, "2:00 ana-phone escalated", "7:00 bo-phone escalated"]
