"""What people do to incidents: over HTTP, by command, and by the page behind a message's link."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.__main__ import COMMAND
from receiver.app import Receiver
from receiver.links import INCIDENT, INCIDENT_SECONDS, sign
from tests.contract.conftest import AUTH, Client, Clock, StartReceiver
from tests.contract.test_correlated import entries, shown
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink  # noqa: F401 - sink is a fixture

PEOPLE = "people: {ana: {contacts: {default: [inbox]}}, bo: {}}\nescalations: {standard: {steps: [{notify: [person/ana], wait: 5m}]}}\n"


class Silences:
    """An Alertmanager that takes silences, or says why not."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status, self.port = 200, 0

    async def take(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.json_response("bad matcher", status=self.status)
        self.taken.append(await request.json())
        return web.json_response({"silenceID": f"s{len(self.taken)}"})


@pytest.fixture
async def silences() -> AsyncIterator[Silences]:
    found = Silences()
    app = web.Application()
    app.add_routes([web.post("/am/api/v2/silences", found.take)])
    async with TestServer(app) as server:
        found.port = int(server.port or 0)
        yield found


async def act(client: Client, deed: str, /, **body: Any) -> tuple[int, Any]:
    """What is answered to `deed`, done to the first incident unless it names another: `9/ack`."""
    path = deed if "/" in deed else f"1/{deed}"
    answer = await client.post(f"/v1/incidents/{path}", json={"by": "ana", **body}, headers=AUTH)
    text = await answer.text()
    return answer.status, json.loads(text) if answer.status == 200 else text


async def opened(
    start: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    more: str = PEOPLE,
    **labels: str,
) -> tuple[Client, Receiver]:
    client, receiver = await start(config(sink, more))
    await post(client, alert("Down", "firing", 0, **labels))
    await settle(receiver, sink, 1)
    return client, receiver


async def test_what_somebody_has_is_theirs_until_it_is_taken_over(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, _ = await opened(start_receiver, sink)
    story: list[tuple[dict[str, Any], str, bool, str]] = [
        ({"by": "ana"}, "You have incident 1. Nobody else is called.", True, "ana"),
        ({"by": "ana"}, "You have incident 1 already.", False, "ana"),
        ({"by": "bo"}, "ana has incident 1, since 00:16 UTC.", False, "ana"),
        ({"by": "bo", "take_over": True}, "You have incident 1. Nobody else is called.", True, "bo"),
    ]
    for body, said, changed, holder in story:
        status, answer = await act(client, "ack", **body)
        assert (status, answer["said"], answer["changed"], answer["acknowledged_by"]) == (200, said, changed, holder)
    found = await shown(client, 1)
    assert found["revision"] == 3, "what changes nothing makes no revision"
    assert [(one["what"], one["by"], one["detail"]) for one in found["actions"]] == [  # type: ignore[attr-defined]
        ("acknowledged", "ana", ""),
        ("acknowledged", "bo", "taken over from ana"),
    ]
    assert any("acknowledged: by bo taken over from ana" in line for line in await entries(client, 1))


async def test_two_who_acknowledge_at_once_are_told_who_has_it(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, _ = await opened(start_receiver, sink)
    answers = [answer for _, answer in await asyncio.gather(*(act(client, "ack", by=f"p{n}") for n in range(4)))]
    assert sum(answer["changed"] for answer in answers) == 1
    assert len({answer["acknowledged_by"] for answer in answers}) == 1
    assert len((await shown(client, 1))["actions"]) == 1  # type: ignore[arg-type]


async def test_an_incident_that_a_person_resolved_has_ended_and_everybody_hears_it(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await opened(start_receiver, sink)
    await post(client, alert(pod="2"))
    await settle(receiver, sink, 1)
    status, answer = await act(client, "resolve", note="rebooted it")
    assert (status, answer["said"]) == (200, "Incident 1 is resolved.")
    await settle(receiver, sink, 2)
    assert sink.titles[-1].startswith("[RESOLVED]")
    assert (await shown(client, 1))["state"] == "resolved"
    for late in (alert(), alert(status="resolved"), alert(pod="2", status="resolved")):
        await post(client, late)
        await settle(receiver, sink, 2)
    assert (await act(client, "resolve"))[0] == 409
    assert any("resolved, said by a person" in line for line in await entries(client, 1))
    await post(client, {**alert(), "startsAt": "2026-11-20T13:00:00Z"})
    await settle(receiver, sink, 3)


async def test_a_hand_off_tells_the_person_with_the_note(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await opened(start_receiver, sink)
    await act(client, "ack", by="bo")
    status, answer = await act(client, "assign", by="bo", to="ana", note="it is the <disk>\nagain")
    assert (status, answer["said"]) == (200, "Incident 1 is handed to ana: ana is told.")
    assert (answer["state"], answer["acknowledged_by"], answer["assigned_to"]) == ("open", None, "ana")
    await settle(receiver, sink, 2)
    (notice,) = [one for one in (await shown(client, 1))["notices"] if one["reason"] == "assigned"]  # type: ignore[attr-defined]
    assert (notice["route"], notice["message"]["note"]) == ("bo hands it to ana", "it is the <disk>\nagain")
    assert (await act(client, "assign", to="bo"))[1]["said"] == (
        "Incident 1 is handed to bo: no target is known of bo, so nobody is told."
    )
    assert await act(client, "assign", to="anna") == (400, "nobody is named 'anna'; did you mean 'ana'?\n")


async def test_notes_snoozes_and_classes_are_on_record(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
) -> None:
    client, receiver = await opened(start_receiver, sink)
    assert (await act(client, "note", note="seen in March"))[1]["said"] == "Noted on incident 1."
    assert (await act(client, "snooze", **{"for": "2h"}))[1]["snoozed_until"] == 1000 + 7200
    wanted = {"severity": "critical", "class": "usage", "owner": "shop", "reason": "they can't pay"}
    status, answer = await act(client, "reclassify", **wanted)
    assert (status, answer["severity"], answer["kind"], answer["owner"]) == (200, "critical", "usage", "shop")
    assert not (await act(client, "reclassify", **wanted))[1]["changed"]
    await post(client, {**alert("Worse"), "labels": {"alertname": "Down", "owner": "api", "pod": "3"}})
    await settle(receiver, sink, 1)
    await post(client, alert(status="resolved"))
    lines = await entries(client, 1)
    for line in (
        "noted: by ana (seen in March)",
        "reclassified: by ana severity critical, owner shop, kind usage (they can't pay)",
    ):
        assert line in lines, lines
    message = (await receiver.store.outbox.newest(1))["inbox"]
    assert (message.owner, message.severity) == ("", "warning"), "what was sent before stays"


BAD = [
    ("ack", {}, "Object missing required field `by`; expected are: by, [take_over], [note], [via]"),
    ("ack", {"by": "ana", "takeover": True}, "Object contains unknown field `takeover`"),
    ("ack", {"by": "x" * 300}, "by: 1 to 200 printable characters are expected"),
    ("ack", {"by": " "}, "by: 1 to 200 printable characters are expected"),
    ("ack", {"by": "a\0b"}, "by: 1 to 200 printable characters are expected"),
    ("note", {"by": "ana", "note": " "}, "note: it is empty"),
    ("note", {"by": "ana", "note": "x" * 3000}, "at most 2000 characters are taken"),
    ("snooze", {"by": "ana", "for": "2 hours"}, "for: '2 hours' is not a duration; write it like 30s, 5m or 1h30m"),
    ("snooze", {"by": "ana", "for": "5s"}, "for: between a minute and thirty days is expected"),
    ("silence", {"by": "ana", "for": "1y"}, "for: between a minute and thirty days is expected"),
    ("reclassify", {"by": "ana", "severity": "critcal", "reason": "r"}, "severity: one of info, warning, critical is expected; did you mean 'critical'?"),
    ("reclassify", {"by": "ana", "severity": "critical", "reason": ""}, "reason: it is empty"),
]  # fmt: skip


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_what_makes_no_sense_is_refused_in_words(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, _ = await opened(start_receiver, sink)
    for deed, body, words in BAD:
        answer = await client.post(f"/v1/incidents/1/{deed}", json=body, headers=AUTH)
        assert (answer.status, words in await answer.text()) == (400, True), (body, await answer.text())
    assert (await shown(client, 1))["revision"] == 1
    for deed in ("ack", "resolve", "silence"):
        assert await act(client, f"9/{deed}") == (404, "there is no incident 9\n")
    assert (await client.post("/v1/incidents/1/ack", json={"by": "ana"})).status == 401


def alertmanagers(*ports: int) -> str:
    return PEOPLE + f"alertmanagers: [{', '.join(f'{{url: http://127.0.0.1:{port}/am}}' for port in ports)}]\n"


async def test_a_silence_is_asked_of_every_alertmanager_once_and_failures_are_named(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    silences: Silences,
) -> None:
    client, receiver = await opened(start_receiver, sink, alertmanagers(silences.port, 1), team="a")
    await post(client, {**alert(pod="2", team="a")})
    await settle(receiver, sink, 1)
    status, answer = await act(client, "silence", reason="being replaced")
    assert (status, answer["said"]) == (
        200,
        "Incident 1 is silenced until 1970-01-01 02:16:40 UTC. "
        "That failed at http://127.0.0.1:1/am: Alertmanager can't be reached (ClientConnectorError).",
    )
    (taken,) = silences.taken
    assert {one["name"]: one["value"] for one in taken["matchers"]} == {"alertname": "Down", "team": "a"}
    assert (taken["createdBy"], taken["comment"]) == ("ana", "being replaced")
    assert (taken["startsAt"], taken["endsAt"]) == ("1970-01-01T00:16:40.000Z", "1970-01-01T02:16:40.000Z")
    again = (await act(client, "silence"))[1]
    assert (again["changed"], len(silences.taken)) == (False, 1), "a finger that taps twice"
    assert again["said"].startswith("ana has silenced it a moment ago, until 1970-01-01 02:16:40 UTC")
    actions: Any = (await shown(client, 1))["actions"]
    (action,) = actions
    assert "http://127.0.0.1:1/am: Alertmanager can't be reached" in action["detail"]
    assert (await shown(client, 1))["snoozed_until"] == 1000 + 7200


async def test_a_silence_that_nobody_takes_is_refused_and_changes_nothing(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    silences: Silences,
) -> None:
    silences.status = 400
    client, _ = await opened(start_receiver, sink, alertmanagers(silences.port))
    status, words = await act(client, "silence")
    assert (status, words) == (502, f'http://127.0.0.1:{silences.port}/am: Alertmanager answered 400: "bad matcher"\n')
    assert (await shown(client, 1))["revision"] == 1


async def test_without_an_alertmanager_there_is_no_silence(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, _ = await opened(start_receiver, sink)
    assert await act(client, "silence") == (502, "no Alertmanager is configured (alertmanagers in receiver.yml)\n")


async def test_the_commands_do_what_the_endpoints_do(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client, _ = await opened(start_receiver, sink)
    where = ["--url", f"http://127.0.0.1:{client.port}", "--token-file", str(folder / "token")]
    story = [
        (["ack", "1", "--by", "ana", *where], "You have incident 1. Nobody else is called."),
        (["ack", "1", "--by", "bo", *where], "ana has incident 1, since 00:16 UTC."),
        (["ack", "1", "--by", "bo", "--take-over", *where], "You have incident 1. Nobody else is called."),
        (["assign", "1", "--to", "ana", "--note", "x", *where], "Incident 1 is handed to ana: ana is told."),
        (["note", "1", "--note", "y", *where], "Noted on incident 1."),
        (["snooze", "1", "--for", "1h", *where], "Incident 1 is snoozed until 1970-01-01 01:16:40 UTC."),
        (["reclassify", "1", "--class", "usage", "--reason", "z", *where], "Incident 1 is reclassified: kind usage."),
        ([*where, "resolve", "1"], "Incident 1 is resolved."),
    ]
    capsys.readouterr()
    for arguments, said in story:
        assert await asyncio.to_thread(COMMAND.main, ["incidents", *arguments]) == 0, arguments
        assert capsys.readouterr().out.splitlines()[-1] == said, "beside the receiver's own log"
    vias = {action["via"] for action in (await shown(client, 1))["actions"]}  # type: ignore[attr-defined]
    assert vias == {"cli"}
    assert await asyncio.to_thread(COMMAND.main, ["incidents", "ack", "9", *where]) == 1
    assert "there is no incident 9" in capsys.readouterr().err


# --- the page behind a link


async def link(receiver: Receiver) -> str:
    message = (await receiver.store.outbox.newest(1))["inbox"]
    assert message.acknowledge_url.startswith("http://receiver/a/")
    return message.acknowledge_url.removeprefix("http://receiver")


async def page(answer: aiohttp.ClientResponse) -> str:
    assert answer.content_type == "text/html"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return await answer.text()


async def test_a_link_shows_and_changes_nothing_and_the_form_acknowledges(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    clock: Clock,
) -> None:
    client, receiver = await opened(start_receiver, sink)
    path = await link(receiver)
    clock.at = 1_795_212_000.0 - 100
    for _ in range(2):
        for method in (client.get, client.head):
            answer = await method(path)
            assert answer.status == 410, "this clock is much later"
    clock.at = 1000.0 + INCIDENT_SECONDS - 1
    for _ in range(3):
        text = await page(await client.get(path))
        assert "<h1>Down it is</h1>" in text
        assert "nobody has acknowledged it" in text
    assert (await shown(client, 1))["revision"] == 1, "mail scanners open links"
    text = await page(await client.post(path, data={"by": "Ana Lima", "do": "acknowledge"}))
    assert "You have incident 1. Nobody else is called." in text
    text = await page(await client.post(path, data={"by": "Bo", "do": "acknowledge"}))
    assert "Ana Lima has incident 1" in text
    assert "Take it over from Ana Lima" in text
    await page(await client.post(path, data={"by": "Bo", "do": "acknowledge", "take_over": "yes"}))
    found = await shown(client, 1)
    assert (found["acknowledged_by"], {one["via"] for one in found["actions"]}) == ("Bo", {"link"})  # type: ignore[attr-defined]


async def test_the_page_offers_a_silence_first_where_the_link_asks_for_one(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    silences: Silences,
) -> None:
    client, receiver = await opened(start_receiver, sink, alertmanagers(silences.port))
    path = await link(receiver)
    first = await page(await client.get(path))
    silence = await page(await client.get(f"{path}?do=silence"))
    assert first.index("Acknowledge</button>") < first.index("Silence for 2 h</button>")
    assert silence.index("Acknowledge</button>") > silence.index("Silence for 2 h</button>")
    text = await page(await client.post(path, data={"by": "Ana", "do": "silence"}))
    assert "Incident 1 is silenced until" in text
    assert len(silences.taken) == 1
    silences.status = 500
    (await client.post(path, data={"by": "Ana", "do": "silence"})).raise_for_status()
    assert len(silences.taken) == 1


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_the_page_shows_no_more_than_the_messages_tell(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    more = "redact: ['C-[0-9]+']\n" + PEOPLE
    client, receiver = await start_receiver(config(sink, more))
    told = alert("Down", "firing", 0, service="C-4711", environment="x4111111111111111")
    summary = "C-4712 can't log in with password=correcthorse, ask bo@example.com"
    await post(client, {**told, "annotations": {"summary": summary}})
    await settle(receiver, sink, 1)
    path = await link(receiver)
    first = await page(await client.get(path))
    assert "can&#x27;t log in with password=***, ask ***" in first
    by = {"by": "ana@example.com, token: canary4711abc"}
    second = await page(await client.post(path, data={**by, "do": "acknowledge"}))
    third = await page(await client.post(path, data={"by": "C-4713", "do": "acknowledge"}))
    for one in (first, second, third, await page(await client.post(path, data={"do": "acknowledge"}))):
        for hidden in ("C-47", "4111", "correcthorse", "bo@example.com", "canary4711"):
            assert hidden not in one
    assert "Take it over from ana@example.com, token: ***" in third, "who has it keeps the address"


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_the_page_tells_no_address_of_an_alertmanager(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    silences: Silences,
) -> None:
    client, receiver = await opened(start_receiver, sink, alertmanagers(silences.port, 1))
    path, silence = await link(receiver), {"by": "Ana", "do": "silence"}
    silences.status = 400
    refused = await page(await client.post(path, data=silence))
    assert "Nothing was done: Alertmanager: it took no silence; Alertmanager: it took no silence." in refused
    silences.status = 200
    done = await page(await client.post(path, data=silence))
    assert "That failed at Alertmanager: it took no silence." in done
    again = await page(await client.post(path, data=silence))
    assert "Ana has silenced it a moment ago." in again
    assert "127.0.0.1" not in refused + done + again


FORMS: list[tuple[str, Any, int]] = [
    ("no name", {"do": "acknowledge"}, 400),
    ("nothing to do", {"by": "ana"}, 400),
    ("something else to do", {"by": "ana", "do": "resolve"}, 400),
    ("too many fields", {f"f{n}": "x" for n in range(50)}, 400),
    ("no form", b"\xff\xfe%zz", 400),
    ("a silence without an Alertmanager", {"by": "ana", "do": "silence"}, 502),
]


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
async def test_a_form_that_makes_no_sense_is_refused_on_a_page(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, receiver = await opened(start_receiver, sink)
    path = await link(receiver)
    for name, form, status in FORMS:
        answer = await client.post(path, data=form)
        assert answer.status == status, name
        assert "Nothing was done" in await page(answer)
    assert (await shown(client, 1))["revision"] == 1


async def test_a_link_that_is_none_is_refused_on_a_page(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, receiver = await opened(start_receiver, sink)
    path = await link(receiver)
    key = receiver.pipeline.settings.key
    bad = [
        (path.replace("/a/incident.1.", "/a/incident.2."), 403, "was not made here, or was changed"),
        (path[:-1] + ("A" if path[-1] != "A" else "B"), 403, "was not made here, or was changed"),
        (path[:-20], 403, "was not made here, or was changed"),
        (f"/a/{sign(key, 'rota', '1')}", 403, "is for something else"),
        (f"/a/{sign(key, INCIDENT, '1', 999)}", 410, "is too old"),
        ("/a/hello", 403, "a part of it is missing"),
        ("/a/%00%ff<script>", 403, "a part of it is missing"),
    ]
    for broken, status, words in bad:
        for answer in (await client.get(broken), await client.post(broken, data={"by": "x", "do": "acknowledge"})):
            text = await page(answer)
            assert (answer.status, words in text) == (status, True), (broken, text)
            assert "<script>" not in text
    assert (await client.get(f"/a/{sign(key, INCIDENT, '9')}")).status == 404
    assert (await shown(client, 1))["revision"] == 1


async def test_words_of_others_are_text_on_the_page(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    client, receiver = await start_receiver(config(sink, PEOPLE))
    hostile = alert("<b>{body}{title}</b>", service='"><script>alert(1)</script>')
    await post(client, hostile)
    await settle(receiver, sink, 1)
    path = await link(receiver)
    await client.post(path, data={"by": "<i>me</i>", "do": "acknowledge"})
    text = await page(await client.get(path))
    assert "<script>alert" not in text
    assert "<i>me" not in text
    assert "&lt;b&gt;{body}{title}&lt;/b&gt; it is" in text


async def test_the_link_of_a_part_leads_to_the_whole_and_that_of_an_end_offers_nothing(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811
    clock: Clock,
) -> None:
    services = "services: {web: {depends_on: [db]}, shop: {depends_on: [db]}, db: {}}\n"
    client, receiver = await start_receiver(config(sink, PEOPLE + services))
    for told, service in ((1, "web"), (2, "shop")):
        await post(client, alert(service=service))
        await settle(receiver, sink, told)
    part = (await receiver.store.outbox.newest(2))["inbox"].acknowledge_url.removeprefix("http://receiver")
    clock.at += 61
    await post(client, alert("Slow", service="db"))
    await settle(receiver, sink, 3, clock.at)
    await page(await client.post(part, data={"by": "ana", "do": "acknowledge"}))
    assert (await shown(client, 1))["acknowledged_by"] == "ana"
    for name, service in (("Down", "web"), ("Down", "shop"), ("Slow", "db")):
        await post(client, alert(name, "resolved", service=service))
    await settle(receiver, sink, 4, clock.at)
    text = await page(await client.get(part))
    assert "ended: resolved" in text
    assert "<form" not in text
    answer = await client.post(part, data={"by": "bo", "do": "acknowledge"})
    assert (answer.status, "incident 1 has ended" in await page(answer)) == (409, True)


async def test_replicas_and_restarts_know_each_others_links(start_receiver: StartReceiver, sink: Sink) -> None:  # noqa: F811
    _, receiver = await opened(start_receiver, sink)
    path = await link(receiver)
    other, _ = await start_receiver(config(sink, PEOPLE))
    assert (await other.get(path)).status == 200
