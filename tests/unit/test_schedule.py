import asyncio
import random

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
