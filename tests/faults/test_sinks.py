"""A sink that fails holds up nobody else, and once it heals it has been told everything, in order."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from receiver.notifiers.apprise import MOST_HUNG_SENDS
from tests.faults.verdict import Event, event_of, judge
from tests.support.alertmanagers import Alert, Alertmanager
from tests.support.processes import running, until
from tests.support.receivers import Row, configuration, receivers, records, sqlite
from tests.support.running import binaries
from tests.support.sink import DRIP, FAULTS, OK, Behaviour, Channel, listening

ALERTS = 6
TRIES = 3
HEALED_SECONDS = 120.0
"""Until everything is told after the fault: the pauses between tries have grown by then."""


@dataclass(frozen=True)
class Chain:
    """A receiver with two targets, and the Alertmanager before it."""

    alertmanager: Alertmanager
    storage: str
    faulty: Channel
    well: Channel

    async def rows(self, channel: Channel) -> list[Row]:
        """The outbox's rows for a channel."""
        return [row for row in (await records(self.storage)).rows if row.target == channel.name]

    async def tried(self, times: int) -> bool:
        """Whether so many attempts were begun to tell the one that fails."""
        return sum(row.attempts for row in await self.rows(self.faulty)) >= times

    async def idle(self) -> bool:
        """Whether the receiver has nothing left to do."""
        return (await records(self.storage)).idle


@asynccontextmanager
async def chain(folder: Path) -> AsyncIterator[Chain]:
    faulty, well, storage = Channel("faulty"), Channel("well"), sqlite(folder)
    config = configuration([faulty, well], timeout="2s")
    async with aiohttp.ClientSession() as session, listening([faulty, well]):
        (receiver,) = receivers(1, config, storage, folder, session)
        hook = f"{receiver.url}/webhook/alertmanager"
        alertmanager = Alertmanager("alertmanager", binaries(), folder, session, hook)
        async with running(receiver, alertmanager.process):
            yield Chain(alertmanager, storage, faulty, well)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_a_sink_that_fails_is_told_everything_once_it_heals(tmp_path: Path, fault: Behaviour) -> None:
    async with chain(tmp_path) as at:
        await at.faulty.behave(fault)
        fired = [Alert(f"alert-{number}", time.time()) for number in range(ALERTS)]
        await at.alertmanager.post(fired)
        await until(told(at.well, fired, "firing"), "the other channel is told that they fire")

        await until(lambda: at.tried(TRIES), f"the one that fails was tried {TRIES} times")
        early, late = ended(fired[: ALERTS // 2]), fired[ALERTS // 2 :]
        await at.alertmanager.post(early)
        await until(told(at.well, early, "resolved"), "the other channel is told that some have ended")
        await at.faulty.behave(OK)
        await at.alertmanager.post(ended(late))
        await until(told(at.well, late, "resolved"), "the other channel is told that all have ended")
        await until(at.idle, "everything is told", seconds=HEALED_SECONDS)
        for channel in (at.faulty, at.well):
            assert judge(events(fired), channel.told, await at.rows(channel)).faults == ""
        assert len(at.well.told) == 2 * ALERTS


async def test_answers_that_never_end_do_not_hold_a_target_for_ever(tmp_path: Path) -> None:
    async with chain(tmp_path) as at:
        await at.faulty.behave(DRIP)
        fired = [Alert(f"alert-{number}", time.time()) for number in range(ALERTS)]
        await at.alertmanager.post(fired)
        await until(lambda: at.tried(MOST_HUNG_SENDS + 1), "the one that fails was tried more often than it may hang")
        await at.faulty.behave(OK)
        await until(at.idle, "everything is told", seconds=HEALED_SECONDS)


def ended(alerts: Sequence[Alert]) -> list[Alert]:
    return [Alert(alert.name, alert.starts_at, time.time()) for alert in alerts]


def events(alerts: Sequence[Alert]) -> list[Event]:
    return [(alert.name, status) for alert in alerts for status in ("firing", "resolved")]


def told(channel: Channel, alerts: Sequence[Alert], status: str) -> Callable[[], bool]:
    wanted = {(alert.name, status) for alert in alerts}
    return lambda: wanted <= {event_of(one) for one in channel.told}
