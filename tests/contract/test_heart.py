"""Heartbeats over real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from receiver.app import secret_urls
from receiver.metrics import ReceiverMetrics
from receiver.settings import Heartbeat
from receiver.upkeep.audit import Finding
from receiver.upkeep.heart import Heart
from tests.contract.conftest import AUTH, StartReceiver
from tests.contract.test_receiver import NO_TARGET, alert, metric, post
from toolkit.secretfile import SecretFile

PATH = "/ping/a-secret-uuid-4711"


@dataclass
class Outside:
    """A service that listens for heartbeats, and what the receiver knows."""

    url: str = ""
    status: int = 200
    beats: int = 0
    watchdog: float | None = 1000.0
    findings: dict[Finding, int] = field(default_factory=dict)
    leads: bool = True

    async def take(self, _: web.Request) -> web.Response:
        self.beats += 1
        return web.Response(status=self.status, headers={"Location": PATH} if self.status == 302 else {})


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    found = Outside()
    app = web.Application()
    app.add_routes([web.get(PATH, found.take)])
    async with TestServer(app) as server:
        found.url = str(server.make_url(PATH))
        yield found


CASES = [
    ("all is well", {}, 1, "sent"),
    ("the service refuses", {"status": 404}, 1, "failed"),
    ("the service leads elsewhere: nobody follows with a secret", {"status": 302}, 1, "failed"),
    ("the service is away", {"url": "http://127.0.0.1:1/ping/a-secret-uuid-4711"}, 0, "failed"),
    ("the Watchdog is silent", {"watchdog": 1.0}, 0, "watchdog_missing"),
    ("something stands still", {"findings": {"rows_overdue": 1}}, 0, "audit_failed"),
    ("another replica leads", {"leads": False}, 0, None),
]


@pytest.mark.parametrize(("given", "beats", "result"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
async def test_it_beats_when_all_is_well_and_says_why_not(
    outside: Outside,
    given: dict[str, object],
    beats: int,
    result: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in given.items():
        setattr(outside, name, value)

    async def watchdog() -> float | None:
        return outside.watchdog

    async def leads() -> bool:
        return outside.leads

    metrics = ReceiverMetrics(CollectorRegistry())
    (tmp_path / "url").write_text(outside.url)
    now = [0.0]
    async with aiohttp.ClientSession() as session:
        heart = Heart(
            session,
            lambda: None,
            watchdog,
            lambda: outside.findings,
            leads,
            metrics,
            lambda: now[0],
            structlog.get_logger(),
        )
        now[0] = 1030.0
        await heart.beat(Heartbeat.model_construct(url_file=SecretFile(tmp_path / "url")))
    assert outside.beats == beats
    counted = {
        sample.labels["result"]: sample.value
        for family in metrics.heartbeats.collect()
        for sample in family.samples
        if sample.value
    }
    assert counted == ({result: 1.0} if result else {})
    assert "secret-uuid" not in capsys.readouterr().out


async def test_a_receiver_with_a_heartbeat_beats_by_what_its_store_holds(
    start_receiver: StartReceiver, outside: Outside
) -> None:
    client, receiver = await start_receiver(f"{NO_TARGET}heartbeat: {{url: '{outside.url}'}}\n")
    heartbeat = receiver.pipeline.settings.config.heartbeat
    assert heartbeat is not None
    await post(client, alert("Watchdog"))
    await receiver.heart.beat(heartbeat)
    assert outside.beats == 1
    assert await metric(client, 'tocsin_receiver_heartbeats_total{result="sent"} 1.0')
    assert (await client.get("/-/ready", headers=AUTH)).status == 200


async def test_the_address_is_among_those_that_are_masked(start_receiver: StartReceiver, outside: Outside) -> None:
    _, receiver = await start_receiver(f"{NO_TARGET}heartbeat: {{url: '{outside.url}'}}\n")
    assert list(secret_urls(receiver.pipeline.settings.config)) == [outside.url]
