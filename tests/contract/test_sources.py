"""Alertmanagers of several clusters post to one receiver: what looks the same there is not the same."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.contract.conftest import AUTH, Client, StartReceiver
from tests.contract.test_receiver import HOOK, Sink, alert, body, config, metric, settle, sink  # noqa: F401 - sink is a fixture


async def post(client: Client, source: str, *alerts: dict[str, Any]) -> int:
    answer = await client.post(f"{HOOK}?source={source}", data=body(*alerts), headers=AUTH)
    assert answer.status == 200, await answer.text()
    new: int = (await answer.json())["new"]
    return new


@pytest.fixture
async def europe() -> AsyncIterator[str]:
    """The API of an Alertmanager that holds no alert, up since the epoch."""

    async def alerts(_: web.Request) -> web.Response:
        return web.json_response([])

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"uptime": "1970-01-01T00:00:01.000Z"})

    app = web.Application()
    app.add_routes([web.get("/api/v2/alerts", alerts), web.get("/api/v2/status", status)])
    async with TestServer(app) as running:
        yield str(running.make_url(""))


async def test_equal_alerts_of_two_sources_begin_and_end_apart(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, receiver = await start_receiver(config(sink))
    assert await post(client, "eu", alert()) == 1
    assert await post(client, "eu", alert()) == 0, "of an HA pair the second tells nothing new"
    assert await post(client, "us", alert()) == 1
    await settle(receiver, sink, 2)
    await post(client, "eu", alert(status="resolved"))
    await settle(receiver, sink, 3)
    shown = await (await client.get("/v1/incidents", headers=AUTH)).json()
    found = {one["alerts"][0]["source"]: one["state"] for one in shown["incidents"]}
    assert found == {"us": "open", "eu": "resolved"}


async def test_what_one_source_no_longer_holds_ends_there_alone(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    europe: str,
) -> None:
    client, receiver = await start_receiver(config(sink, f"alertmanagers: [{{url: '{europe}', source: eu}}]\n"))
    now = [1000.0]
    receiver.reconciler._now = lambda: now[0]
    await post(client, "eu", alert())
    await post(client, "us", alert())
    await settle(receiver, sink, 2)
    for now[0] in (2000.0, 3000.0):
        await receiver.reconciler.poll()
    await settle(receiver, sink, 3)
    states = (await receiver.store.figures()).incidents
    assert states == {"vanished": 1, "open": 1}


async def test_one_source_that_fell_silent_puts_the_resolves_of_that_one_in_doubt(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, receiver = await start_receiver(config(sink))
    for source in ("eu", "us"):
        await post(client, source, alert("Watchdog"), alert())
    await post(client, "eu", alert("Watchdog", "resolved"))
    await settle(receiver, sink, 2)
    for source in ("eu", "us"):
        await post(client, source, alert(status="resolved"))
    await settle(receiver, sink, 4)
    assert (await receiver.store.figures()).incidents == {"source_lost": 1, "resolved": 1}


async def test_the_source_heard_of_least_is_the_one_that_counts(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    europe: str,
) -> None:
    both = f"alertmanagers: [{{url: '{europe}', source: eu}}, {{url: '{europe}', source: us}}]\n"
    client, _ = await start_receiver(config(sink, both))
    await post(client, "eu", alert("Watchdog"))
    assert await metric(client, "tocsin_receiver_watchdog_last_seen_timestamp_seconds 0.0")
    await post(client, "us", alert("Watchdog"))
    assert await metric(client, "tocsin_receiver_watchdog_last_seen_timestamp_seconds 1000.0")


@pytest.mark.parametrize("source", ["a/b", "a b", "-a", "x" * 64, "ü"])
async def test_a_source_that_is_no_name_is_refused(start_receiver: StartReceiver, sink: Sink, source: str) -> None:  # noqa: F811 - the fixture
    client, _ = await start_receiver(config(sink))
    answer = await client.post(HOOK, params={"source": source}, data=body(alert()), headers=AUTH)
    assert (answer.status, await answer.text()) == (
        400,
        "source: a name of letters, digits, '_', '.' and '-' is expected\n",
    )
