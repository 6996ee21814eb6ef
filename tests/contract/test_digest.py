"""What can wait, through the whole receiver on both databases: kept, told later, told in one message, never lost."""

import asyncio
import re
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from receiver.app import Receiver
from receiver.delivery.leases import LEASE_SECONDS
from receiver.delivery.outbox import FURTHEST_SECONDS, Receipt
from receiver.message import Message
from receiver.metrics import ReceiverMetrics
from receiver.settings import Target
from receiver.stages.deliver import Deliverer
from receiver.stages.send import QUICK_TRIES
from receiver.store.outbox import MOST_IN_A_DIGEST
from tests.contract.conftest import AUTH, Client, Clock, StartReceiver, sql
from tests.contract.test_outbox import NO, NOW, OK, SENT, Box, box  # noqa: F401 - box is a fixture
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink  # noqa: F401 - sink is a fixture
from toolkit.clock import parse_rfc3339
from toolkit.service import Background

QUIET = "people: {ana: {contacts: {default: [inbox]}, quiet_hours: [{from: '22:00', to: '07:00'}]}}\n"
DAILY = "digests: {daily: {every: day, at: '09:00', targets: [inbox]}}\n"
EVENING = parse_rfc3339("2026-11-20T23:00:00Z")
MORNING, NINE = EVENING + 8 * 3600, EVENING + 10 * 3600


async def at(clock: Clock, receiver: Receiver, sink: Sink, now: float, messages: int) -> None:  # noqa: F811 - no fixture here
    """Sets the clock, and works off what is due by then."""
    clock.at = now
    await receiver.store.outbox.hasten(now)
    receiver.wake()
    await settle(receiver, sink, messages, now)


async def explained(client: Client, incident: int) -> str:
    answer = await client.get(f"/v1/explain/{incident}", headers=AUTH)
    return "\n".join(entry["text"] for part in await answer.json() for entry in part["entries"])


async def test_what_comes_in_quiet_hours_is_told_after_them_and_explain_says_so(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, QUIET))
    await post(client, alert())
    await at(clock, receiver, sink, EVENING, 0)
    assert "held: inbox is told at 2026-11-21 07:00:00 UTC, after its quiet hours" in await explained(client, 1)
    await at(clock, receiver, sink, MORNING - 1, 0)
    await at(clock, receiver, sink, MORNING, 1)
    assert sink.titles == ["[P2 FIRING] Down it is · 10:00 UTC"]


async def test_what_becomes_critical_goes_at_once_in_the_place_of_what_waits(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, f"{QUIET}{DAILY}correlation: {{labels: [alertname]}}\n"))
    await post(client, alert())
    await at(clock, receiver, sink, EVENING, 0)
    await post(client, alert(severity="critical"))
    await at(clock, receiver, sink, EVENING + 60, 1)
    assert sink.titles == ["[P1 FIRING] Down it is · 10:00 UTC"]
    await at(clock, receiver, sink, NINE, 1)


async def test_what_ends_while_it_is_quiet_is_told_as_ended(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, QUIET))
    await post(client, alert())
    await at(clock, receiver, sink, EVENING, 0)
    clock.at += 1800
    await post(client, alert(status="resolved"))
    await at(clock, receiver, sink, EVENING + 1800, 0)
    await at(clock, receiver, sink, MORNING, 1)
    assert sink.titles == ["[RESOLVED] Down it is · 10:00 UTC"]


async def test_a_clock_set_back_an_hour_wakes_nobody_and_one_that_was_a_year_ahead_holds_nothing_up(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, QUIET))
    await post(client, alert())
    await at(clock, receiver, sink, EVENING, 0)
    await at(clock, receiver, sink, EVENING - FURTHEST_SECONDS + 1, 0)
    clock.at = EVENING + 365 * 86400
    await post(client, alert("Disk"))
    await at(clock, receiver, sink, clock.at, 1)  # the first one's time has come by then
    await at(clock, receiver, sink, EVENING, 2)


async def test_a_digest_tells_in_one_message_what_began_and_what_ended(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, DAILY))
    await post(client, alert(), alert("Disk", severity="info"), alert("Bill", severity="critical"))
    await at(clock, receiver, sink, EVENING, 1)
    await post(client, alert("Disk", status="resolved", severity="info"))
    await at(clock, receiver, sink, EVENING + 1800, 1)
    await at(clock, receiver, sink, NINE, 2)
    assert sink.titles == [
        "[P1 FIRING] Bill it is · 10:00 UTC",
        "[WARNING FIRING] Digest of 2 incidents: 1 firing, 1 ended · 10:00 UTC",
    ]
    lines = sink.messages[-1]["message"].splitlines()
    assert [re.sub(r" · since.*|#\d+ · ", "", line) for line in lines] == [
        "1: warning firing · Down it is",
        "2: ended · Disk it is",
        "Incidents: http://receiver/v1/incidents",
    ]
    assert (await receiver.store.figures()).outbox == {"sent": 3, "superseded": 1}


async def test_a_digest_of_one_is_the_message_itself(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, DAILY))
    await post(client, alert())
    await at(clock, receiver, sink, NINE, 1)
    assert sink.titles == ["[P2 FIRING] Down it is · 10:00 UTC"]


async def test_a_digest_that_fails_is_told_again_whole(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
) -> None:
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, DAILY))
    await post(client, alert(), alert("Disk"))
    await receiver.pipeline.process()
    sink.status = 500
    await at(clock, receiver, sink, NINE, 0)
    assert (await receiver.store.figures()).outbox == {"failed": 2}
    sink.status = 200
    await at(clock, receiver, sink, NINE + 60, 1)
    assert sink.titles == ["[WARNING FIRING] Digest of 2 incidents: 2 firing · 10:00 UTC"]
    assert (await receiver.store.figures()).outbox == {"sent": 2}


