"""Reconciliation with real HTTP, a real database, and for the API itself a real Alertmanager."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.reconciler import Reconciler
from tests.contract.conftest import AUTH, StartReceiver
from tests.contract.test_receiver import Sink, alert, config, metric, post, settle, sink  # noqa: F401 - sink is a fixture
from tests.support.running import binaries
from tests.support.stack import Ports
from toolkit.alertmanager import Alertmanager, Unreachable

STATUS = {"uptime": "1970-01-01T00:00:01.000Z"}


class Server:
    """An Alertmanager's API, answering as told."""

    def __init__(self) -> None:
        self.holds: list[str] = []
        self.status = 200

    async def alerts(self, _: web.Request) -> web.Response:
        held = [{"fingerprint": one, "labels": {}, "startsAt": "2026-11-20T10:00:00Z"} for one in self.holds]
        return web.json_response(held, status=self.status)

    async def state(self, _: web.Request) -> web.Response:
        return web.json_response(STATUS)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    found = Server()
    app = web.Application()
    app.add_routes([web.get("/api/v2/alerts", found.alerts), web.get("/api/v2/status", found.state)])
    async with TestServer(app) as running:
        yield found, str(running.make_url(""))


async def test_a_resolve_that_was_lost_is_told_once_and_for_what_it_is(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    server: tuple[Server, str],
) -> None:
    alertmanager, url = server
    client, receiver = await start_receiver(config(sink))
    await post(client, alert(pod="1"), alert(pod="2"))
    await settle(receiver, sink, 1)
    one, two = (alert(pod=pod)["fingerprint"] for pod in ("1", "2"))
    now = [2000.0]
    async with aiohttp.ClientSession() as session:
        reconciler = Reconciler(
            lambda: [Alertmanager(session, url)],
            receiver.store.held,
            receiver.pipeline.take,
            lambda labels: labels.get("alertname") == "Watchdog",
            receiver.store.leads,
            receiver.metrics,
            lambda: now[0],
            structlog.get_logger(),
        )

        async def poll(at: float, *held: str) -> None:
            now[0], alertmanager.holds = at, list(held)
            await reconciler.poll()

        await poll(1_795_000_000, one, two)
        await poll(1_795_000_060, two)
        await poll(1_795_000_400, two)
        await settle(receiver, sink, 1)
        alertmanager.status = 500
        await poll(1_795_000_460)
        alertmanager.status = 200
        await poll(1_795_000_520)
        await poll(1_795_000_830)
        await settle(receiver, sink, 2)
        await poll(1_795_002_000)
        await settle(receiver, sink, 2)
    assert sink.titles[1].startswith("[RESOLVED] Down it is")
    assert "Its resolve never came" in sink.messages[1]["message"]
    shown = await (await client.get("/v1/incidents/1", headers=AUTH)).json()
    assert shown["state"] == "vanished"
    assert await metric(client, 'tocsin_receiver_incident_decisions_total{reason="vanished"} 1.0')
    assert await metric(client, 'tocsin_receiver_reconciliations_total{result="unreachable"} 1.0')
    # the lost resolve, should it come after all, is no news
    await post(client, alert(pod="2", status="resolved"))
    await settle(receiver, sink, 2)


async def test_a_real_alertmanager_tells_what_it_holds_and_since_when_it_is_up(tmp_path: Path) -> None:
    port = Ports.free().alertmanager
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    command = [
        str(binaries() / "alertmanager"),
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 - it returns at once
    try:
        async with aiohttp.ClientSession() as session:
            server = Alertmanager(session, url)
            for _ in range(300):
                try:
                    held = await server.holdings()
                    break
                except Unreachable:
                    await asyncio.sleep(0.1)
            assert held.alerts == ()
            alerts = [{"labels": {"alertname": "Down", "pod": "1"}, "startsAt": "2026-11-20T10:00:00Z"}]
            headers = {"Content-Type": "application/json"}
            async with session.post(f"{url}/api/v2/alerts", data=json.dumps(alerts), headers=headers) as answer:
                assert answer.status == 200
            found = await server.holdings()
    finally:
        process.terminate()
        process.wait(20)
    assert [one.labels["pod"] for one in found.alerts] == ["1"]
    assert len(found.alerts[0].fingerprint) == 16
    assert found.up_since == held.up_since > 1e9
