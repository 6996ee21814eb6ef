"""Reconciliation with real HTTP, a real database, and for the API itself a real Alertmanager."""

import asyncio
import datetime
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.upkeep.reconciler import Reconciler
from tests.contract.conftest import AUTH, TOKEN, StartReceiver
from tests.contract.test_receiver import Sink, alert, config, metric, post, settle, sink  # noqa: F401 - sink is a fixture
from tests.support.ports import free_ports
from tests.support.running import binaries
from toolkit.alertmanager import Alertmanager, Unreachable

STATUS = {"uptime": "1970-01-01T00:00:01.000Z"}


class Server:
    """An Alertmanager's API, answering as told."""

    def __init__(self) -> None:
        self.holds: list[str] = []
        self.watchdog_at = ""
        self.status = 200

    async def alerts(self, _: web.Request) -> web.Response:
        held: list[dict[str, Any]] = [
            {"fingerprint": one, "labels": {}, "startsAt": "2026-11-20T10:00:00Z"} for one in self.holds
        ]
        if self.watchdog_at:
            held.append({**held[0], "labels": {"alertname": "Watchdog"}, "updatedAt": self.watchdog_at})
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
            lambda: [("", Alertmanager(session, url))],
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


async def test_a_resolve_while_prometheus_is_silent_is_told_as_one_in_doubt(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    server: tuple[Server, str],
) -> None:
    alertmanager, url = server
    client, receiver = await start_receiver(config(sink, f"alertmanagers: [{{url: '{url}'}}]\n"))
    await post(client, alert(pod="1"))
    await settle(receiver, sink, 1)
    await post(client, alert("Other"))
    await settle(receiver, sink, 2)
    alertmanager.holds = [alert(pod="1")["fingerprint"]]
    # the receiver's clock stands at 1970-01-01T00:16:40, and the Alertmanager is up since 00:00:01
    alertmanager.watchdog_at = "1970-01-01T00:16:00Z"
    await receiver.reconciler.poll()
    await post(client, alert(pod="1", status="resolved"))
    await settle(receiver, sink, 3)
    assert sink.titles[2].startswith("[RESOLVED]")
    alertmanager.watchdog_at = "1970-01-01T00:12:00Z"
    receiver.reconciler._watchdogs.clear()
    await receiver.reconciler.poll()
    await post(client, alert("Other", "resolved"))
    await settle(receiver, sink, 4)
    assert sink.titles[3].startswith("[SOURCE LOST] Other it is")
    assert "Prometheus has fallen silent" in sink.messages[3]["message"]
    shown = await (await client.get("/v1/incidents/2", headers=AUTH)).json()
    assert shown["state"] == "source_lost"
    # it is back, and so is the alert: the same incident
    await post(client, {**alert("Other"), "startsAt": "2026-11-20T11:02:00Z"})
    await settle(receiver, sink, 5)
    assert (await (await client.get("/v1/incidents/2", headers=AUTH)).json())["state"] == "reopened"


async def test_what_a_real_alertmanager_left_out_of_a_webhook_is_asked_for(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    port = free_ports(1)[0]
    client, receiver = await start_receiver(
        config(sink, f"alertmanagers: [{{url: 'http://127.0.0.1:{port}'}}]\ncorrelation: {{labels: [alertname]}}\n")
    )
    hook = {
        "url": str(client.make_url("/webhook/alertmanager")),
        "max_alerts": 1,
        "http_config": {"authorization": {"credentials": TOKEN}},
    }
    route = {"receiver": "team.a", "group_by": ["alertname"], "group_wait": "1s"}
    configuration = {"route": route, "receivers": [{"name": "team.a", "webhook_configs": [hook]}]}
    async with alertmanager_at(port, tmp_path, json.dumps(configuration)) as url:
        await fire(url, *({"alertname": "Down", "pod": str(number)} for number in range(5)))
        fill = asyncio.create_task(receiver.reconciler.fill())
        try:
            for _ in range(300):
                await receiver.pipeline.process()
                answer = await client.get("/v1/incidents/1", headers=AUTH)
                held = (await answer.json())["alerts"] if answer.status == 200 else []
                if len(held) == 5:
                    break
                await asyncio.sleep(0.1)
        finally:
            fill.cancel()
    assert {one["labels"]["pod"] for one in held} == set("01234")
    assert sorted(one["origin"] for one in held) == ["filled_in"] * 4 + ["webhook"]


@asynccontextmanager
async def alertmanager_at(port: int, folder: Path, configuration: str) -> AsyncIterator[str]:
    """A real Alertmanager, ready; its URL."""
    (folder / "alertmanager.yml").write_text(configuration)
    command = [
        str(binaries() / "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with (folder / "alertmanager.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(300):
                try:
                    await Alertmanager(session, url).holdings()
                    break
                except Unreachable:
                    await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def fire(url: str, *labels: dict[str, str]) -> None:
    """Gives a real Alertmanager alerts with these labels."""
    # begun now: of one that began longer ago than `group_wait` an Alertmanager tells at once, without the others
    begun = datetime.datetime.now(datetime.UTC).isoformat()
    alerts = [{"labels": one, "startsAt": begun} for one in labels]
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v2/alerts", data=json.dumps(alerts), headers=headers) as answer,
    ):
        assert answer.status == 200


async def test_a_real_alertmanager_tells_what_it_holds_and_since_when_it_is_up(tmp_path: Path) -> None:
    nobody = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
    async with (
        alertmanager_at(free_ports(1)[0], tmp_path, nobody) as url,
        aiohttp.ClientSession() as session,
    ):
        server = Alertmanager(session, url)
        held = await server.holdings()
        assert held.alerts == ()
        await fire(url, {"alertname": "Down", "pod": "1"})
        found = await server.holdings()
    (one,) = found.alerts
    assert (one.labels["pod"], one.active, one.receivers, len(one.fingerprint)) == ("1", True, ("nobody",), 16)
    assert one.updated_at > 1e9
    assert found.up_since == held.up_since > 1e9
