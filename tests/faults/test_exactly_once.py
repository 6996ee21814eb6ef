"""Exporters are killed with SIGKILL, or made to hang, at random while events come over HTTP and by Kafka: no event is
lost or doubled, nor what a rule about keys decides of them, in the counters and as a real Prometheus sees them."""

import asyncio
import contextlib
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.support import postgres
from tests.support.gateway import Gateway
from tests.support.kafka import Sender, broker
from tests.support.ports import free_ports
from tests.support.processes import Process, until
from tests.support.prometheuses import prometheus

KILLS = int(os.environ.get("TOCSIN_EVENT_KILLS", "24"))
"""For each of the two worlds; `make faults` takes few, to take minutes."""
PARTITIONS = 12
BURST, PAUSE_SECONDS = 2000, 0.1
BODY_EVENTS = 1000
POSTERS = 3
LONGEST_LIFE = 3.0
"""Seconds from one kill to the next, at most: some fall into a start, some into a commit, some into a rebalance."""
SUSPENDED_SHARE = 0.25
SUSPENDED_SECONDS = (1.5, 3.0)
"""How often an exporter hangs and is not killed, for longer than its session with Kafka."""
SETTLE_SECONDS = 300.0
ORDERS = 20
"""Orders that are placed together, BURST's pause apart."""
PLACED_AGO = 10.0
"""Seconds: all that an order's messages say happened before they are sent. The rest of the rule's `lateness` they may
be on their way."""
PAID = {
    "name": "paid",
    "metric": "paid_total",
    "help": "P.",
    "owner": "me",
    "key": "order",
    "after": "placed",
    "expect": "paid",
    "within": "5s",
    "forget": "10s",
    "lateness": "60s",
    "max_keys": 1_000_000,
}
OUTCOMES = ("completed", "missed", "late", "unexpected", "unknown", "keyless", "untimely", "crowded", "evicted")
SEED = 6
COUNTERS = r'^(?:([he][0-4])_total|paid_total\{outcome="(\w+)"\}) (\d+)$'
BINARIES = Path(os.environ.get("TOCSIN_BINARIES", ""))


class Producer:
    """Posts bodies of events, each with a key, again and again until it is answered with 200."""

    def __init__(self, url: str, session: aiohttp.ClientSession, name: str) -> None:
        self._url, self._session, self._name = url, session, name
        self.truth: Counter[str] = Counter()
        self.repeats = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Posts until it is told to stop; what was begun is brought to its end."""
        number = 0
        while not stop.is_set():
            names = [f"h{(number + event) % 5}" for event in range(BODY_EVENTS)]
            await self._posted("\n".join(json.dumps({"event": name}) for name in names), f"{self._name}-{number}")
            self.truth.update(names)
            number += 1

    async def _posted(self, body: str, key: str) -> None:
        headers = {"Idempotency-Key": key, "Content-Type": "application/x-ndjson"}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.post(f"{self._url}/v1/events", data=body, headers=headers) as answer:
                    if answer.status == 200:
                        return
            self.repeats += 1
            await asyncio.sleep(0.05)


class Orders:
    """Places orders in a topic, each message keyed by its order: of three, one is paid in time, one late, one never."""

    def __init__(self, sender: Sender, topic: str) -> None:
        self._sender, self._topic = sender, topic
        self.truth: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))

    async def run(self, stop: asyncio.Event) -> None:
        """Goes on until it is told to stop; what was begun is brought to its end."""
        number = 0
        while not stop.is_set():
            for _ in range(ORDERS):
                await self._order(number)
                number += 1
            await self._sender.confirmed()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _order(self, number: int) -> None:
        at, late = time.time() - PLACED_AGO, number % 3 == 1
        await self._put("placed", number, at)
        if number % 3 < 2:
            await self._put("paid", number, at + (8 if late else 3))
        self.truth.update(("completed",) if number % 3 == 0 else ("missed", "late") if late else ("missed",))

    async def _put(self, event: str, number: int, at: float) -> None:
        order = f"order-{number}"
        await self._sender.put(self._topic, json.dumps({"event": event, "order": order}).encode(), order, at)


def usage(**more: Any) -> str:
    """exporter.yml: five events that come over HTTP and five by Kafka, each counted."""
    names = [f"{way}{number}" for way in "he" for number in range(5)]
    rules = [{"name": name, "metric": f"{name}_total", "help": "E.", "event": name, "owner": "me"} for name in names]
    return json.dumps({"usage": {"rules": rules, **more}})


def exporter(number: int, config: Path, folder: Path, session: aiohttp.ClientSession) -> Process:
    port, own = free_ports(1)[0], folder / f"exporter-{number}"
    own.mkdir()
    argv = [sys.executable, "-m", "exporter", "run", "--config.file", str(config), "--storage.path", str(own)]
    argv += ["--web.listen-address", f"127.0.0.1:{port}"]
    return Process(f"exporter-{number}", argv, f"http://127.0.0.1:{port}", folder, session)


async def harass(group: Sequence[Process], chance: random.Random) -> None:
    """Kills one after another, or lets it hang."""
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
        victim = chance.choice(group)
        if len(group) > 1 and chance.random() < SUSPENDED_SHARE:
            with victim.suspended():
                await asyncio.sleep(chance.uniform(*SUSPENDED_SECONDS))
        else:
            await victim.kill()
            await victim.start()


async def counted(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    """The operator's counters as a scrape shows them."""
    async with session.get(f"{url}/metrics") as answer:
        found = re.findall(COUNTERS, await answer.text(), re.MULTILINE)
    return {outcome or name: int(value) for name, outcome, value in found}


