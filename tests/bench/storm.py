"""A storm: ten thousand alerts in a minute over forty services, as Alertmanager groups them.

What people are spared is told as messages per incident, channel and minute; beside it whether every alert can be found
in its incident, and by how much the receiver's memory grows. The baseline is what Alertmanager's own webhook would have
said: a message for each notification that it posted.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.bench.figure import Bench, Figure
from tests.bench.load import Load, posted
from tests.bench.serving import receiver

CHANNELS = ("page", "chat")
STORM = Load("/webhook/alertmanager", posts=100, at_once=50, rate=100 / 60, alerts_each=100, services=40)
WARM_UP = Load("/webhook/alertmanager", posts=4, at_once=1, first=1_000_000, alerts_each=100, services=4)
ALERTS = STORM.posts * STORM.alerts_each
MESSAGES_BAR = 1
MEMORY_BAR_BYTES = 150 * 2**20
PATIENCE_SECONDS = 300.0
WAITING = (
    "tocsin_receiver_events_unprocessed ",
    *(f'tocsin_receiver_outbox{{state="{state}"}} ' for state in ("planned", "sending", "failed", "unknown")),
)


class Channels:
    """Where people are told: how often."""

    def __init__(self) -> None:
        self.told = 0

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        self.told += 1
        return web.Response()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Channels, str]]:
    """The channels, and their URL for Apprise."""
    channels, app = Channels(), web.Application()
    app.add_routes([web.post("/{channel}", channels.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield channels, f"json://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def run(_: Path) -> Sequence[Figure]:
    """The storm on our receiver, and what it came to."""
    async with served() as (channels, url):
        with tempfile.TemporaryDirectory() as folder:
            async with receiver(Path(folder), _config(url)) as it, aiohttp.ClientSession(it.url) as api:
                await posted(replace(WARM_UP, url=it.url + WARM_UP.url))
                await _quiet(api)
                channels.told, before = 0, it.rss()
                came = await posted(replace(STORM, url=it.url + STORM.url))
                await _quiet(api)
                grown = it.peak() - before
                incidents = await _incidents(api)
    assert came.acknowledged == STORM.posts, came.answers
    return [_messages(channels.told, incidents), _visible(incidents), _memory(grown)]


def _config(url: str) -> str:
    targets = ", ".join(f"{{name: {name}, url: '{url}/{name}'}}" for name in CHANNELS)
    return f"correlation: {{labels: [alertname, service]}}\ntargets: [{targets}]\n"


async def _quiet(api: aiohttp.ClientSession) -> None:
    """Waits until every event is worked on and every message is out."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        async with api.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        waiting = [line for line in lines if line.startswith(WAITING) and not line.endswith(" 0.0")]
        if not waiting:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"not quiet after {PATIENCE_SECONDS:g} s: {waiting}")


async def _incidents(api: aiohttp.ClientSession) -> list[Any]:
    """Every incident as the API shows it, with its alerts and messages."""
    async with api.get("/v1/incidents") as answer:
        newest = max(one["id"] for one in (await answer.json())["incidents"])
    found = []
    for number in range(1, newest + 1):
        async with api.get(f"/v1/incidents/{number}") as answer:
            found.append(await answer.json())
    return found


def _messages(told: int, incidents: Sequence[Any]) -> Figure:
    sent: dict[tuple[int, str], list[float]] = defaultdict(list)
    for one in incidents:
        for notice in one["notices"]:
            sent[one["id"], notice["target"]] += [
                attempt["ended_at"] for attempt in notice["deliveries"] if attempt["result"] == "sent"
            ]
    most = max((_in_a_minute(times) for times in sent.values()), default=0)
    posts = STORM.posts * len(CHANNELS)
    text = (
        f"{told} messages to {len(CHANNELS)} channels of {len(incidents)} incidents; at most {most} of an incident to a "
        f"channel in a minute; bar {MESSAGES_BAR}"
    )
    return Figure(
        f"messages in a storm of {ALERTS:,} alerts", told / posts, "a message each post", text, most > MESSAGES_BAR
    )


def _in_a_minute(times: Sequence[float]) -> int:
    """The most that came within any 60 s."""
    return max((sum(start <= other < start + 60 for other in times) for start in times), default=0)


def _visible(incidents: Sequence[Any]) -> Figure:
    shown = {alert["fingerprint"] for one in incidents for alert in one["alerts"]}
    seen = sum(f"{number:016x}" in shown for number in range(STORM.first, STORM.first + ALERTS))
    text = f"{seen:,} of {ALERTS:,} can be read at /v1/incidents/ID"
    return Figure("alerts found in their incidents", seen / ALERTS, "alerts posted", text, seen < ALERTS)


def _memory(grown: int) -> Figure:
    text = f"peak {grown / 2**20:.0f} MiB above what it held before; bar {MEMORY_BAR_BYTES // 2**20} MiB"
    return Figure("memory in a storm", None, "-", text, grown > MEMORY_BAR_BYTES)


BENCH = Bench("storm", f"{ALERTS:,} alerts in a minute: messages, what is shown, memory", run)
