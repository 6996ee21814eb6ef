"""Escalations while things change: by people's hands, by the alerts, by a reload of the configuration."""

from typing import Any

import pytest

from receiver.alerts import AlertEvent
from tests.contract.test_escalation import OPENED, World, world  # noqa: F401 - world is a fixture
from tests.support.escalating import CONFIG, EVENING, alert, config

NIGHT = [{"from": "20:00", "to": "07:00"}]
SLEEPERS = {name: {**person, "quiet_hours": NIGHT} for name, person in CONFIG["people"].items()}
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


# --- by hand


async def test_who_is_handed_what_became_critical_is_told_in_the_night(world: World) -> None:  # noqa: F811
    await reload(world, people=SLEEPERS, routes=[{"targets": ["chat"]}])
    await world.do("fires", alert(severity="warning"))
    await world.until(1)
    await world.first.desk.reclassify(1, "ana", "they can't pay", severity="critical")
    await world.do("assigns", "bo")
    await world.until(3)
    assert world.sinks.told == ["0:00 chat opened", "1:00 bo-phone assigned"]
    assert world.sinks.arrived[-1][2].severity == "critical"


async def test_the_team_is_called_for_what_a_person_calls_critical_though_the_alert_says_info(world: World) -> None:  # noqa: F811
    await world.do("fires", alert(team="shop", severity="info"))
    await world.until(1)
    await world.first.desk.reclassify(1, "ana", "they can't pay", severity="critical")
    await world.until(3)
    assert world.sinks.told == ["0:00 chat opened", "1:00 bo-phone escalated"]


async def test_a_team_is_not_called_for_information_beside_what_is_critical(world: World) -> None:  # noqa: F811
    await reload(world, correlation={"labels": ["cluster"]})
    await world.do("fires", alert(team="nobody", cluster="c"))
    await world.do("fires", alert(name="Aside", team="shop", severity="info", cluster="c"))
    await world.until(3)
    assert world.sinks.told == ["0:00 chat opened"]


async def test_what_was_put_off_and_is_called_critical_since_is_escalated_at_once(world: World) -> None:  # noqa: F811
    await world.do("fires", alert(severity="info"))
    await world.do("snoozes", 60 * 24 * 7)
    await world.until(1)
    await world.first.desk.reclassify(1, "bo", "they can't pay", severity="critical")
    await world.until(8)
    assert world.sinks.told == [*OPENED, "1:00 ana-phone escalated", "6:00 bo-phone escalated"]


async def test_what_is_called_critical_calls_again_whom_the_warning_left_asleep(world: World) -> None:  # noqa: F811
    await reload(world, people=SLEEPERS)
    await world.do("fires", alert(severity="warning"))
    await world.until(6)
    await world.first.desk.reclassify(1, "cy", "they can't pay", severity="critical")
    await world.until(12)
    assert since(world, 1) == ["6:00 ana-phone escalated", "11:00 bo-phone escalated"]


async def test_what_became_critical_while_somebody_had_it_is_escalated_once_it_is_handed_on(world: World) -> None:  # noqa: F811
    routes = [{"match": {"severity": "critical"}, "targets": ["chat"], "escalation": "standard"}, {"targets": ["chat"]}]
    await reload(world, routes=routes)
    await world.do("fires", alert(severity="warning"))
    await world.do("acknowledges", "ana")
    await world.until(1)
    await world.do("fires", alert(name="Worse", at=EVENING + 60))
    await world.until(2)
    await world.do("assigns", "bo")
    await world.until(18)
    phones = [line for line in world.sinks.told if "-phone" in line]
    assert phones == ["2:00 bo-phone assigned", "12:00 ana-phone escalated", "17:00 bo-phone escalated"]


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


async def test_what_was_put_off_beyond_its_maintenance_is_escalated_after_that(world: World) -> None:  # noqa: F811
    window = {"match": {"team": "platform"}, "from": "2026-11-20 22:00", "to": "2026-11-20 22:30", "reason": "x"}
    await reload(world, maintenance=[window])
    await world.do("fires")
    await world.until(1)
    await world.do("snoozes", 60)
    await world.until(31)
    await world.first.pipeline.retell()
    await world.until(68)
    assert since(world, 0) == [
        "31:00 chat still_fires",
        "31:00 pager still_fires",
        "61:00 ana-phone escalated",
        "66:00 bo-phone escalated",
    ]
    message = world.sinks.arrived[0][2]
    assert (message.on_call, message.next_step) == ("", "23:01 UTC: ana, if nobody acknowledges")


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
