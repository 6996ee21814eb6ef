"""Incidents over HTTP and the database: reopened, merged, stormed, acknowledged, explained, and only shadowed."""

import asyncio

import pytest
import structlog

from receiver import pipeline
from receiver.app import Receiver
from receiver.incidents import advance
from receiver.store import Changed
from tests.contract.conftest import AUTH, Client, Clock, StartReceiver
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink  # noqa: F401 - sink is a fixture

SERVICES = "services: {web: {depends_on: [api]}, shop: {depends_on: [api]}, api: {depends_on: [db]}, db: {tier: 1}}\n"


async def shown(client: Client, number: int) -> dict[str, object]:
    found: dict[str, object] = await (await client.get(f"/v1/incidents/{number}", headers=AUTH)).json()
    return found


async def entries(client: Client, what: object) -> list[str]:
    answer = await client.get(f"/v1/explain/{what}", headers=AUTH)
    assert answer.status == 200, await answer.text()
    return [entry["text"] for part in await answer.json() for entry in part["entries"]]


async def fire(client: Client, receiver: Receiver, sink: Sink, told: int, *alerts: dict[str, object]) -> None:  # noqa: F811
    await post(client, *alerts)
    await settle(receiver, sink, told)


async def test_what_comes_back_soon_is_the_same_incident_and_is_told(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink))
    again = {**alert(), "startsAt": "2026-11-20T11:05:00Z"}
    for told, one in enumerate([alert(), alert(status="resolved"), again], start=1):
        await fire(client, receiver, sink, told, one)
    found = await shown(client, 1)
    assert (found["state"], found["reopened"], found["revision"]) == ("reopened", 1, 3)
    assert "Reopened: 1 time" in sink.messages[-1]["message"]
    later = {**again, "startsAt": "2026-11-20T12:00:00Z"}
    await fire(client, receiver, sink, 4, {**again, "status": "resolved", "endsAt": "2026-11-20T11:10:00Z"})
    await fire(client, receiver, sink, 5, later)
    assert (await shown(client, 2))["state"] == "open"


async def test_what_comes_back_in_the_same_breath_is_the_same_incident(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink))
    again = {**alert(), "startsAt": "2026-11-20T11:05:00Z"}
    for one in (alert(), alert(status="resolved"), again):
        await post(client, one)
    await receiver.pipeline.process()
    found = await shown(client, 1)
    assert (found["state"], found["reopened"]) == ("reopened", 1)
    assert (await client.get("/v1/incidents/2", headers=AUTH)).status == 404


async def test_two_incidents_with_a_cause_in_common_become_one_and_end_as_one(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    clock: Clock,
) -> None:
    client, receiver = await start_receiver(config(sink, SERVICES))
    await fire(client, receiver, sink, 1, alert(service="web"))
    await fire(client, receiver, sink, 2, alert(service="shop"))
    clock.at += 61
    await fire(client, receiver, sink, 3, alert("Slow", service="db"))
    message = sink.messages[-1]
    assert message["title"].startswith("[P2 FIRING] Slow it is")
    assert "Probable cause: Slow of db, which shop, web need" in message["message"]
    assert "Priority: P1" not in message["message"]
    one, two = await shown(client, 1), await shown(client, 2)
    assert (one["state"], len(one["alerts"]), two["state"], two["merged_into"]) == ("open", 3, "merged", 1)  # type: ignore[arg-type]
    for service, name in (("web", "Down"), ("db", "Slow")):
        await fire(client, receiver, sink, 3, alert(name, "resolved", service=service))
    await fire(client, receiver, sink, 4, alert(status="resolved", service="shop"))
    assert sink.titles[-1].startswith("[RESOLVED]")
    assert any("incident 2 is part of this one" in entry for entry in await entries(client, 1))


async def test_whoever_heard_of_an_incident_hears_its_end_though_it_was_merged_twice(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    clock: Clock,
) -> None:
    services = "services: {a: {}, b: {}, c: {}, x: {depends_on: [a, b]}, y: {depends_on: [a, c]}}\n"
    routes = "routes:\n  - {match: {owner: b}, targets: [inbox]}\n  - {targets: []}\n"
    client, receiver = await start_receiver(config(sink, services + routes))
    for told, service in ((0, "c"), (0, "a"), (1, "b"), (1, "x"), (1, "y")):
        clock.at += 61
        await post(client, alert(service, service=service, owner=service))
        await settle(receiver, sink, told, clock.at)
    for told, service in ((1, "x"), (1, "y"), (1, "c"), (1, "a"), (2, "b")):
        clock.at += 61
        await post(client, alert(service, "resolved", service=service, owner=service))
        await settle(receiver, sink, told, clock.at)
    assert sink.titles[-1].startswith("[RESOLVED]")


