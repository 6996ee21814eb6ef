"""The receiver over HTTP and through its pipeline, with a real database and a recording sink."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.app import Receiver
from receiver.store.store import REFUSED_KEPT
from tests.contract.conftest import AUTH, Client, StartReceiver, sql

HOOK = "/webhook/alertmanager"
NOW = 1000.0
"""What the receiver under test takes for the time, unless a test moves its clock."""
NO_TARGET = "auth: {bearer_token_files: [token]}\n"


class Sink:
    """An inbox that answers as told."""

    def __init__(self) -> None:
        self.status, self.messages, self.port = 200, list[dict[str, Any]](), 0

    async def take(self, request: web.Request) -> web.Response:
        if self.status < 300:
            self.messages.append(await request.json())
        return web.Response(status=self.status, text="told")

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = Sink()
    app = web.Application()
    app.add_routes([web.post("/inbox", sink.take)])
    async with TestServer(app) as server:
        sink.port = int(server.port or 0)
        yield sink


def config(sink: Sink, more: str = "") -> str:
    return f"{NO_TARGET}targets: [{{name: inbox, url: 'json://127.0.0.1:{sink.port}/inbox'}}]\n{more}"


def body(*alerts: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "alerts": alerts, "externalURL": "http://am"}).encode()


def alert(name: str = "Down", status: str = "firing", start: int = 0, **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} it is"},
        "startsAt": f"2026-11-20T10:00:{start:02d}Z",
        "endsAt": f"2026-11-20T11:00:{start:02d}Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": hashlib.sha256(repr((name, labels)).encode()).hexdigest()[:16],
    }


async def post(client: Client, *alerts: dict[str, Any]) -> int:
    answer = await client.post(HOOK, data=body(*alerts), headers=AUTH)
    assert answer.status == 200, await answer.text()
    new: int = (await answer.json())["new"]
    return new


async def settle(receiver: Receiver, sink: Sink, messages: int, now: float = NOW) -> None:
    """Works off what is stored, until every message due was tried and its outcome is on record."""
    await receiver.pipeline.process()
    quiet = 0
    for _ in range(400):
        due = await receiver.store.outbox.next_due("inbox")
        sending = (await receiver.store.figures()).outbox.get("sending", 0)
        # seen twice, since a row may be claimed between the two questions
        quiet = quiet + 1 if not sending and (due is None or due > now) else 0
        if quiet == 2:
            break
        await asyncio.sleep(0.05)
    assert len(sink.messages) == messages, sink.titles


async def metric(client: Client, line: str) -> bool:
    return line + "\n" in await (await client.get("/metrics", headers=AUTH)).text()


async def test_a_captured_webhook_is_told_once_however_often_it_comes(
    start_receiver: StartReceiver, sink: Sink, payloads: Path
) -> None:
    client, receiver = await start_receiver(config(sink))
    raw = json.loads((payloads / "deb12-firing.http.json").read_text())
    for new in (1, 0, 0):
        answer = await client.post(
            HOOK, data=raw["raw_body"].encode(), headers={**AUTH, "User-Agent": raw["headers"]["User-Agent"]}
        )
        assert (answer.status, await answer.json()) == (200, {"new": new})
    await settle(receiver, sink, 1)
    assert sink.titles == ["[P1 FIRING] gauge 0 is 1 · 21:54 UTC"]
    assert await metric(client, 'tocsin_receiver_alert_events_total{outcome="duplicate",status="firing"} 2.0')


async def test_firing_and_resolve_are_both_told_and_every_attempt_is_on_record(
    start_receiver: StartReceiver, sink: Sink
) -> None:
    client, receiver = await start_receiver(config(sink))
    await post(client, alert())
    await settle(receiver, sink, 1)
    await post(client, alert(status="resolved"))
    await settle(receiver, sink, 2)
    assert [title.partition("]")[0] for title in sink.titles] == ["[P2 FIRING", "[RESOLVED"]
    shown = await (await client.get("/v1/incidents/1", headers=AUTH)).json()
    assert (shown["state"], shown["revision"], len(shown["alerts"])) == ("resolved", 2, 1)
    assert [notice["state"] for notice in shown["notices"]] == ["sent", "sent"]
    assert [notice["deliveries"][0]["http_status"] for notice in shown["notices"]] == [200, 200]
    assert shown["notices"][0]["route"] == "no routes: every target"
    listed = await (await client.get("/v1/incidents", headers=AUTH)).json()
    assert [incident["id"] for incident in listed["incidents"]] == [1]


async def test_alerts_of_one_problem_are_one_message_and_those_of_another_a_second(
    start_receiver: StartReceiver, sink: Sink
) -> None:
    client, receiver = await start_receiver(config(sink))
    await post(client, *(alert(provider="mailgun", pod=str(number)) for number in range(50)), alert(provider="stripe"))
    await settle(receiver, sink, 2)
    assert sum("Alerts: 50 firing in this incident" in message["message"] for message in sink.messages) == 1


async def test_an_end_whose_beginning_could_not_be_told_takes_its_place_and_says_so(
    start_receiver: StartReceiver, sink: Sink
) -> None:
    client, receiver = await start_receiver(config(sink))
    sink.status = 500
    await post(client, alert())
    await settle(receiver, sink, 0)
    sink.status = 200
    await post(client, alert(status="resolved"))
    await settle(receiver, sink, 1)
    assert [title.partition("]")[0] for title in sink.titles] == ["[RESOLVED"]
    assert sink.messages[0]["message"].startswith("You may hear of this for the first time")
    notices = (await (await client.get("/v1/incidents/1", headers=AUTH)).json())["notices"]
    assert [(notice["state"], notice["superseded_by"]) for notice in notices] == [("superseded", 2), ("sent", None)]
    assert await metric(client, 'tocsin_receiver_outbox{state="superseded"} 1.0')


async def test_a_sink_that_fails_is_tried_again_and_every_attempt_is_on_record(
    start_receiver: StartReceiver, sink: Sink
) -> None:
    client, receiver = await start_receiver(config(sink))
    sink.status = 500
    await post(client, alert())
    await settle(receiver, sink, 0)
    notices = (await (await client.get("/v1/incidents/1", headers=AUTH)).json())["notices"]
    assert [(notice["state"], notice["attempts"]) for notice in notices] == [("failed", 1)]
    assert notices[0]["deliveries"][0]["http_status"] == 500


async def test_routes_send_to_who_is_concerned(start_receiver: StartReceiver, sink: Sink) -> None:
    more = "routes:\n  - {match: {owner: finance}, targets: [inbox]}\n  - {targets: []}\n"
    client, receiver = await start_receiver(config(sink, more))
    await post(client, alert("Bill", owner="finance"), alert("Other", owner="growth"))
    await settle(receiver, sink, 1)
    assert sink.titles[0].startswith("[P2 FIRING] Bill it is")


async def test_a_resolve_goes_to_whoever_was_told_though_the_routes_lead_elsewhere_by_then(
    start_receiver: StartReceiver, sink: Sink, folder: Path
) -> None:
    client, receiver = await start_receiver(config(sink))
    await post(client, alert())
    await settle(receiver, sink, 1)
    (folder / "receiver.yml").write_text(config(sink, "routes: [{targets: []}]\n"))
    assert (await client.post("/-/reload", headers=AUTH)).status == 200
    await post(client, alert(status="resolved"))
    await settle(receiver, sink, 2)


async def test_what_waits_for_a_target_that_is_gone_is_given_up_and_said(
    start_receiver: StartReceiver, sink: Sink, folder: Path
) -> None:
    client, receiver = await start_receiver(config(sink))
    sink.status = 500
    await post(client, alert())
    await settle(receiver, sink, 0)
    (folder / "receiver.yml").write_text(NO_TARGET)
    assert (await client.post("/-/reload", headers=AUTH)).status == 200
    notices = (await (await client.get("/v1/incidents/1", headers=AUTH)).json())["notices"]
    assert (notices[0]["state"], notices[0]["deliveries"][-1]["detail"]) == (
        "dead",
        "the target left the configuration",
    )
    assert await metric(client, 'tocsin_receiver_deliveries_total{result="dead",target="inbox"} 1.0')
    assert await metric(client, "tocsin_receiver_outbox_oldest_timestamp_seconds 0.0")


async def test_another_team_whose_alert_joins_is_told_too_and_once(start_receiver: StartReceiver, sink: Sink) -> None:
    more = "routes:\n  - {match: {team: search}, targets: [inbox]}\n  - {targets: []}\n"
    client, receiver = await start_receiver(config(sink, more))
    await post(client, alert(team="billing"))
    await settle(receiver, sink, 0)
    await post(client, alert(team="search"))
    await settle(receiver, sink, 1)
    await post(client, alert(team="search", pod="2"))
    await settle(receiver, sink, 1)


async def test_a_resolve_finds_its_incident_after_the_correlation_was_changed(
    start_receiver: StartReceiver, sink: Sink, folder: Path
) -> None:
    client, receiver = await start_receiver(config(sink))
    await post(client, alert(pod="1"))
    await settle(receiver, sink, 1)
    (folder / "receiver.yml").write_text(config(sink, "correlation: {labels: [alertname, pod]}\n"))
    await client.post("/-/reload", headers=AUTH)
    await post(client, alert(pod="1", status="resolved"))
    await settle(receiver, sink, 2)


async def test_a_partial_resolve_is_counted_as_what_it_is(start_receiver: StartReceiver, sink: Sink) -> None:
    client, _ = await start_receiver(config(sink))
    await post(client, alert(pod="1"), alert(pod="2"))
    await post(client, alert(pod="1"), alert(pod="2", status="resolved"))
    assert await metric(client, 'tocsin_receiver_alert_events_total{outcome="new",status="resolved"} 1.0')
    assert await metric(client, 'tocsin_receiver_alert_events_total{outcome="duplicate",status="firing"} 1.0')


async def test_a_message_whose_outcome_was_lost_says_that_it_may_be_a_repeat(
    start_receiver: StartReceiver, sink: Sink, any_database: str
) -> None:
    client, receiver = await start_receiver(config(sink))
    sink.status = 504
    await post(client, alert())
    await settle(receiver, sink, 0)
    sink.status = 200
    assert await sql(any_database, "select state from outbox") == [("unknown",)]
    await sql(any_database, "update outbox set next_attempt_at = 0")
    await settle(receiver, sink, 1)
    assert sink.titles[0].endswith("(may be a repeat)")


async def test_the_watchdog_is_noted_and_tells_nobody(start_receiver: StartReceiver, sink: Sink) -> None:
    client, receiver = await start_receiver(config(sink))
    assert await metric(client, "tocsin_receiver_watchdog_last_seen_timestamp_seconds 0.0")
    assert await post(client, alert("Watchdog")) == 0
    await settle(receiver, sink, 0)
    assert await metric(client, "tocsin_receiver_watchdog_last_seen_timestamp_seconds 1000.0")


async def test_a_body_that_is_none_is_kept_counted_and_refused(
    start_receiver: StartReceiver, any_database: str
) -> None:
    client, _ = await start_receiver(NO_TARGET)
    answer = await client.post(HOOK, data=b'{"version": "3"}', headers=AUTH)
    assert (answer.status, await answer.text()) == (400, "this is no webhook body of version 4: version is '3'\n")
    assert await sql(any_database, "select reason, body from refused") == [("wrong_version", b'{"version": "3"}')]
    assert await metric(client, 'tocsin_receiver_webhook_rejected_total{reason="wrong_version"} 1.0')


async def test_refused_bodies_are_kept_within_bounds(start_receiver: StartReceiver, any_database: str) -> None:
    client, _ = await start_receiver(NO_TARGET)
    for number in range(REFUSED_KEPT + 5):
        await client.post(HOOK, data=f"no {number}".encode(), headers=AUTH)
    kept = [row[0] for row in await sql(any_database, "select body from refused order by id")]
    assert (len(kept), kept[0], kept[-1]) == (REFUSED_KEPT, b"no 5", b"no 104")


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_a_locked_database_is_a_503_and_nothing_is_lost(
    start_receiver: StartReceiver, any_database: str, sink: Sink
) -> None:
    client, receiver = await start_receiver(config(sink))
    other = sqlite3.connect(any_database.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = await client.post(HOOK, data=body(alert()), headers=AUTH)
    assert (answer.status, await answer.text()) == (503, "storage is unavailable: locked\n")
    assert await metric(client, 'tocsin_receiver_webhook_rejected_total{reason="storage"} 1.0')
    other.execute("ROLLBACK")
    other.close()
    assert await post(client, alert()) == 1
    await settle(receiver, sink, 1)


async def test_while_it_stops_alertmanager_is_asked_to_come_again(start_receiver: StartReceiver) -> None:
    client, receiver = await start_receiver(NO_TARGET)
    await receiver.stop()
    assert (await client.post(HOOK, data=body(alert()), headers=AUTH)).status == 503
    assert (await client.get("/-/ready")).status == 503


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_what_was_being_sent_when_the_process_died_is_told_again_and_marked(
    start_receiver: StartReceiver, sink: Sink, any_database: str
) -> None:
    client, receiver = await start_receiver(config(sink))
    sink.status = 500
    await post(client, alert())
    await receiver.pipeline.process()
    await receiver.stop()
    await sql(any_database, "update outbox set state = 'sending'")
    sink.status = 200
    _, again = await start_receiver(config(sink))
    await settle(again, sink, 1)
    assert sink.titles[0].endswith("(may be a repeat)")


async def test_what_was_stored_but_not_worked_on_is_taken_up_by_the_next_process(
    start_receiver: StartReceiver, sink: Sink
) -> None:
    client, _ = await start_receiver(config(sink))
    await post(client, alert())
    _, again = await start_receiver(config(sink))
    await settle(again, sink, 1)


async def test_a_bad_reload_keeps_the_targets(start_receiver: StartReceiver, sink: Sink, folder: Path) -> None:
    client, receiver = await start_receiver(config(sink))
    (folder / "receiver.yml").write_text("targets: [{name: inbox, url: 'nope://'}]")
    answer = await client.post("/-/reload", headers=AUTH)
    assert answer.status == 500
    assert "receiver.yml:1:25: targets[0].url: Apprise knows no service 'nope://'" in await answer.text()
    assert await metric(client, "tocsin_receiver_config_last_reload_successful 0.0")
    await post(client, alert())
    await settle(receiver, sink, 1)


async def test_a_missing_fact_is_named_and_holds_nothing_up(start_receiver: StartReceiver, sink: Sink) -> None:
    client, receiver = await start_receiver(config(sink, "prometheus: {url: 'http://127.0.0.1:1'}\n"))
    asked = alert()
    asked["annotations"]["value_query"] = "up"
    await post(client, asked)
    await settle(receiver, sink, 1)
    assert "value: Prometheus can't be reached" in sink.messages[0]["message"]
    assert await metric(client, 'tocsin_receiver_enrichment_failures_total{enricher="value",reason="unreachable"} 1.0')


async def test_a_runbook_is_a_page_and_html_in_it_is_text(start_receiver: StartReceiver, folder: Path) -> None:
    (folder / "books").mkdir()
    (folder / "books" / "Down.md").write_text("# Down\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))")
    client, _ = await start_receiver(NO_TARGET + "runbooks: books\n")
    page = await (await client.get("/runbooks/Down", headers=AUTH)).text()
    assert "<h1>Down</h1>" in page
    assert "<script>" not in page
    assert 'href="javascript' not in page
    for path in ("/runbooks/Gone", "/runbooks/..%2ftoken", "/runbooks/%00"):
        assert (await client.get(path, headers=AUTH)).status == 404


@pytest.mark.parametrize(
    "path", ["/v1/incidents/1", "/v1/incidents/x", "/v1/incidents/99999999999999999999", "/nothing"]
)
async def test_what_is_not_there_is_a_404(start_receiver: StartReceiver, path: str) -> None:
    client, _ = await start_receiver(NO_TARGET)
    assert (await client.get(path, headers=AUTH)).status == 404


async def test_two_alertmanagers_that_post_at_once_are_one_truth(
    start_receiver: StartReceiver, sink: Sink, any_database: str
) -> None:
    client, receiver = await start_receiver(config(sink))
    pair = [[alert(pod=str(number)), alert(pod=str(number + 1))] for number in (0, 1, 0, 1)]
    new = await asyncio.gather(*(post(client, *alerts) for alerts in [*pair, *(alerts[::-1] for alerts in pair)]))
    assert sum(new) == 3
    assert await sql(any_database, "select count(*) from events") == [(3,)]
    await settle(receiver, sink, 1)


async def test_an_alert_that_stands_twice_in_one_body_is_new_once(start_receiver: StartReceiver) -> None:
    client, _ = await start_receiver(NO_TARGET)
    assert await post(client, alert(), alert(), alert(pod="2")) == 2
    assert await metric(client, 'tocsin_receiver_alert_events_total{outcome="duplicate",status="firing"} 1.0')