async def test_what_waits_for_days_is_not_late_when_it_is_first_tried(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    clock: Clock,
    any_database: str,
) -> None:
    holidays = "people: {ana: {contacts: {default: [inbox]}, holidays: [{from: 2026-11-20, to: 2026-11-25}]}}\n"
    clock.at = EVENING
    client, receiver = await start_receiver(config(sink, holidays))
    await post(client, alert())
    await at(clock, receiver, sink, EVENING, 0)
    sink.status = 500
    await at(clock, receiver, sink, parse_rfc3339("2026-11-26T00:00:00Z"), 0)
    assert await sql(any_database, "SELECT state, attempts FROM outbox") == [("failed", 1)]


# --- on the store alone ----------------------------------------------------------------------------------------------


async def held(box: Box, revision: int = 1, incident: int | None = None, **more: Any) -> int:  # noqa: F811 - no fixture here
    """A row that its digest tells at NOW."""
    known = incident if incident is not None else await box.incident()
    return await box.plan(known, revision, "firing", **{"digest": "daily", "held_until": NOW, **more})


async def test_two_senders_never_tell_one_row_twice(box: Box) -> None:  # noqa: F811 - the fixture
    planned = {await held(box) for _ in range(10)}
    taken = await asyncio.gather(*(box.store.claim_digest("inbox", owner, NOW) for owner in "abcd"))
    ids = [row.id for rows in taken for row in rows]
    assert (set(ids), len(ids)) == (planned, len(planned))
    assert await box.store.claim("inbox", "me", NOW) is None


async def test_a_digest_that_is_too_long_goes_on_in_the_next(box: Box) -> None:  # noqa: F811 - the fixture
    planned = {await held(box) for _ in range(MOST_IN_A_DIGEST + 3)}
    told: list[int] = []
    while rows := await box.store.claim_digest("inbox", "me", NOW):
        told += [row.id for row in rows]
        assert await box.store.finish_all(rows, Receipt("sent", "", 200, place="ts-1"), SENT, NOW, NOW)
    assert (set(told), len(told)) == (planned, len(planned))
    assert (await box.row(told[0]))["place"] is None


async def test_each_digest_is_a_message_of_its_own_and_what_is_not_due_waits(box: Box) -> None:  # noqa: F811 - the fixture
    daily, hourly = await held(box), await held(box, digest="hourly", next_attempt_at=NOW - 1)
    await held(box, next_attempt_at=NOW + 1)
    assert [row.id for row in await box.store.claim_digest("inbox", "me", NOW)] == [hourly]
    assert [row.id for row in await box.store.claim_digest("inbox", "me", NOW)] == [daily]
    assert await box.store.claim_digest("inbox", "me", NOW) == []


async def test_what_is_told_at_once_is_in_no_digest_and_replaces_what_waits_for_one(box: Box) -> None:  # noqa: F811 - the fixture
    incident = await box.incident()
    waiting = await held(box, incident=incident)
    urgent = await box.plan(incident, 2, "firing")
    assert await box.store.claim_digest("inbox", "me", NOW) == []
    assert (await box.claim()).id == urgent
    assert await box.state(waiting) == "superseded"


async def test_a_digest_that_was_cut_off_is_told_again_and_marked(box: Box) -> None:  # noqa: F811 - the fixture
    planned = {await held(box) for _ in range(3)}
    await box.store.claim_digest("inbox", "dead", NOW)
    for lease in await box.store.leases():
        assert await box.store.expire(lease, NOW + LEASE_SECONDS)
    again = await box.store.claim_digest("inbox", "me", NOW + LEASE_SECONDS)
    assert {row.id for row in again} == planned
    assert all(row.may_repeat for row in again)


class Recorder:
    """A sink that answers as told."""

    def __init__(self, *answers: Receipt) -> None:
        self.answers, self.told = list(answers), list[tuple[Message, bool]]()

    async def send(self, message: Message, *, may_repeat: bool, place: str) -> Receipt:
        assert place == ""
        self.told.append((message, may_repeat))
        return self.answers.pop(0) if self.answers else OK


LOST = Receipt("unknown", "cut off")


@pytest.mark.parametrize("answers", [[LOST], [NO] * QUICK_TRIES], ids=["it may have arrived", "it was refused"])
async def test_a_digest_that_was_not_surely_delivered_is_sent_once_more(
    box: Box,  # noqa: F811 - the fixture
    answers: list[Receipt],
) -> None:
    planned = [await held(box) for _ in range(3)]
    recorder, clock, background = Recorder(*answers), Clock(NOW), Background()
    metrics = ReceiverMetrics(CollectorRegistry())
    deliverer = Deliverer(
        box.store, lambda _: recorder, background.spawn, metrics, clock, structlog.get_logger(), steady=lambda: clock.at
    )
    await deliverer.follow([Target(name="inbox", url="json://x")])
    async with asyncio.timeout(60):
        while not await box.has_tried(3):
            await asyncio.sleep(0.01)
        clock.at += 600
        while {await box.state(id_) for id_ in planned} != {"sent"}:
            deliverer.wake()
            await asyncio.sleep(0.01)
    await deliverer.stop()
    await background.close()
    last, may_repeat = recorder.told[-1]
    assert may_repeat == (LOST in answers)
    assert len(last.digest) == 3