async def test_more_events_than_one_batch_are_worked_off_without_another_webhook(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "BATCH", 10)
    client, receiver = await start_receiver(config(sink))
    await post(client, *(alert(pod=str(number)) for number in range(25)))
    running = asyncio.create_task(receiver.pipeline.run())
    try:
        for _ in range(500):
            if (await receiver.store.figures()).unprocessed == 0:
                break
            await asyncio.sleep(0.02)
    finally:
        running.cancel()
    assert (await receiver.store.figures()).unprocessed == 0


async def test_events_that_somebody_else_has_processed_are_not_processed_again(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink))
    await post(client, alert())
    stored = await receiver.store.unprocessed(10)
    await receiver.pipeline.advance("key", (), stored)
    step = advance(None, {}, "another", [one.event for one in stored], 1)
    with pytest.raises(Changed):
        await receiver.store.commit(step, None, stored, lambda _: ((), ()), 1)
    assert (await client.get("/v1/incidents/2", headers=AUTH)).status == 404


async def test_a_storm_is_one_incident_with_every_alert_in_it(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink, "storm: {incidents: 3}\n"))
    alerts = [alert(f"A{number}", service=f"s{number % 4}") for number in range(60)]
    await fire(client, receiver, sink, 4, *alerts)
    (storm,) = (one for one in sink.messages if "Storm" in one["title"])
    assert storm["title"].startswith("[P2 FIRING] Storm: 57 alerts so far, such as")
    assert "57 alerts of 4 services" in storm["message"]
    sizes = [len((await shown(client, number))["alerts"]) for number in range(1, 5)]  # type: ignore[arg-type]
    assert sorted(sizes) == [1, 1, 1, 57]
    ends = [alert(f"A{number}", "resolved", service=f"s{number % 4}") for number in range(60)]
    await fire(client, receiver, sink, 8, *ends)
    assert {(await shown(client, number))["state"] for number in range(1, 5)} == {"resolved"}


async def test_an_acknowledgement_is_kept_once_and_refused_after_the_end(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink))
    await fire(client, receiver, sink, 1, alert())
    for by in ("ada", "bob"):
        answer = await client.post("/v1/incidents/1/ack", json={"by": by}, headers=AUTH)
        assert (answer.status, (await answer.json())["acknowledged_by"]) == (200, "ada")
    assert (await shown(client, 1))["state"] == "acknowledged"
    await fire(client, receiver, sink, 2, alert(status="resolved"))
    answer = await client.post("/v1/incidents/1/ack", json={"by": "ada"}, headers=AUTH)
    assert (answer.status, await answer.text()) == (409, "incident 1 has ended: it is resolved\n")
    assert (await client.post("/v1/incidents/9/ack", json={"by": "ada"}, headers=AUTH)).status == 404
    bodies: list[object] = [{}, {"by": " "}, {"by": "x" * 300}, []]
    for body in bodies:
        assert (await client.post("/v1/incidents/1/ack", json=body, headers=AUTH)).status == 400


async def test_explain_tells_what_was_heard_decided_and_sent_and_why(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    more = "routes:\n  - {match: {team: search}, targets: []}\n  - {targets: [inbox]}\n"
    client, receiver = await start_receiver(config(sink, more))
    await fire(client, receiver, sink, 1, alert(pod="1"))
    await fire(client, receiver, sink, 1, alert(pod="2"), alert("Quiet", team="search"))
    told = await entries(client, 1)
    for part in (
        "Down firing (pod=1): opened, the first alert of the incident",
        "told, since opened: the first alert of the incident. To inbox",
        "firing, to inbox: planned, because routes[1] matches everything",
        "attempt 1: sent, HTTP 200",
        "nobody is told, since no_news",
    ):
        assert any(part in entry for entry in told), (part, told)
    assert any("since routes_name_nobody" in entry for entry in await entries(client, "Quiet"))
    assert any("Down firing (pod=2)" in entry for entry in await entries(client, alert(pod="2")["fingerprint"]))
    answer = await client.get("/v1/explain/Doun", headers=AUTH)
    assert (answer.status, await answer.text()) == (404, "nothing is on record of 'Doun'; did you mean 'Down'?\n")


async def test_a_shadow_decides_everything_and_sends_nothing(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink, "shadow: true\n"))
    await fire(client, receiver, sink, 0, *(alert(pod=str(number)) for number in range(9)))
    await fire(client, receiver, sink, 0, *(alert(status="resolved", pod=str(number)) for number in range(9)))
    found = await shown(client, 1)
    assert [notice["state"] for notice in found["notices"]] == ["shadow", "shadow"]  # type: ignore[attr-defined]
    report = (await (await client.get("/v1/report", headers=AUTH)).json())["lines"]
    assert report[0].endswith("Alertmanager told of 18 alert events (9 firing, 9 resolved), repeats left out.")
    assert report[1] == "2 messages about 1 incidents would have been sent (shadow mode): inbox 2."
    assert report[2].endswith("would have had 18, not 2.")
    assert any("would have been told, since opened" in entry for entry in await entries(client, 1))
    with structlog.testing.capture_logs() as logged:
        await receiver.daily.tell()
    assert [line["line"] for line in logged if line["event"] == "shadow report"] == report


