import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

from exporter.config import Provider
from exporter.providers import schedule
from exporter.providers.schedule import Schedule
from toolkit.service import Background


def provider(**more: object) -> Provider:
    return Provider.model_validate({"name": "mail", "url": "http://x/", "interval": "1h", **more})


class Probes:
    """Counts looks; each asks for the next after `pause` seconds."""

    def __init__(self, pause: float) -> None:
        self.pause, self.count, self.changed = pause, 0, asyncio.Event()

    async def __call__(self, _: Provider) -> float:
        self.count += 1
        self.changed.set()
        return self.pause

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(20):
            while self.count < count:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "FIRST_PROBE_WITHIN_SECONDS", 0.0)
    monkeypatch.setattr(schedule, "LEAST_PAUSE_SECONDS", 0.05)


async def test_the_next_look_comes_when_the_last_one_said() -> None:
    background, probes = Background(), Probes(0.01)
    found = Schedule(probes, lambda _: None, background.spawn, random.Random(1))
    await found.follow([provider()])
    await probes.reach(5)
    await found.stop()
    await background.close()


async def test_a_look_that_is_wanted_sooner_comes_sooner_and_once() -> None:
    background, probes = Background(), Probes(3600)
    found = Schedule(probes, lambda _: None, background.spawn, random.Random(1))
    await found.follow([provider()])
    await probes.reach(1)
    for _ in range(5):
        found.hasten("mail")
    found.hasten("nobody")
    await probes.reach(2)
    await asyncio.sleep(0.3)
    assert probes.count == 2
    await found.stop()
    await background.close()


async def test_only_what_changed_begins_anew() -> None:
    background, probes = Background(), Probes(3600)
    found = Schedule(probes, lambda _: None, background.spawn, random.Random(1))
    await found.follow([provider()])
    await probes.reach(1)
    await found.follow([provider()])
    await asyncio.sleep(0.1)
    assert probes.count == 1
    await found.follow([provider(interval="2h")])
    await probes.reach(2)
    await found.follow([])
    found.hasten("mail")
    await found.stop()
    await background.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"interval": "1h"}, 300),
        ({"interval": "1m"}, 60),
        ({"interval": "1h", "confirmation": {"probes": 1, "duration": "1s"}}, 10),
    ],
    ids=["an hourly probe: as often as the confirmation needs", "a frequent one: no more often", "never faster than the timeout"],
)  # fmt: skip
def test_the_pace_while_in_doubt(given: dict[str, object], expected: float) -> None:
    assert provider(**given).doubt_interval == expected


# --- timelines: hours pass in no time


class Leaping(asyncio.SelectorEventLoop):
    """A loop whose clock leaps to the next timer instead of waiting for it. For programs without input or output."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Leaps(self))

    def time(self) -> float:
        return self.now


class _Leaps(selectors.DefaultSelector):
    def __init__(self, loop: Leaping) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.now += timeout or 0.0
        return super().select(0)


class Steady(random.Random):
    """No jitter: the middle of every range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Timeline:
    """A provider that is looked at every minute, from 0 on; each look takes as long as `lasting` says, else no time."""

    def __init__(self, *lasting: float) -> None:
        self.lasting = list(lasting)
        self.began: list[float] = []
        self.late: list[float] = []
        self.schedule: Schedule

    async def look(self, _: Provider) -> float:
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.lasting.pop(0) if self.lasting else 0)
        return 60.0

    async def follow(self, seconds: float, hasten: tuple[float, ...] = ()) -> None:
        background = Background()
        self.schedule = Schedule(self.look, self.late.append, background.spawn, Steady())
        await self.schedule.follow([provider(interval="1m")])
        loop = asyncio.get_running_loop()
        for at in hasten:
            loop.call_at(at, self.schedule.hasten, "mail")
        await asyncio.sleep(seconds)
        await self.schedule.stop()
        await background.close()


def leaping(program: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Leaping) as runner:
        runner.run(program)


HASTENED = [
    ("at once where the last look is long past", (30.0,), [0, 30, 90]),
    ("no sooner than the least pause after a look", (1.0,), [0, 10, 70]),
    ("no later than its own turn", (59.0,), [0, 59]),
    ("once, however often it is asked for", (1.0, 1.0, 1.0), [0, 10, 70]),
    ("once also for those who ask while it waits", (1.0, 2.0, 9.0), [0, 10, 70]),
    ("each time, a pause apart", (1.0, 11.0), [0, 10, 20, 80]),
]


@pytest.mark.parametrize(
    ("asked", "began"), [row[1:] for row in HASTENED], ids=[f"a hastened look comes {row[0]}" for row in HASTENED]
)
def test_a_hastened_look(asked: tuple[float, ...], began: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LEAST_PAUSE_SECONDS", 10.0)
    timeline = Timeline()
    leaping(timeline.follow(100, asked))
    assert timeline.began == pytest.approx(began)


def test_a_look_that_outlasted_its_turn_is_not_made_up_for() -> None:
    timeline = Timeline(200.0)
    leaping(timeline.follow(330))
    assert timeline.began == pytest.approx([0, 200, 260, 320])
    assert timeline.late == pytest.approx([0, 0, 0, 0], abs=1e-6)
