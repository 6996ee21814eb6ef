"""Two Alertmanagers that post to one receiver are one truth, whichever of them dies."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from tests.faults.verdict import Event, event_of, judge
from tests.support.alertmanagers import PEER_TIMEOUT_SECONDS, Alert, Alertmanager, Cluster, post_to_all
from tests.support.ports import free_ports
from tests.support.processes import running, until
from tests.support.receivers import configuration, receivers, records, sqlite
from tests.support.running import binaries
from tests.support.sink import Channel, listening

ALERTS = 20
QUIET_SECONDS = 3.0 * PEER_TIMEOUT_SECONDS
"""By then the survivor has told whatever it meant to tell in the other's place."""

PAIRS = [("they are a cluster", True), ("neither knows of the other", False)]


@pytest.mark.parametrize("clustered", [row[1] for row in PAIRS], ids=[row[0] for row in PAIRS])
async def test_every_event_is_told_once_though_one_of_the_pair_is_killed(tmp_path: Path, clustered: bool) -> None:
    channel, storage = Channel("inbox"), sqlite(tmp_path)
    first_half = [Alert(f"early-{number:02d}", time.time()) for number in range(ALERTS)]
    async with aiohttp.ClientSession() as session, listening([channel]):
        (receiver,) = receivers(1, configuration([channel]), storage, tmp_path, session)
        pair = _pair(f"{receiver.url}/webhook/alertmanager", tmp_path, session, clustered)
        async with running(receiver, *(one.process for one in pair)):
            victim = await _who_tells(pair) if clustered else pair[0]
            await post_to_all(pair, first_half)
            await until(lambda: len(channel.told) >= ALERTS // 2, "half of them is told", pause=0.01)
            await victim.process.kill()
            second_half = [Alert(f"late-{number:02d}", time.time()) for number in range(ALERTS)]
            await post_to_all(pair, second_half)
            await until(lambda: _firing(channel) == 2 * ALERTS, "all of them are told")
            ended = [Alert(one.name, one.starts_at, time.time()) for one in (*first_half, *second_half)]
            await post_to_all(pair, ended)
            await until(lambda: len(channel.told) >= 4 * ALERTS, "the end of each is told")
            await asyncio.sleep(QUIET_SECONDS)
            verdict = judge(_events(ended), channel.told, (await records(storage)).rows)
    assert verdict.faults == ""
    assert verdict.duplicates == 0


def _pair(webhook: str, folder: Path, session: aiohttp.ClientSession, clustered: bool) -> list[Alertmanager]:
    one, two = free_ports(2)
    gossip = [(one, two), (two, one)] if clustered else [(), ()]
    return [
        Alertmanager(f"alertmanager-{number}", binaries(), folder, session, webhook, ports)
        for number, ports in enumerate(gossip, start=1)
    ]


async def _who_tells(pair: Sequence[Alertmanager]) -> Alertmanager:
    """Once the two know each other: the one whose name comes first tells, and the other waits for it to."""

    async def joined() -> bool:
        return all(one.settled and one.members == 2 for one in await _clusters(pair))

    await until(joined, "the two know each other")
    names = [one.own_name for one in await _clusters(pair)]
    return pair[names.index(min(names))]


async def _clusters(pair: Sequence[Alertmanager]) -> list[Cluster]:
    return [await one.cluster() for one in pair]


def _firing(channel: Channel) -> int:
    return sum(event_of(told)[1] == "firing" for told in channel.told)


def _events(alerts: Sequence[Alert]) -> list[Event]:
    return [(alert.name, status) for alert in alerts for status in ("firing", "resolved")]
