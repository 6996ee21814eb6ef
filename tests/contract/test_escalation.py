"""Escalations on a real database with a driven clock: whom they call, when, and that each step is taken once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from receiver.explain import explained
from receiver.store import MIGRATIONS
from tests.faults.mortal import Died, Fuse
from tests.support.escalating import CONFIG, EVENING, Replica, Sinks, Time, alert, config, new_metrics
from toolkit.storage import migrate, storage_url


class World:
    """Time, sinks, and one or more replicas on one database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.time, self.metrics = url, folder, Time(), new_metrics()
        self.sinks, self.config = Sinks(self.time), config()
        self.replicas: list[Replica] = []

    def start(self) -> Replica:
        replica = Replica(self.url, self.folder, self.config, self.time, self.sinks, self.metrics)
        self.replicas.append(replica)
        return replica

    @property
    def first(self) -> Replica:
        return self.replicas[0]

    async def until(self, minutes: float, tick: float = 60.0) -> None:
        """Lets the time pass, `tick` seconds at a time; every replica looks at each tick, all at the same moment."""
        while self.time.passed < minutes * 60:
            await self.together(replica.tick() for replica in self.replicas)
            self.time.passed += tick

    async def together(self, deeds: Iterable[Awaitable[object]]) -> None:
        """At the same moment; on SQLite, which one process has, one after another."""
        if self.url.startswith("sqlite"):
            for deed in deeds:
                await deed
        else:
            await asyncio.gather(*deeds)

    async def do(self, deed: str, *given: Any) -> None:
        """One thing that happens: what its name says."""
        await getattr(self, f"_{deed}")(*given)

    async def _fires(self, *alerts: Any) -> None:
        await self.first.hear(*alerts or [alert()])

    async def _ends(self) -> None:
        await self.first.hear(alert("resolved"))

    async def _acknowledges(self, by: str) -> None:
        await self.first.desk.acknowledge(1, by, "link")

    async def _snoozes(self, minutes: float) -> None:
        await self.first.desk.snooze(1, "ana", minutes * 60)

    async def _assigns(self, to: str) -> None:
        await self.first.desk.assign(1, to, "ana", note="look at the disk")

    async def _sink(self, target: str, outcome: Any) -> None:
        self.sinks.outcomes[target] = outcome

    async def _restarts(self) -> None:
        await self.replicas.pop(0).close()
        self.replicas.insert(0, self.start())
        self.replicas.pop()

    async def _clock(self, seconds: float) -> None:
        self.time.leap += seconds

    async def _second(self) -> None:
        self.start()


@pytest.fixture
async def world(any_database: str, tmp_path: Path) -> AsyncIterator[World]:
    migrate(storage_url(any_database, tmp_path, ""), MIGRATIONS)
    world = World(any_database, tmp_path)
    with structlog.testing.capture_logs() as logged:
        world.start()
        yield world
    assert not [line for line in logged if line["log_level"] == "error"], "each step is taken without a defect"
    async with AsyncExitStack() as exits:
        for replica in world.replicas:
            exits.push_async_callback(replica.close)


OPENED = ["0:00 chat opened", "0:00 pager opened", "0:00 ana-phone opened"]
ROUND = ["5:00 bo-phone escalated", "15:00 cy-phone escalated"]
AGAIN = ["25:00 ana-phone escalated", "30:00 bo-phone escalated", "40:00 cy-phone escalated"]