async def seen(session: aiohttp.ClientSession, url: str) -> dict[str, list[int]]:
    """Every sample of each counter that Prometheus has, in their order."""
    params = {"query": '{__name__=~"[he][0-4]_total|paid_total"}[1h]'}
    async with session.get(f"{url}/api/v1/query", params=params) as answer:
        found = (await answer.json())["data"]["result"]
    names = [series["metric"].get("outcome") or series["metric"]["__name__"].removesuffix("_total") for series in found]
    assert len(set(names)) == len(names), "a counter has several series"
    return {name: [int(value) for _, value in series["values"]] for name, series in zip(names, found, strict=True)}


async def judge(session: aiohttp.ClientSession, gateway: str, server: str, truth: dict[str, int]) -> None:
    async def settled() -> bool:
        found = await counted(session, gateway)
        assert all(found[name] <= number for name, number in truth.items()), (found, truth)
        return found == truth

    await until(settled, "every event is counted", SETTLE_SECONDS)

    async def scraped() -> bool:
        samples = await seen(session, server)
        return {name: values[-1] for name, values in samples.items()} == truth

    await until(scraped, "Prometheus has scraped that", SETTLE_SECONDS)
    for name, values in (await seen(session, server)).items():
        assert values == sorted(values), f"{name} fell"
        assert values[0] == 0, f"{name} was first seen at {values[0]}"
        assert values[-1] - values[0] == truth[name]


async def posted(url: str, session: aiohttp.ClientSession, group: Sequence[Process]) -> tuple[Counter[str], int]:
    """What was posted while exporters were killed, and how often a post was repeated."""
    stop, posters = asyncio.Event(), [Producer(url, session, f"poster-{number}") for number in range(POSTERS)]
    work = [asyncio.create_task(one.run(stop)) for one in posters]
    await harass(group, random.Random(SEED))
    stop.set()
    await asyncio.gather(*work)
    truth = Counter[str]()
    for one in posters:
        truth.update(one.truth)
    return truth, sum(one.repeats for one in posters)


