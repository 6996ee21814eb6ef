"""How long a message takes: from the webhook to Apprise's request, and from a metric's change to it.

The sink is an HTTP server in this process; what reaches it was sent by Apprise. The baseline of the whole chain is a
bare webhook: the same Alertmanager tells a plain HTTP server of the same alert, in the same run.
"""

import asyncio
import contextlib
import functools
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.bench.figure import Bench, Figure, quantile
from tests.support.running import FAST, Running
from tests.support.sandbox import Sandbox
from tests.support.stack import Ports, Stack

WEBHOOKS = 200
FLIPS = 20
P95_BAR_SECONDS = 3.0


class World:
    """A gauge to flip, a sink for Apprise, and a bare webhook beside it."""

    def __init__(self) -> None:
        self.gauge = 0
        self.told: list[tuple[float, str]] = []
        self.bare: list[tuple[float, str]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/metrics", self.metrics), web.post("/sink", self.sink), web.post("/bare", self.hook)])
        return app

    def both_saw(self, state: str) -> bool:
        return all(any(seen == state for _, seen in log) for log in (self.told, self.bare))

    def told_at_least(self, count: int) -> bool:
        return len(self.told) >= count

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=f"flip {self.gauge}\n")

    async def sink(self, request: web.Request) -> web.Response:
        title = (await request.json())["title"]
        self.told.append((time.monotonic(), "resolved" if "RESOLVED" in title else "firing"))
        return web.Response()

    async def hook(self, request: web.Request) -> web.Response:
        self.bare.append((time.monotonic(), (await request.json())["status"]))
        return web.Response()


@contextlib.asynccontextmanager
async def served(world: World, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(world.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def stack(binaries: Path, world: World, *names: str) -> AsyncIterator[Running]:
    """The named processes with a rule on our gauge and every interval at one second."""
    with tempfile.TemporaryDirectory() as folder:
        it = Stack(folder=Path(folder), binaries=binaries, ports=Ports.free(), pace=FAST)
        it.prepare()
        _aim_at(it)
        async with served(world, it.ports.sandbox), aiohttp.ClientSession() as session:
            run = Running(it, Sandbox(), session)
            try:
                await run.start(*names)
                yield run
            finally:
                await run.close()


def _aim_at(it: Stack) -> None:
    """One scrape job and one rule for the gauge, and the bare webhook as a second receiver."""
    sandbox = it.ports.url("sandbox")
    prometheus = yaml.safe_load((it.folder / "prometheus.yml").read_text())
    target = {"job_name": "flip", "static_configs": [{"targets": [f"127.0.0.1:{it.ports.sandbox}"]}]}
    prometheus["scrape_configs"] = [target]
    prometheus["rule_files"] = [str(it.folder / "flip.yml")]
    rule = {
        "alert": "Flip",
        "expr": "flip > 0",
        "labels": {"severity": "warning"},
        "annotations": {"value_query": "flip"},
    }
    (it.folder / "flip.yml").write_text(yaml.safe_dump({"groups": [{"name": "flip", "rules": [rule]}]}))
    (it.folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus))
    alertmanager = yaml.safe_load((it.folder / "alertmanager.yml").read_text())
    tocsin = next(receiver for receiver in alertmanager["receivers"] if receiver["name"] == "tocsin")
    alertmanager["receivers"] = [tocsin, {"name": "bare", "webhook_configs": [{"url": f"{sandbox}/bare"}]}]
    alertmanager["route"]["routes"] = [{"receiver": "bare", "continue": True}, {"receiver": "tocsin"}]
    del alertmanager["inhibit_rules"]
    (it.folder / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager))
    receiver = (it.folder / "receiver.yml").read_text().replace("/inbox", "/sink")
    (it.folder / "receiver.yml").write_text(receiver)


def _body(number: int) -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": f"Bench{number}", "severity": "warning"},
        "annotations": {"summary": f"bench {number}"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:016x}",
    }
    return json.dumps({"version": "4", "alerts": [alert]}).encode()


async def webhook(binaries: Path) -> Sequence[Figure]:
    """From the first byte of a webhook to Apprise's request at the sink, one alert at a time."""
    world = World()
    async with stack(binaries, world, "receiver") as run:
        headers = {"Authorization": f"Bearer {run.stack.token_file.read_text()}"}
        told, answered, bare = [], [], []
        for number in range(WEBHOOKS):
            started = time.monotonic()
            async with run.session.post(
                f"{run.stack.ports.url('sandbox')}/bare", data=b'{"status": "firing"}'
            ) as answer:
                await answer.read()
            bare.append(time.monotonic() - started)
            started = time.monotonic()
            async with run.session.post(
                f"{run.stack.ports.url('receiver')}/webhook/alertmanager", data=_body(number), headers=headers
            ) as answer:
                assert answer.status == 200, await answer.text()
            answered.append(time.monotonic() - started)
            await run.until(functools.partial(world.told_at_least, number + 1), "told", seconds=20)
            told.append(world.told[-1][0] - started)
    text = f"p50 {quantile(told, 0.5) * 1e3:.0f} ms, p95 {quantile(told, 0.95) * 1e3:.0f} ms; answered in p95 {quantile(answered, 0.95) * 1e3:.0f} ms"
    ratio = quantile(told, 0.5) / quantile(bare, 0.5)
    return [Figure("webhook to Apprise", ratio, "a bare POST to the same sink", text)]


async def flips(binaries: Path) -> Sequence[Figure]:
    """From a metric's change to Apprise's request, and to a bare webhook of the same Alertmanager."""
    world = World()
    async with stack(binaries, world, "receiver", "alertmanager", "prometheus") as run:

        async def connected() -> bool:
            known: Any = await run.get("prometheus", "/api/v1/alertmanagers")
            return bool(known["data"]["activeAlertmanagers"])

        await run.until(connected, "Prometheus knows Alertmanager", seconds=45)
        figures = []
        took: dict[str, tuple[list[float], list[float]]] = {"firing": ([], []), "resolved": ([], [])}
        for number in range(2 * FLIPS):
            state = "firing" if number % 2 == 0 else "resolved"
            world.told.clear()
            world.bare.clear()
            # between two scrapes, at a different moment each time
            await asyncio.sleep(1.5 + (number * 0.37) % 1)
            changed = time.monotonic()
            world.gauge = int(state == "firing")
            await run.until(functools.partial(world.both_saw, state), state, seconds=30)
            for kept, seen in zip(took[state], (world.told, world.bare), strict=True):
                kept.append(next(at for at, s in seen if s == state) - changed)
        for state, (ours, bare) in took.items():
            mine, theirs = quantile(ours, 0.95), quantile(bare, 0.95)
            text = f"p50 {quantile(ours, 0.5):.2f} s, p95 {mine:.2f} s; bare p50 {quantile(bare, 0.5):.2f} s, p95 {theirs:.2f} s; bar {P95_BAR_SECONDS:g} s"
            figures.append(
                Figure(
                    f"metric change to Apprise, {state}, {FLIPS} flips",
                    mine / theirs,
                    "a bare webhook, p95",
                    text,
                    mine > P95_BAR_SECONDS,
                )
            )
    return figures


WEBHOOK = Bench("webhook", f"{WEBHOOKS} webhooks, one alert each, to Apprise's request", webhook)
FLIPPED = Bench("flips", f"{FLIPS} flips of a metric to Apprise's request, every interval 1 s", flips)
