"""A clock that is set a day ahead or back: nothing is told twice, and nothing waits for a day."""

import pytest

from tests.contract.conftest import Clock, StartReceiver
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink
from tests.support.processes import until

__all__ = ["sink"]  # a fixture
DAY = 86_400.0


LEAPS = [("a day ahead", DAY), ("a day back", -DAY)]


@pytest.mark.parametrize("leap", [row[1] for row in LEAPS], ids=[row[0] for row in LEAPS])
async def test_a_clock_that_leaps_tells_nothing_twice(
    start_receiver: StartReceiver, sink: Sink, clock: Clock, leap: float
) -> None:
    clock.at = 10 * DAY
    client, receiver = await start_receiver(config(sink))
    await post(client, alert())
    await settle(receiver, sink, 1, clock.at)
    clock.at += leap
    assert await post(client, alert()) == 0
    await settle(receiver, sink, 1, clock.at)
    await post(client, alert("Other"))
    await settle(receiver, sink, 2, clock.at)


@pytest.mark.parametrize("leap", [row[1] for row in LEAPS], ids=[row[0] for row in LEAPS])
async def test_a_clock_that_leaps_starves_no_retry(
    start_receiver: StartReceiver, sink: Sink, clock: Clock, leap: float
) -> None:
    clock.at = 10 * DAY
    client, receiver = await start_receiver(config(sink))
    sink.status = 500
    await post(client, alert())
    await settle(receiver, sink, 0, clock.at)
    sink.status = 200
    clock.at += leap
    await until(lambda: len(sink.messages) == 1, "it is told")