async def test_events_over_http_survive_an_exporter_that_is_killed_at_random(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").write_text(usage())
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as exits:
        session = await exits.enter_async_context(aiohttp.ClientSession())
        one = exporter(1, tmp_path / "exporter.yml", tmp_path, session)
        gateway = Gateway([one.url])
        await exits.enter_async_context(gateway.listening())
        exits.push_async_callback(one.stop)
        await one.start()
        await until(one.ready, "the exporter is ready")
        server = exits.enter_context(prometheus(BINARIES, tmp_path, scraped=[f"127.0.0.1:{gateway.port}"]))
        await until(lambda: _has_all(session, server), "Prometheus has seen every counter at 0", SETTLE_SECONDS)
        truth, repeats = await posted(gateway.url, session, [one])
        await judge(session, gateway.url, server, {**dict.fromkeys((f"e{n}" for n in range(5)), 0), **truth})
    print(
        f"{KILLS} kills in {time.monotonic() - began:.0f} s, {truth.total():,} events over HTTP, {repeats} posts repeated"
    )
    assert repeats >= KILLS / 4, "hardly a post was under way when the exporter was killed"


async def test_events_by_kafka_and_over_http_survive_three_exporters_that_are_killed_at_random(
    tmp_path: Path, server: postgres.Server
) -> None:
    began, chance = time.monotonic(), random.Random(SEED)
    async with contextlib.AsyncExitStack() as exits:
        session = await exits.enter_async_context(aiohttp.ClientSession())
        database = exits.enter_context(server.database())
        kafka = await exits.enter_async_context(broker(tmp_path))
        for topic in ("events", "orders"):
            await kafka.create(topic, PARTITIONS)
        (tmp_path / "ledger.url").write_text(database)
        batch = {"messages": 500, "wait": "20ms"}
        source = {
            "name": "shop",
            "brokers": [kafka.address],
            "topics": ["events", "orders"],
            "session_timeout": "1s",
            "batch": batch,
        }
        config = tmp_path / "exporter.yml"
        config.write_text(usage(ledger={"url_file": "ledger.url"}, sources={"kafka": [source]}, sequences=[PAID]))
        group = [exporter(number, config, tmp_path, session) for number in range(3)]
        gateway = Gateway([one.url for one in group], {"collect[]": "usage"})
        await exits.enter_async_context(gateway.listening())
        for one in group:
            exits.push_async_callback(one.stop)
            await one.start()
        await asyncio.gather(*(until(one.ready, f"{one.name} is ready") for one in group))
        prom = exits.enter_context(prometheus(BINARIES, tmp_path, scraped=[f"127.0.0.1:{gateway.port}"]))
        counters = 10 + len(OUTCOMES)
        await until(lambda: _has_all(session, prom, counters), "Prometheus has seen every counter at 0", SETTLE_SECONDS)
        sender, stop, orders = Sender(kafka.address), asyncio.Event(), Orders(Sender(kafka.address), "orders")
        sending, ordering = asyncio.create_task(_send_on(sender)), asyncio.create_task(orders.run(stop))
        truth, repeats = await posted(gateway.url, session, group)
        await asyncio.sleep(chance.uniform(0, 1))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        stop.set()
        await ordering
        await sender.confirmed()
        whole = {**truth, **{name: number for name, (number, _) in sender.truth.items()}, **orders.truth}
        await judge(session, gateway.url, prom, whole)
    print(
        f"{KILLS} kills and hangs in {time.monotonic() - began:.0f} s: {truth.total():,} events over HTTP, "
        f"{repeats} posts repeated, {sender.sent:,} events by Kafka, {orders.truth['completed'] * 3:,} orders"
    )


async def _has_all(session: aiohttp.ClientSession, server: str, counters: int = 10) -> bool:
    return len(await seen(session, server)) == counters


async def _send_on(sender: Sender) -> None:
    while True:
        await sender.send("events", BURST)
        await asyncio.sleep(PAUSE_SECONDS)
