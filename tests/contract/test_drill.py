"""Drills over HTTP: the orders, the metric, and what is known of each hop, with real servers in the others' places."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.contract.conftest import AUTH, Client, StartReceiver
from tests.contract.test_receiver import Sink, alert, config, metric, post, settle, sink  # noqa: F401 - sink is a fixture

CURRENT = "/v1/drills/current"
GAUGE = "tocsin_receiver_drill_started_timestamp_seconds"


class Others:
    """A Prometheus and an Alertmanager that answer as told."""

    def __init__(self) -> None:
        self.url, self.value, self.fires, self.holds, self.filters = "", 0.0, False, False, list[str]()

    async def query(self, request: web.Request) -> web.Response:
        asked = str((await request.post())["query"])
        samples = [self.value] if GAUGE in asked else [1.0] if self.fires else []
        result = [{"metric": {}, "value": [0, str(value)]} for value in samples]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    async def alerts(self, request: web.Request) -> web.Response:
        self.filters = request.query.getall("filter")
        held = [{"fingerprint": "f", "labels": {}, "startsAt": "2026-11-20T10:00:00Z"}]
        return web.json_response(held if self.holds else [])

    async def status(self, _: web.Request) -> web.Response:
        return web.json_response({"uptime": "2026-11-20T10:00:00Z"})

    @property
    def configured(self) -> str:
        return f"prometheus: {{url: '{self.url}'}}\nalertmanagers: [{{url: '{self.url}'}}]\n"


@pytest.fixture
async def others() -> AsyncIterator[Others]:
    found = Others()
    app = web.Application()
    app.add_routes(
        [
            web.post("/api/v1/query", found.query),
            web.get("/api/v2/alerts", found.alerts),
            web.get("/api/v2/status", found.status),
        ]
    )
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


async def order(client: Client, body: Any = None) -> tuple[int, str]:
    answer = await client.post("/v1/drills", data=None if body is None else json.dumps(body), headers=AUTH)
    return answer.status, await answer.text()


async def states(client: Client, phase: str = "firing") -> dict[str, str]:
    answer = await client.get(CURRENT, headers=AUTH)
    assert answer.status == 200
    found = [hop for hop in (await answer.json())["hops"] if hop["phase"] == phase]
    return {f"{hop['name']} {hop['target']}".strip(): hop["state"] for hop in found}


def drilled(status: str = "firing") -> dict[str, Any]:
    return alert("TocsinDrill", status, drill="true", severity="info")


async def test_a_drill_is_followed_hop_by_hop(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    others: Others,
) -> None:
    client, receiver = await start_receiver(config(sink, others.configured))
    assert (await client.get(CURRENT, headers=AUTH)).status == 404
    assert (await order(client))[0] == 201
    assert await metric(client, f"{GAUGE} 1000.0")
    chain = ["metric", "scrape", "rule", "alertmanager", "webhook", "incident", "target inbox"]

    async def at(hop: str | None, phase: str = "firing") -> None:
        found = await states(client, phase)
        assert list(found) == chain
        done = chain.index(hop) if hop else len(chain)
        assert [found[name] for name in chain[:done]] == ["done"] * done
        assert all(found[name] == "waiting" for name in chain[done:])

    await at("scrape")
    others.value = 1000.0
    await at("rule")
    others.fires = True
    await at("alertmanager")
    others.holds = True
    await at("webhook")
    assert others.filters == ['alertname="TocsinDrill"', 'drill="true"']
    await post(client, drilled())
    await at("incident")
    await settle(receiver, sink, 1)
    await at(None)
    assert (await client.delete(CURRENT, headers=AUTH)).status == 204
    assert await metric(client, f"{GAUGE} 0.0")
    await at("scrape", "resolved")
    others.value, others.fires, others.holds = 0.0, False, False
    await at("webhook", "resolved")
    await post(client, drilled("resolved"))
    await settle(receiver, sink, 2)
    await at(None, "resolved")
    notices = (await (await client.get("/v1/incidents/1", headers=AUTH)).json())["notices"]
    assert [notice["route"] for notice in notices] == ["a drill for every target", "it was to be told that it began"]


async def test_who_is_not_configured_is_not_asked(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, _ = await start_receiver(config(sink))
    await order(client)
    found = await states(client)
    assert [found[name] for name in ("scrape", "rule", "alertmanager")] == ["skipped"] * 3


async def test_a_prometheus_that_is_away_is_named(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    away = "prometheus: {url: 'http://127.0.0.1:1'}\nalertmanagers: [{url: 'http://127.0.0.1:1'}]\n"
    client, _ = await start_receiver(config(sink, away))
    await order(client)
    hops = (await (await client.get(CURRENT, headers=AUTH)).json())["hops"]
    said = {hop["name"]: (hop["state"], hop["detail"]) for hop in hops}
    assert said["scrape"] == ("waiting", "Prometheus can't be reached (ClientConnectorError)")
    assert said["alertmanager"][0] == "waiting"
    assert "Alertmanager can't be reached" in said["alertmanager"][1]


async def test_a_sink_that_refuses_is_told_in_its_words(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, receiver = await start_receiver(config(sink))
    sink.status = 404
    await order(client)
    await post(client, drilled())
    await settle(receiver, sink, 0)
    hops = (await (await client.get(CURRENT, headers=AUTH)).json())["hops"]
    assert hops[-1]["state"] == "failed"
    assert hops[-1]["detail"].startswith("failed: ")


async def test_it_goes_to_the_target_that_was_asked_for_whatever_the_routes_say(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    second = f"  - {{name: other, url: 'json://127.0.0.1:{sink.port}/inbox'}}\nroutes: [{{targets: []}}]\n"
    targets = f"auth: {{bearer_token_files: [token]}}\ntargets:\n  - {{name: inbox, url: 'json://127.0.0.1:{sink.port}/inbox'}}\n"
    client, receiver = await start_receiver(targets + second)
    assert (await order(client, {"target": "inbox"}))[0] == 201
    await post(client, drilled())
    await settle(receiver, sink, 1)
    assert list(await states(client))[-1] == "target inbox"


ORDERS = [
    ("a target that is not there", {"target": "inbocks"}, 400, "no target is named 'inbocks'; did you mean 'inbox'?\n"),
    ("a key that is not known", {"tagret": "inbox"}, 400, "Object contains unknown field `tagret`\n"),
    ("no object", [], 400, "Expected `object`, got `array`\n"),
]


@pytest.mark.parametrize(("body", "status", "says"), [row[1:] for row in ORDERS], ids=[row[0] for row in ORDERS])
async def test_an_order_that_makes_no_sense_is_refused(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    body: Any,
    status: int,
    says: str,
) -> None:
    client, _ = await start_receiver(config(sink))
    assert await order(client, body) == (status, says)


async def test_one_drill_at_a_time_and_none_while_the_last_fires_on(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, receiver = await start_receiver(config(sink))
    await order(client)
    assert await order(client) == (409, "a drill is under way\n")
    await post(client, drilled())
    await settle(receiver, sink, 1)
    await client.delete(CURRENT, headers=AUTH)
    assert await order(client) == (409, "the last drill's alert has not ended yet; try again in a minute\n")
    await post(client, drilled("resolved"))
    await settle(receiver, sink, 2)
    assert (await order(client))[0] == 201


async def test_without_a_target_or_a_token_there_is_no_drill(start_receiver: StartReceiver, folder: Path) -> None:
    client, _ = await start_receiver(f"auth: {{bearer_token_files: ['{folder / 'token'}']}}\n")
    assert (await client.post("/v1/drills")).status == 401
    assert await order(client) == (400, "there is no target that could be told\n")
    assert (await client.delete(CURRENT, headers=AUTH)).status == 204


async def test_a_drill_outlives_the_process_that_began_it(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, receiver = await start_receiver(config(sink))
    await order(client, {"target": "inbox"})
    await receiver.stop()
    again, receiver = await start_receiver(config(sink))
    assert await metric(again, f"{GAUGE} 1000.0")
    await post(again, drilled())
    await settle(receiver, sink, 1)
    assert (await states(again))["target inbox"] == "done"