TIMELINES: list[tuple[str, list[tuple[float, str, tuple[Any, ...]]], float, list[str]]] = [
    # name, what happens when (in minutes), until when, what arrives
    ("acknowledged in time: nobody else is called", [(3, "acknowledges", ("ana",))], 60, ["3:00 pager acknowledged"]),
    (
        "acknowledged late: those before were called",
        [(7, "acknowledges", ("bo",))],
        60,
        ["5:00 bo-phone escalated", "7:00 pager acknowledged"],
    ),
    ("never acknowledged: every step, twice, then reminders", [], 130, [*ROUND, *AGAIN, "110:00 cy-phone reminder"]),
    (
        "acknowledged, and it goes on: whoever has it is reminded every hour",
        [(3, "acknowledges", ("Bo Lima",))],
        130,
        ["3:00 pager acknowledged", "63:00 bo-phone reminder", "123:00 bo-phone reminder"],
    ),
    (
        "it ends: nobody else is called, and all who were called hear it",
        [(7, "ends", ())],
        60,
        ["5:00 bo-phone escalated", "7:00 chat resolved", "7:00 pager resolved", "7:00 ana-phone resolved", "7:00 bo-phone resolved"],
    ),
    ("restarted in the middle", [(4, "restarts", ()), (5, "restarts", ()), (12, "restarts", ())], 20, ROUND),
    ("two replicas, at the same moment", [(0, "second", ())], 60, [*ROUND, *AGAIN]),
    (
        "two replicas, restarted in turns",
        [(0, "second", ()), (5, "restarts", ()), (14, "restarts", ()), (30, "restarts", ())],
        60,
        [*ROUND, *AGAIN],
    ),
    ("snoozed: it goes on afterwards", [(3, "snoozes", (20,))], 40, ["23:00 bo-phone escalated", "33:00 cy-phone escalated"]),
    (
        "handed to somebody who does not acknowledge: it goes on where it was",
        [(3, "acknowledges", ("ana",)), (4, "assigns", ("cy",))],
        16,
        ["3:00 pager acknowledged", "4:00 cy-phone assigned", "9:00 bo-phone escalated"],
    ),
    (
        "handed to somebody who does",
        [(4, "assigns", ("cy",)), (6, "acknowledges", ("cy",))],
        60,
        ["4:00 cy-phone assigned", "6:00 pager acknowledged"],
    ),
    (
        "a clock set back an hour: the wait begins anew, and each step comes once",
        [(4, "clock", (-3600,))],
        40,
        ["9:00 bo-phone escalated", "19:00 cy-phone escalated", "29:00 ana-phone escalated", "34:00 bo-phone escalated"],
    ),
    (
        "a clock set ahead an hour: a step comes early, and each once",
        [(2, "clock", (3600,))],
        35,
        ["2:00 bo-phone escalated", "12:00 cy-phone escalated", "22:00 ana-phone escalated", "27:00 bo-phone escalated"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("happens", "until", "told"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES]
)
async def test_a_timeline(
    world: World, happens: list[tuple[float, str, tuple[Any, ...]]], until: float, told: list[str]
) -> None:
    await world.do("fires")
    for at, deed, given in happens:
        await world.until(at)
        await world.do(deed, *given)
    await world.until(until)
    # of two replicas either may be the first to send what is due at one moment
    assert sorted(world.sinks.told) == sorted([*OPENED, *told])


UNREACHED: list[tuple[str, list[tuple[str, str]], list[str]]] = [
    ("the first refuses: the next is called at once", [("ana-phone", "refuses")], ["0:10 bo-phone escalated", "10:10 cy-phone escalated"]),
    ("the first is down: the next is called at the second failure", [("ana-phone", "is down")], ["0:20 bo-phone escalated", "10:20 cy-phone escalated"]),
    (
        "all but the last refuse",
        [("ana-phone", "refuses"), ("bo-phone", "refuses")],
        ["0:20 cy-phone escalated", "10:40 cy-phone escalated"],
    ),
    ("all refuse: the rounds are not hurried through", [("ana-phone", "refuses"), ("bo-phone", "refuses"), ("cy-phone", "refuses")], []),
]  # fmt: skip


@pytest.mark.parametrize(("sinks", "told"), [row[1:] for row in UNREACHED], ids=[row[0] for row in UNREACHED])
async def test_who_cannot_be_reached_is_not_waited_for(
    world: World, sinks: list[tuple[str, str]], told: list[str]
) -> None:
    for sink in sinks:
        await world.do("sink", *sink)
    await world.do("fires")
    await world.until(11, tick=10.0)
    phones = [line for line in world.sinks.told if "-phone escalated" in line]
    assert phones == told
    facts = await world.first.store.explained.facts(1)
    assert facts is not None
    words = [entry.text for entry in explained(facts)]
    assert any("nobody of the last step could be reached" in line for line in words)


async def test_a_rota_without_anybody_is_left_out_with_its_reason(world: World) -> None:
    await world.do("fires", alert(team="night"))
    await world.until(12)
    assert world.sinks.told == ["0:00 chat opened", "0:00 bo-phone opened"]
    facts = await world.first.store.explained.facts(1)
    assert facts is not None
    words = [entry.text for entry in explained(facts)]
    assert any(
        "left out: step 1, rota/platform: nobody is on call (office: outside its hours)" in line for line in words
    )
    assert any("every step was taken, and nobody has acknowledged" in line for line in words)


async def test_the_team_of_an_alert_brings_its_escalation(world: World) -> None:
    await world.do("fires", alert(team="shop"))
    assert [row["target"] for row in await world.first.store.notices(1)] == ["chat", "bo-phone"]


async def test_the_message_says_who_is_called_and_what_comes_next(world: World) -> None:
    await world.do("fires")
    await world.until(6)
    first, second = world.sinks.arrived[0][2], world.sinks.arrived[-1][2]
    assert (first.on_call, first.next_step) == ("ana", "22:05 UTC: bo, if nobody acknowledges")
    assert (second.on_call, second.next_step) == ("bo", "22:15 UTC: cy, if nobody acknowledges")
    assert second.acknowledge_url.startswith("http://receiver/a/incident.1.")
    assert second.silence_url == f"{second.acknowledge_url}?do=silence"
    await world.do("acknowledges", "bo")
    await world.until(7)
    taken = world.sinks.arrived[-1][2]
    assert (taken.reason, taken.acknowledged_by, taken.next_step) == ("acknowledged", "bo", "")


async def test_what_opens_again_is_escalated_again(world: World) -> None:
    await world.do("fires")
    await world.do("acknowledges", "ana")
    await world.until(2)
    await world.do("ends")
    await world.until(4)
    await world.do("fires", alert(at=EVENING + 240))
    await world.until(10)
    assert world.sinks.told[-3:] == ["4:00 pager reopened", "4:00 ana-phone reopened", "9:00 bo-phone escalated"]


async def test_what_becomes_critical_is_escalated_and_whoever_has_it_is_spared(world: World) -> None:
    world.config = config(
        routes=[
            {"match": {"severity": "critical"}, "targets": ["chat"], "escalation": "standard"},
            {"targets": ["chat"]},
        ]
    )
    await world.do("restarts")
    await world.do("fires", alert(severity="warning"))
    await world.until(2)
    assert await world.first.store.escalations.of(1) is None
    await world.do("fires", alert(name="Worse", at=EVENING + 60))
    await world.until(3)
    assert world.sinks.told == ["0:00 chat opened", "2:00 chat severity_rose", "2:00 ana-phone severity_rose"]
    await world.do("acknowledges", "ana")
    await world.do("fires", alert(name="Third", at=EVENING + 120))
    await world.until(30)
    assert not [line for line in world.sinks.told if "bo-phone" in line]


async def test_a_step_that_waits_for_its_sink_is_dropped_once_somebody_has_it(world: World) -> None:
    await world.do("fires")
    await world.do("sink", "bo-phone", "is down")
    await world.until(5)
    await world.together(replica.escalator.look() for replica in world.replicas)
    await world.do("acknowledges", "ana")
    await world.do("sink", "bo-phone", "ok")
    await world.until(8)
    await world.do("ends")
    await world.until(10)
    assert not [line for line in world.sinks.told if "bo-phone" in line], (
        "neither the call nor the end of what it did not hear"
    )
    reasons = [
        (one["target"], one["state"]) for one in await world.first.store.notices(1) if one["target"] == "bo-phone"
    ]
    assert reasons == [("bo-phone", "superseded")]


async def test_an_incident_that_changes_while_the_facts_are_found_out_takes_its_step_once(world: World) -> None:
    await world.do("fires")
    await world.until(4)

    async def meanwhile() -> None:
        await world.first.hear(alert(name="More", at=EVENING + 230))

    world.first.meanwhile = meanwhile
    await world.until(6)
    assert [line for line in world.sinks.told if "escalated" in line] == ["5:00 bo-phone escalated"]

    async def acknowledged() -> None:
        await world.do("acknowledges", "bo")

    await world.until(14)
    world.first.meanwhile = acknowledged
    await world.until(30)
    assert not [line for line in world.sinks.told if "cy-phone" in line], "acknowledged at the last moment"


async def test_what_a_person_calls_critical_is_escalated_again(world: World) -> None:
    await world.do("fires", alert(severity="warning", team="night"))
    await world.until(8)
    assert (await world.first.store.escalations.waiting()) == []
    await world.first.desk.reclassify(1, "ana", "they can't pay", severity="critical")
    await world.until(9)
    assert world.sinks.told == ["0:00 chat opened", "0:00 bo-phone opened", "8:00 bo-phone escalated"]
    assert world.sinks.arrived[-1][2].severity == "critical"


async def test_a_snooze_of_what_nobody_is_called_for_ends_with_a_reminder(world: World) -> None:
    await world.do("fires", alert(team="nobody"))
    await world.do("snoozes", 30)
    await world.until(45)
    assert world.sinks.told == ["0:00 chat opened", "30:00 chat reminder"]


async def test_a_shadow_calls_nobody(world: World) -> None:
    world.config = config(shadow=True)
    await world.do("restarts")
    await world.do("fires")
    await world.until(7)
    await world.do("acknowledges", "ana")
    await world.until(8)
    assert world.sinks.told == []
    planned = {(one["target"], one["reason"], one["state"]) for one in await world.first.store.notices(1)}
    assert ("bo-phone", "escalated", "shadow") in planned
    assert ("pager", "acknowledged", "shadow") in planned


async def test_an_escalation_that_left_the_configuration_calls_nobody(world: World) -> None:
    await world.do("fires")
    world.config = config(escalations={}, teams={}, routes=[])
    await world.do("restarts")
    await world.until(10)
    assert world.sinks.told == OPENED
    assert await world.first.store.escalations.waiting() == []


async def test_who_is_part_of_another_incident_is_not_called_for_it(world: World) -> None:
    services = {"web": {"depends_on": ["db"]}, "db": {}}
    world.config = config(services=services, correlation={"labels": ["alertname"]})
    await world.do("restarts")
    await world.do("fires", alert(name="Web", service="web", team="nobody"))
    await world.do("fires", alert(name="Far", service="far"))
    await world.do("fires", alert(name="Db", service="db", at=EVENING + 30))
    await world.until(6)
    progress = await world.first.store.escalations.of(1)
    assert progress is not None
    assert progress.policy == "standard", "the whole has what its part brought"
    far = [line for line in world.sinks.told if "bo-phone" in line]
    assert far == ["5:00 bo-phone escalated", "5:00 bo-phone escalated"], "each incident calls for itself"


async def test_who_is_quiet_is_not_called_for_a_warning_before_morning(world: World) -> None:
    people = {name: dict(one) for name, one in CONFIG["people"].items()}
    people["bo"]["quiet_hours"] = [{"from": "22:00", "to": "22:30"}]
    world.config = config(people=people)
    await world.do("restarts")
    await world.do("fires", alert(severity="warning"))
    await world.until(20)
    assert world.sinks.told == [*OPENED, "15:00 cy-phone escalated"]
    await world.until(33)
    assert world.sinks.told[4:] == ["25:00 ana-phone escalated", "30:00 bo-phone escalated"]
    facts = await world.first.store.explained.facts(1)
    assert facts is not None
    assert any(
        "held" in entry.text and "bo-phone is told at 2026-11-20 22:30:00" in entry.text for entry in explained(facts)
    )


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("transactions", range(12))
async def test_a_process_that_dies_between_any_two_transactions_of_a_step_leaves_it_due_or_done(
    world: World, transactions: int
) -> None:
    await world.do("fires")
    await world.until(4)
    world.time.passed = 300.0
    fuse = Fuse()
    fuse.left = transactions
    try:
        await world.first.escalator.look()
    except Died:
        pass
    finally:
        fuse.left = None
        fuse.remove()
    await world.do("restarts")
    await world.until(20)
    assert world.sinks.told == [*OPENED, *ROUND]
