"""What is put off is told when its time comes and it still fires, and never when it has ended by then."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from receiver.app import Receiver
from tests.contract.conftest import Client, Clock, StartReceiver
from tests.contract.test_correlated import entries, fire
from tests.contract.test_receiver import Sink, alert, config, settle, sink  # noqa: F401 - sink is a fixture

COOLDOWN = "routes: [{targets: [inbox], cooldown: 30m}]\n"
WINDOW = """maintenance:
  - {match: {service: shop}, from: 2026-11-20 12:00, to: 2026-11-20 12:30, reason: the shop moves}
"""
SECURITY: Any = {"class": "security"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
Fire = Callable[..., object]


class Timeline:
    """A receiver, its sink, and the clock that both go by."""

    def __init__(self, client: Client, receiver: Receiver, sink: Sink, clock: Clock) -> None:  # noqa: F811 - the fixture's value
        self.client, self.receiver, self.sink, self.clock = client, receiver, sink, clock

    async def hears(self, told: int, *alerts: dict[str, object]) -> None:
        """Alerts come in, and `told` messages have been sent by then."""
        await fire(self.client, self.receiver, self.sink, told, *alerts)

    async def passes(self, seconds: float, told: int) -> None:
        """Time passes, and `told` messages have been sent by then."""
        self.clock.at += seconds
        await self.receiver.pipeline.retell()
        await settle(self.receiver, self.sink, told, self.clock.at)


@pytest.fixture
def timeline(start_receiver: StartReceiver, sink: Sink, clock: Clock) -> Callable[[str], object]:  # noqa: F811
    async def start(text: str) -> Timeline:
        client, receiver = await start_receiver(config(sink, text))
        return Timeline(client, receiver, sink, clock)

    return start


async def test_a_second_trouble_of_the_same_service_waits_and_is_told_if_it_still_fires(timeline: Fire) -> None:
    line: Timeline = await timeline(COOLDOWN)  # type: ignore[misc]
    await line.hears(1, alert(service="shop"))
    await line.hears(1, alert("Slow", service="shop"))
    assert any("told of incident 1 about the same" in one for one in await entries(line.client, 2))
    await line.passes(1799, 1)
    await line.passes(1, 2)
    assert line.sink.titles[-1].startswith("[P2 FIRING] Slow it is")
    await line.passes(3600, 2)


async def test_what_ends_while_it_waits_is_told_to_nobody(timeline: Fire) -> None:
    line: Timeline = await timeline(COOLDOWN)  # type: ignore[misc]
    await line.hears(1, alert(service="shop"))
    await line.hears(1, alert("Slow", service="shop"))
    await line.hears(1, alert("Slow", "resolved", service="shop"))
    await line.passes(3600, 1)
    assert any("nobody_was_told" in one or "nobody was told" in one for one in await entries(line.client, 2))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(alert("Slow", service="web"), id="another service"),
        pytest.param(alert("Slow", service="shop", severity="critical"), id="the same service, and worse"),
        pytest.param(alert("Slow", service="shop", **SECURITY), id="another class"),
        pytest.param(alert("Slow"), id="of no service"),
    ],
)
async def test_what_is_not_the_same_trouble_is_told_at_once(timeline: Fire, other: dict[str, object]) -> None:
    line: Timeline = await timeline(COOLDOWN)  # type: ignore[misc]
    await line.hears(1, alert(service="shop"))
    await line.hears(2, other)


async def test_what_was_put_off_is_told_at_once_when_it_becomes_critical(timeline: Fire) -> None:
    line: Timeline = await timeline(COOLDOWN)  # type: ignore[misc]
    await line.hears(1, alert(service="shop"))
    await line.hears(1, alert("Slow", service="shop"))
    worse = {**alert("Slow", start=1, service="shop"), "annotations": {"summary": "Slow it is"}}
    await line.hears(2, {**worse, "labels": {**worse["labels"], "severity": "critical"}})


async def test_in_a_maintenance_window_nothing_is_told_but_what_still_fires_at_its_end(
    timeline: Fire, clock: Clock
) -> None:
    clock.at = NOON
    line: Timeline = await timeline(WINDOW)  # type: ignore[misc]
    await line.hears(0, alert(service="shop"))
    await line.hears(0, alert("Slow", service="shop"))
    await line.hears(1, alert(service="web"))
    assert any("the shop moves, until 2026-11-20 12:30:00 UTC" in one for one in await entries(line.client, 1))
    await line.hears(1, alert("Slow", "resolved", service="shop"))
    await line.passes(1799, 1)
    await line.passes(1, 2)
    assert line.sink.titles[-1].startswith("[P2 FIRING] Down it is · shop")
    await line.hears(3, alert("Slow", start=1, service="shop"))


async def test_who_was_told_before_the_window_hears_of_the_end_in_it(timeline: Fire, clock: Clock) -> None:
    clock.at = NOON - 60
    line: Timeline = await timeline(WINDOW)  # type: ignore[misc]
    await line.hears(1, alert(service="shop"))
    clock.at = NOON
    await line.hears(2, alert(status="resolved", service="shop"))