@pytest.mark.parametrize("seconds", ["-1", "x", "99999999999", "1.5"])
async def test_a_report_of_no_time_is_refused(start_receiver: StartReceiver, sink: Sink, seconds: str) -> None:  # noqa: F811
    client, _ = await start_receiver(config(sink))
    assert (await client.get("/v1/report", params={"seconds": seconds}, headers=AUTH)).status == 400


async def firing(client: Client) -> dict[object, list[object]]:
    """The names of what fires, by live incident."""
    listed = (await (await client.get("/v1/incidents", headers=AUTH)).json())["incidents"]
    shown_alerts = {one["id"]: (await shown(client, one["id"]))["alerts"] for one in listed if not one["resolved_at"]}
    return {
        number: [alert["labels"]["alertname"] for alert in alerts if alert["status"] == "firing"]  # type: ignore[attr-defined]
        for number, alerts in shown_alerts.items()
    }


async def test_what_opens_an_incident_again_and_ends_in_one_batch_has_ended(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink))
    await fire(client, receiver, sink, 1, alert())
    await fire(client, receiver, sink, 2, alert(status="resolved"))
    again = {**alert(), "startsAt": "2026-11-20T11:05:00Z"}
    await post(client, again, {**again, "status": "resolved", "endsAt": "2026-11-20T11:06:00Z"})
    assert not await receiver.pipeline.process()
    assert await firing(client) == {}
    assert (await shown(client, 1))["reopened"] == 1


async def test_an_older_firing_that_comes_late_fires_in_no_incident(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink))
    await fire(client, receiver, sink, 1, alert(pod="1"))
    await fire(client, receiver, sink, 1, {**alert(pod="2", status="resolved"), "startsAt": "2026-11-20T10:30:00Z"})
    await fire(client, receiver, sink, 1, alert(pod="2"))
    await fire(client, receiver, sink, 2, alert(pod="1", status="resolved"))
    assert await firing(client) == {}


async def test_an_end_counts_though_what_has_ended_before_comes_back_with_it(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await start_receiver(config(sink, SERVICES))
    for told, status in enumerate(("firing", "resolved"), start=1):
        await fire(client, receiver, sink, told, alert("Slow", status, service="db"))
    for told, (name, service) in enumerate((("Down", "web"), ("Off", "shop")), start=3):
        await fire(client, receiver, sink, told, {**alert(name, service=service), "startsAt": "2026-11-20T11:01:00Z"})
    end = {**alert("Off", "resolved", service="shop"), "startsAt": "2026-11-20T11:01:00Z"}
    back = {**alert("Slow", service="db"), "startsAt": "2026-11-20T11:02:00Z"}
    await post(client, {**end, "endsAt": "2026-11-20T11:02:00Z"}, back)
    await receiver.pipeline.process()
    assert sorted(next(iter((await firing(client)).values()))) == ["Down", "Slow"]  # type: ignore[type-var]
    assert len(await firing(client)) == 1


async def test_what_was_merged_into_a_part_is_a_part_too(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    services = "services: {web: {depends_on: [db]}, shop: {depends_on: [db, cache]}, app: {depends_on: [cache]}, "
    client, receiver = await start_receiver(config(sink, services + "db: {}, cache: {}}\n"))
    for service in ("web", "shop", "app", "cache", "db"):
        await post(client, alert(service=service))
        assert not await receiver.pipeline.process()
    assert [(await shown(client, number))["merged_into"] for number in (1, 2, 3)] == [None, 1, 1]
    await post(client, alert(service="app", pod="2"))
    assert not await receiver.pipeline.process()
    assert {number: len(found) for number, found in (await firing(client)).items()} == {1: 6}
