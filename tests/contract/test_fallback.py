"""What a target could not be told is told to its fallback: real HTTP, a real database, a sink for each."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.delivery.fallback import Unheard, failed_for, refused
from tests.contract.conftest import AUTH, Client, StartReceiver, sql
from tests.contract.test_receiver import NO_TARGET, Sink, alert, metric, post


@pytest.fixture
async def sinks(exits: AsyncExitStack) -> tuple[Sink, Sink]:
    """The chat, and the mail that stands in for it."""
    found = (Sink(), Sink())
    for sink in found:
        app = web.Application()
        app.add_routes([web.post("/inbox", sink.take)])
        sink.port = int((await exits.enter_async_context(TestServer(app))).port or 0)
    return found


def config(sinks: tuple[Sink, Sink], routes: str = "routes: [{targets: [chat]}]\n") -> str:
    chat, mail = (f"json://127.0.0.1:{sink.port}/inbox" for sink in sinks)
    return (
        f"{NO_TARGET}targets:\n  - {{name: chat, url: '{chat}', fallback: mail, rate: 1000/s}}\n"
        f"  - {{name: mail, url: '{mail}', rate: 1000/s}}\n{routes}"
    )


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what has to come."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


async def notices(client: Client) -> dict[tuple[str, str], Any]:
    """The incident's messages, by target and status."""
    shown = await (await client.get("/v1/incidents/1", headers=AUTH)).json()
    return {(notice["target"], notice["status"]): notice for notice in shown["notices"]}


REASONS = [
    (failed_for("chat", Unheard(1, 0, 500), 300), "chat has failed for 5m: HTTP 500"),
    (failed_for("chat", Unheard(1, 0, None, "no answer (ConnectTimeout)"), 90), "chat has failed for 1m30s: no answer (ConnectTimeout)"),
    (failed_for("chat", Unheard(1, 0), 300), "chat has failed for 5m"),
    (refused("chat", 404, "gone"), "chat refused it: HTTP 404"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), REASONS)
def test_the_reason_in_words(said: str, expected: str) -> None:
    assert said == expected


async def test_what_a_target_refuses_goes_to_its_fallback_at_once_and_so_does_the_end(
    start_receiver: StartReceiver, sinks: tuple[Sink, Sink]
) -> None:
    chat, mail = sinks
    client, receiver = await start_receiver(config(sinks))
    chat.status = 404
    await post(client, alert())
    await receiver.pipeline.process()
    await until(lambda: len(mail.messages) == 1)
    found = await notices(client)
    assert found["mail", "firing"]["route"] == "chat refused it: HTTP 404"
    assert found["mail", "firing"]["fallback_of"] == found["chat", "firing"]["id"]
    assert found["chat", "firing"]["state"] == "failed", "it is tried on"
    assert await metric(client, 'tocsin_receiver_fallbacks_total{target="chat"} 1.0')
    await post(client, alert(status="resolved"))
    await receiver.pipeline.process()
    await until(lambda: len(mail.messages) == 2)
    assert [title.partition("]")[0] for title in mail.titles] == ["[P2 FIRING", "[RESOLVED"]
    assert "You may hear" not in mail.messages[1]["message"]


async def test_what_fails_for_as_long_as_is_allowed_goes_to_the_fallback_once(
    start_receiver: StartReceiver, sinks: tuple[Sink, Sink], any_database: str
) -> None:
    chat, mail = sinks
    client, receiver = await start_receiver(config(sinks))
    chat.status = 500
    await post(client, alert())
    await receiver.pipeline.process()
    await sql(any_database, "update outbox set planned_at = planned_at - 299")
    receiver.wake()
    await asyncio.sleep(0.5)  # time enough for what must not come
    assert mail.messages == []
    await sql(any_database, "update outbox set planned_at = planned_at - 1")
    receiver.wake()
    await until(lambda: len(mail.messages) == 1)
    assert (await notices(client))["mail", "firing"]["route"] == "chat has failed for 5m: HTTP 500"
    for _ in range(5):
        receiver.wake()
        await asyncio.sleep(0.05)
    assert len(mail.messages) == 1


async def test_an_incident_that_grows_worse_does_not_begin_to_wait_anew(
    start_receiver: StartReceiver, sinks: tuple[Sink, Sink], any_database: str
) -> None:
    chat, mail = sinks
    client, receiver = await start_receiver(config(sinks))
    chat.status = 500
    await post(client, alert())
    await receiver.pipeline.process()
    await sql(any_database, "update outbox set planned_at = planned_at - 300")
    await post(client, alert(severity="critical"))
    await receiver.pipeline.process()
    await until(lambda: "[P1 FIRING] Down it is · 10:00 UTC" in mail.titles)


async def test_what_has_ended_is_not_told_to_the_fallback(
    start_receiver: StartReceiver, sinks: tuple[Sink, Sink], any_database: str
) -> None:
    chat, mail = sinks
    client, receiver = await start_receiver(config(sinks))
    chat.status = 500
    await post(client, alert())
    await receiver.pipeline.process()
    await post(client, alert(status="resolved"))
    await receiver.pipeline.process()
    await sql(any_database, "update outbox set planned_at = planned_at - 600")
    receiver.wake()
    await asyncio.sleep(0.5)  # time enough for what must not come
    assert mail.messages == []


async def test_a_fallback_that_was_told_anyway_is_not_told_twice(
    start_receiver: StartReceiver, sinks: tuple[Sink, Sink]
) -> None:
    chat, mail = sinks
    client, receiver = await start_receiver(config(sinks, ""))
    chat.status = 404
    await post(client, alert())
    await receiver.pipeline.process()
    await until(lambda: len(mail.messages) == 1)
    await asyncio.sleep(0.5)  # time enough for what must not come
    assert len(mail.messages) == 1


async def test_an_end_planned_before_the_fallback_was_told_reaches_it_all_the_same(
    start_receiver: StartReceiver, sinks: tuple[Sink, Sink], any_database: str
) -> None:
    chat, mail = sinks
    client, receiver = await start_receiver(config(sinks))
    chat.status = 404
    await post(client, alert())
    await receiver.pipeline.process()
    await until(lambda: len(mail.messages) == 1)
    # as when both happen at once: who was told is asked before the fallback is
    columns = "incident_id, target, route, attempts, may_repeat, received_at, planned_at, next_attempt_at"
    await sql(
        any_database,
        f"insert into outbox (revision, status, state, message_json, {columns}) select 2, 'resolved', 'planned', "
        f"replace(message_json, 'firing', 'resolved'), {columns} from outbox where target = 'chat'",
    )
    await sql(any_database, "update outbox set next_attempt_at = 0")
    receiver.wake()
    await until(lambda: len(mail.messages) == 2)
    assert mail.titles[1].startswith("[RESOLVED]")
