"""Three consumers of one group are killed with SIGKILL or made to hang at random while a producer goes on: no event is
lost or doubled."""

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from pathlib import Path

import aiohttp

from tests.support.kafka import Broker, Sender, broker
from tests.support.ports import free_ports
from tests.support.processes import Process, until
from tests.support.tally import Tally

CONSUMERS = 3
PARTITIONS = 12
KILLS = int(os.environ.get("TOCSIN_KAFKA_KILLS", "40"))
BURST, PAUSE_SECONDS = 2000, 0.1
"""How many events are sent at once, and when the next ones are."""
LONGEST_LIFE = 4.0
"""Seconds from one kill to the next, at most: some fall into a rebalance, some into a start, some into a commit."""
SUSPENDED_SHARE = 0.25
SUSPENDED_SECONDS = (1.5, 3.0)
"""How often a consumer hangs and is not killed, for longer than its session: it comes back and believes that it still
has its partitions."""
SETTLE_SECONDS = 300.0
TOPIC = "orders"
SEED = 6


def consumers(kafka: Broker, ledger: Path, folder: Path, session: aiohttp.ClientSession) -> list[Process]:
    """The processes under test: a group of CONSUMERS on one ledger."""
    settings = folder / "kafka.json"
    source = {"name": "shop", "brokers": [kafka.address], "topics": [TOPIC], "group": "tocsin"}
    settings.write_text(json.dumps({**source, "session_timeout": "1s", "batch": {"messages": 500, "wait": "20ms"}}))
    return [_consumer(number, settings, ledger, folder, session) for number in range(1, CONSUMERS + 1)]


def _consumer(number: int, settings: Path, ledger: Path, folder: Path, session: aiohttp.ClientSession) -> Process:
    port = free_ports(1)[0]
    argv = [sys.executable, "-m", "tests.faults.kafka_reader", str(settings), str(ledger), str(port)]
    return Process(f"consumer-{number}", argv, f"http://127.0.0.1:{port}", folder, session)


async def test_consumers_killed_at_random_count_every_event_exactly_once(tmp_path: Path) -> None:
    tally, chance = Tally(tmp_path / "tally.db"), random.Random(SEED)
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as exits:
        session = await exits.enter_async_context(aiohttp.ClientSession())
        kafka = await exits.enter_async_context(broker(tmp_path))
        await kafka.create(TOPIC, PARTITIONS)
        sender, group = Sender(kafka.address), consumers(kafka, tmp_path / "tally.db", tmp_path, session)
        for process in group:
            exits.push_async_callback(process.stop)
            await process.start()
        sending = asyncio.create_task(_send_on(sender))
        await until(lambda: tally.count > 0, "something is counted")
        between = 0
        for _ in range(KILLS):
            counted = tally.count
            await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
            between += tally.count > counted
            victim = chance.choice(group)
            if chance.random() < SUSPENDED_SHARE:
                with victim.suspended():
                    await asyncio.sleep(chance.uniform(*SUSPENDED_SECONDS))
                continue
            await victim.kill()
            await victim.start()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await sender.confirmed()
        await until(lambda: tally.count >= sender.sent, f"{sender.sent} events are counted", SETTLE_SECONDS)
        await _read_to_the_end(kafka, tally)
    print(
        f"{KILLS} kills and hangs in {time.monotonic() - began:.0f} s, {sender.sent} events, progress between {between} of them"
    )
    assert tally.counts == sender.truth
    assert between >= KILLS / 4, "the consumers were hardly ever reading when they were killed"


async def _send_on(sender: Sender) -> None:
    while True:
        await sender.send(TOPIC, BURST)
        await asyncio.sleep(PAUSE_SECONDS)


async def _read_to_the_end(kafka: Broker, tally: Tally) -> None:
    """Whatever would be counted twice has been by the time that all partitions are read."""
    ends = await kafka.ends(TOPIC, PARTITIONS)

    def read() -> bool:
        held = tally.read_positions("kafka:shop")
        return all(int(held.get(f"{TOPIC}/{part}", "0")) >= end for part, end in ends.items())

    await until(read, "every partition is read to its end", SETTLE_SECONDS)
