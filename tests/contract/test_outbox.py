"""The outbox on a real database: who sends what, what dead senders leave, what a newer message replaces."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, select, update

from receiver.alerts import Status
from receiver.delivery.leases import LEASE_SECONDS
from receiver.delivery.outbox import FURTHEST_SECONDS, Claimed, Next, Receipt
from receiver.delivery.turn import PACE_SECONDS
from receiver.message import Message
from receiver.metrics import ReceiverMetrics
from receiver.settings import Target
from receiver.stages import deliver, lease
from receiver.stages.deliver import Deliverer
from receiver.store import MIGRATIONS, OutboxStore
from receiver.store.tables import decisions, deliveries, incidents, outbox
from toolkit.service import Background
from toolkit.storage import Database, migrate, storage_url

NOW = 1_000_000.0
SENT, AGAIN = Next("sent", None), Next("failed", NOW + 2)
OK, NO = Receipt("sent", "", 200), Receipt("failed", "no", 500)


class Box:
    """A store with what the tests put into it and read from it."""

    def __init__(self, database: Database) -> None:
        self.database, self.store = database, OutboxStore(database)

    async def incident(self) -> int:
        async with self.database.write() as connection:
            values = {"key": "k", "state": "open", "severity": "critical", "opened_at": NOW, "revision": 1}
            values |= {"resolved_at": NOW, "reopened": 0}  # so that many may share the key
            result = await connection.execute(insert(incidents).values(values).returning(incidents.c.id))
            return int(result.scalar_one())

    async def plan(
        self, incident: int, revision: int, status: Status, now: float = NOW, target: str = "inbox", **more: Any
    ) -> int:
        message = Message(
            incident=incident, revision=revision, status=status, reason="", severity="", alert="A", summary="s", since=0
        )
        values = {
            "incident_id": incident,
            "revision": revision,
            "target": target,
            "status": status,
            "message_json": msgspec.json.encode(message).decode(),
            "route": "",
            "state": "planned",
            "attempts": 0,
            "may_repeat": False,
            "received_at": now,
            "planned_at": now,
            "next_attempt_at": now,
        }
        async with self.database.write() as connection:
            result = await connection.execute(insert(outbox).values(values | more).returning(outbox.c.id))
            return int(result.scalar_one())

    async def claim(self, owner: str = "me", now: float = NOW) -> Claimed:
        row = await self.store.claim("inbox", owner, now)
        assert row is not None
        return row

    async def row(self, id_: int) -> dict[str, Any]:
        async with self.database.read() as connection:
            return dict((await connection.execute(select(outbox).where(outbox.c.id == id_))).mappings().one())

    async def state(self, id_: int) -> str:
        return str((await self.row(id_))["state"])

    async def attempts(self) -> list[tuple[int, str]]:
        query = select(deliveries.c.outbox_id, deliveries.c.result).order_by(deliveries.c.id)
        async with self.database.read() as connection:
            return [(id_, result) for id_, result in await connection.execute(query)]

    async def has_tried(self, times: int) -> bool:
        return len(await self.attempts()) >= times


@pytest.fixture
async def box(any_database: str) -> AsyncIterator[Box]:
    url = storage_url(any_database, Path(), "")
    migrate(url, MIGRATIONS)
    database = Database(url)
    yield Box(database)
    await database.close()


async def test_many_senders_claim_each_row_once(box: Box) -> None:
    planned = {await box.plan(await box.incident(), 1, "firing") for _ in range(20)}

    async def work(owner: str) -> list[int]:
        found = []
        while (row := await box.store.claim("inbox", owner, NOW)) is not None:
            found.append(row.id)
            await box.store.finish(row, OK, SENT, NOW, NOW)
        return found

    claimed = [id_ for found in await asyncio.gather(*(work(f"worker {n}") for n in range(4))) for id_ in found]
    assert sorted(claimed) == sorted(planned)
    assert sorted(await box.attempts()) == [(id_, "sent") for id_ in sorted(planned)]


async def test_one_message_of_an_incident_is_under_way_at_a_time(box: Box) -> None:
    incident = await box.incident()
    await box.plan(incident, 1, "firing")
    first = await box.claim("a")
    await box.plan(incident, 2, "resolved")
    assert await box.store.claim("inbox", "b", NOW) is None
    assert await box.store.next_due("inbox") is None
    await box.store.finish(first, OK, SENT, NOW, NOW)
    assert (await box.claim("b")).revision == 2


async def test_another_target_and_another_incident_do_not_wait(box: Box) -> None:
    incident = await box.incident()
    await box.plan(incident, 1, "firing")
    await box.claim()
    other = await box.plan(await box.incident(), 1, "firing")
    await box.plan(incident, 1, "firing", target="mail")
    assert (await box.claim()).id == other
    assert await box.store.claim("mail", "me", NOW) is not None


async def test_what_died_while_it_was_sent_may_be_a_repeat(box: Box) -> None:
    await box.plan(await box.incident(), 1, "firing")
    await box.claim("dead")
    assert await box.store.claim("inbox", "me", NOW + 3600) is None, "however late it is"
    (held,) = await box.store.leases()
    assert (held.owner, held.until) == ("dead", NOW + 30)
    assert await box.store.expire(held, NOW + 31)
    again = await box.claim("me", NOW + 31)
    assert (again.attempts, again.may_repeat) == (2, True)


async def test_a_lease_that_was_renewed_is_not_taken(box: Box) -> None:
    await box.plan(await box.incident(), 1, "firing")
    row = await box.claim("slow")
    (held,) = await box.store.leases()
    assert await box.store.renew(row, NOW + 10)
    assert not await box.store.expire(held, NOW + 31)
    assert await box.state(row.id) == "sending"


async def test_at_the_start_of_the_only_process_everything_is_taken(box: Box) -> None:
    await box.plan(await box.incident(), 1, "firing")
    await box.claim("dead")
    assert await box.store.recover(NOW) == 1
    assert (await box.claim()).may_repeat


COMEBACKS = [
    ("it did arrive: the repeat is spared", "waits", OK, "sent"),
    ("it failed: nothing is changed", "waits", NO, "unknown"),
    ("it did arrive, but is sent again just now", "is sent", OK, "sending"),
    ("it did arrive after it was sent again", "was sent", OK, "sent"),
    ("it failed after it was sent again", "was sent", NO, "sent"),
    ("it did arrive after a newer one took its place", "was replaced", OK, "superseded"),
]


@pytest.mark.parametrize(
    ("meanwhile", "receipt", "state"), [row[1:] for row in COMEBACKS], ids=[row[0] for row in COMEBACKS]
)
async def test_a_sender_that_was_taken_for_dead_comes_back(
    box: Box, meanwhile: str, receipt: Receipt, state: str
) -> None:
    incident = await box.incident()
    await box.plan(incident, 1, "firing")
    late = await box.claim("late")
    (held,) = await box.store.leases()
    await box.store.expire(held, NOW)
    assert not await box.store.renew(late, NOW)
    if meanwhile == "was replaced":
        await box.plan(incident, 2, "resolved")
    if meanwhile != "waits":
        other = await box.claim("other")
        if meanwhile == "was sent":
            await box.store.finish(other, OK, SENT, NOW, NOW)
    following = SENT if receipt is OK else AGAIN
    assert not await box.store.finish(late, receipt, following, NOW, NOW)
    assert await box.state(late.id) == state
    assert (late.id, receipt.result) in await box.attempts(), "its attempt is on record"


async def test_what_a_wrong_clock_put_off_is_hastened(box: Box) -> None:
    far = await box.plan(await box.incident(), 1, "firing", next_attempt_at=NOW + 86400)
    near = await box.plan(await box.incident(), 1, "firing", next_attempt_at=NOW + FURTHEST_SECONDS)
    assert await box.store.hasten(NOW) == 1
    assert [(await box.row(id_))["next_attempt_at"] for id_ in (far, near)] == [NOW, NOW + FURTHEST_SECONDS]


async def test_a_newer_message_replaces_those_that_wait(box: Box) -> None:
    incident = await box.incident()
    first = await box.plan(incident, 1, "firing")
    await box.store.finish(await box.claim(), NO, AGAIN, NOW, NOW)
    second = await box.plan(incident, 2, "resolved")
    sent = await box.claim()
    assert (sent.id, sent.message.untold) == (second, True)
    replaced = await box.row(first)
    assert (replaced["state"], replaced["superseded_by"], replaced["finished_at"]) == ("superseded", second, NOW)
    assert b'"untold":true' in (await box.row(second))["message_json"].encode(), "what was said is on record"


async def test_a_firing_soon_after_another_waits_and_keeps_nobody_else_waiting(box: Box) -> None:
    incident = await box.incident()
    await box.plan(incident, 1, "firing")
    await box.store.finish(await box.claim(), OK, SENT, NOW, NOW)
    paced = await box.plan(incident, 2, "firing", NOW + 1)
    other = await box.plan(await box.incident(), 1, "firing", NOW + 2)
    assert (await box.claim(now=NOW + 5)).id == other
    assert await box.store.claim("inbox", "me", NOW + 6) is None
    assert await box.store.next_due("inbox") == NOW + PACE_SECONDS
    assert (await box.claim(now=NOW + PACE_SECONDS)).id == paced


async def test_a_flap_within_the_pace_is_left_out_and_the_reason_is_on_record(box: Box) -> None:
    incident = await box.incident()
    told = []
    for revision, status in enumerate(("firing", "resolved"), start=1):
        told.append(await box.plan(incident, revision, status))  # type: ignore[arg-type]  # the two statuses
        await box.store.finish(await box.claim(), OK, SENT, NOW, NOW)
    flap = [await box.plan(incident, 3, "firing", NOW + 5), await box.plan(incident, 4, "resolved", NOW + 9)]
    assert await box.store.claim("inbox", "me", NOW + 10) is None
    found = [await box.row(id_) for id_ in flap]
    assert [(row["state"], row["superseded_by"]) for row in found] == [("superseded", told[1])] * 2
    async with box.database.read() as connection:
        reasons = (await connection.execute(select(decisions.c.revision, decisions.c.what, decisions.c.reason))).all()
    assert [tuple(row) for row in reasons] == [(3, "not sent", "told_already"), (4, "not sent", "told_already")]


async def test_a_part_of_what_has_ended_is_not_told_that_it_fires(box: Box) -> None:
    whole, part = await box.incident(), await box.incident()
    async with box.database.write() as connection:
        await connection.execute(update(incidents).where(incidents.c.id == part).values(merged_into=whole))
    pending = await box.plan(part, 1, "firing")
    end = await box.plan(whole, 2, "resolved")
    assert (await box.claim()).id == end
    assert await box.state(pending) == "superseded"
    async with box.database.read() as connection:
        assert (await connection.execute(select(decisions.c.reason))).scalars().all() == ["part_of_ended"]


async def test_the_end_of_the_whole_waits_for_what_is_being_sent_of_a_part(box: Box) -> None:
    whole, part = await box.incident(), await box.incident()
    await box.plan(part, 1, "firing")
    under_way = await box.claim()
    async with box.database.write() as connection:
        await connection.execute(update(incidents).where(incidents.c.id == part).values(merged_into=whole))
    end = await box.plan(whole, 2, "resolved")
    assert await box.store.claim("inbox", "me", NOW) is None
    await box.store.finish(under_way, OK, SENT, NOW, NOW)
    assert (await box.claim()).id == end


async def test_who_was_told_of_the_end_since_does_not_know_that_it_fires(box: Box) -> None:
    whole, part = await box.incident(), await box.incident()
    async with box.database.write() as connection:
        await connection.execute(update(incidents).where(incidents.c.id == part).values(merged_into=whole))
    for target, incident, history in (
        ("a", whole, "fr"),
        ("b", whole, "frf"),
        ("c", part, "f"),
        ("d", part, "fr"),
        ("e", whole, "fx"),
    ):
        for revision, said in enumerate(history, start=1):
            state = "dead" if said == "x" else "planned"
            await box.plan(incident, revision, "firing" if said == "f" else "resolved", target=target, state=state)
    assert await box.store.told([whole], shadows=False) == ["b", "c", "e"], "nor does who could not be told"


async def test_a_call_that_nobody_needed_says_nothing_and_takes_nothing_back(box: Box) -> None:
    incident = await box.incident()
    call: dict[str, Any] = {"reason": "escalated", "state": "superseded", "finished_at": NOW}
    await box.plan(incident, 1, "firing", target="told before", state="sent", finished_at=NOW)
    await box.plan(incident, 2, "firing", target="told before", **call)
    await box.plan(incident, 2, "firing", target="dropped", **call)
    await box.plan(incident, 2, "firing", target="may have heard", **call, may_repeat=True)
    assert await box.store.told([incident], shadows=False) == ["told before", "may have heard"]


async def test_a_message_of_an_older_release_is_sent(box: Box) -> None:
    id_ = await box.plan(await box.incident(), 1, "firing")
    async with box.database.write() as connection:
        await connection.execute(update(outbox).values(state="sending"))
    assert await box.store.recover(NOW) == 1
    assert (await box.claim()).id == id_


async def test_what_waits_for_a_digest_is_not_due_while_its_incident_has_something_more_urgent(box: Box) -> None:
    incident, later = await box.incident(), NOW + 3600
    await box.plan(incident, 1, "firing", digest="daily", held_until=NOW)
    await box.plan(incident, 2, "firing", held_until=later, next_attempt_at=later)
    assert await box.store.claim("inbox", "me", NOW) is None
    assert await box.store.claim_digest("inbox", "me", NOW) == []
    assert await box.store.next_due("inbox") == later
    other = await box.plan(await box.incident(), 1, "firing", NOW + 1, digest="hourly", held_until=NOW + 1)
    assert await box.store.next_due("inbox") == NOW + 1
    assert [row.id for row in await box.store.claim_digest("inbox", "me", NOW + 1)] == [other]


class Sink:
    """Answers with the receipts it is given, the last one again and again; or as late as it is told to."""

    def __init__(self, *receipts: Receipt, may_end: bool = True) -> None:
        self.receipts = list(receipts) or [OK]
        self.begun, self.may_end, self.got = asyncio.Event(), asyncio.Event(), list[tuple[str, bool, str]]()
        if may_end:
            self.may_end.set()

    async def send(self, message: Message, *, may_repeat: bool, place: str) -> Receipt:
        self.got.append((message.reason, may_repeat, place))
        self.begun.set()
        await self.may_end.wait()
        return self.receipts.pop(0) if len(self.receipts) > 1 else self.receipts[0]


@dataclass
class Running:
    """A deliverer, with the clocks it goes by."""

    deliverer: Deliverer
    metrics: ReceiverMetrics
    steady: float = 0.0

    def wait(self, seconds: float) -> None:
        """Lets `seconds` pass, and wakes everybody."""
        self.steady += seconds
        self.deliverer.wake()

    def metric(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"tocsin_receiver_{name}", {"target": "inbox"})


StartDeliverer = Callable[..., Awaitable[Running]]


@pytest.fixture
async def deliverer(box: Box, exits: AsyncExitStack) -> StartDeliverer:
    async def start(**sinks: Sink) -> Running:
        background = Background()
        exits.push_async_callback(background.close)
        metrics = ReceiverMetrics(CollectorRegistry())
        log = structlog.get_logger()
        running: Running

        found = Deliverer(
            box.store,
            lambda target: sinks[target.name],
            background.spawn,
            metrics,
            lambda: NOW,
            log,
            lambda: running.steady,
        )
        running = Running(found, metrics)
        await found.follow(
            Target.model_validate({"name": name, "rate": "1/s", "url": "json://localhost/"}) for name in sinks
        )
        return running

    return start


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what has to come."""
    for _ in range(1000):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came")


async def test_a_send_that_outlasts_the_stop_is_cut_off_and_may_be_a_repeat(
    box: Box, deliverer: StartDeliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "STOP_SECONDS", 0.2)
    id_ = await box.plan(await box.incident(), 1, "firing")
    sink = Sink(may_end=False)
    running = await deliverer(inbox=sink)
    await sink.begun.wait()
    await running.deliverer.stop()
    row = await box.row(id_)
    assert (row["state"], row["may_repeat"], row["leased_by"]) == ("unknown", True, None)
    assert await box.attempts() == [(id_, "unknown")]


async def test_a_send_that_takes_long_keeps_its_lease(
    box: Box, deliverer: StartDeliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    id_ = await box.plan(await box.incident(), 1, "firing")
    sink = Sink(may_end=False)
    running = await deliverer(inbox=sink)
    await sink.begun.wait()
    async with box.database.write() as connection:
        await connection.execute(update(outbox).values(lease_until=0))

    async def renewed() -> bool:
        return bool((await box.row(id_))["lease_until"] == NOW + 30)

    await until(renewed)
    sink.may_end.set()
    await running.deliverer.stop()
    assert await box.state(id_) == "sent"


async def test_what_dead_senders_left_is_found_by_whoever_looks_twice(box: Box) -> None:
    woken: list[int] = []
    steady = iter((0.0, LEASE_SECONDS))
    metrics = ReceiverMetrics(CollectorRegistry())
    keeper = lease.Keeper(
        box.store, lambda: woken.append(1), metrics, lambda: NOW - 86400, lambda: next(steady), structlog.get_logger()
    )
    id_ = await box.plan(await box.incident(), 1, "firing")
    await box.claim("dead")
    await keeper.look()
    assert (await box.state(id_), woken) == ("sending", [])
    await keeper.look()
    assert (await box.state(id_), woken) == ("unknown", [1])


async def test_a_retry_after_is_meant_for_every_message_of_the_target(box: Box, deliverer: StartDeliverer) -> None:
    for _ in range(2):
        await box.plan(await box.incident(), 1, "firing")
    sink = Sink(Receipt("failed", "", 429, retry_after=60.0), OK)
    running = await deliverer(inbox=sink)

    await until(lambda: box.has_tried(1))
    running.wait(59)
    await asyncio.sleep(0.3)  # time enough for what must not come
    assert len(sink.got) == 1
    running.wait(1)
    await until(lambda: box.has_tried(2))


async def test_a_target_that_fails_and_fails_is_tried_with_one_message_at_a_time(
    box: Box, deliverer: StartDeliverer
) -> None:
    for _ in range(20):
        await box.plan(await box.incident(), 1, "firing")
    lost = Receipt("unknown", "")
    running = await deliverer(inbox=Sink(*[lost] * 6, OK))

    await until(lambda: box.has_tried(5))
    assert running.metric("target_circuit_open") == 1
    running.wait(30)
    await until(lambda: box.has_tried(6))
    running.wait(59)
    await asyncio.sleep(0.3)  # time enough for what must not come
    assert len(await box.attempts()) == 6, "and the pause has doubled"
    running.wait(1)
    await until(lambda: box.has_tried(7))
    running.wait(60)
    await until(lambda: box.has_tried(12))
    assert running.metric("target_circuit_open") == 0


async def test_a_target_is_sent_to_no_faster_than_its_rate(box: Box, deliverer: StartDeliverer) -> None:
    for _ in range(8):
        await box.plan(await box.incident(), 1, "firing")
    sink = Sink()
    running = await deliverer(inbox=sink)

    await until(lambda: box.has_tried(5))
    await asyncio.sleep(0.3)  # time enough for what must not come
    assert len(sink.got) == 5
    running.wait(2)
    await until(lambda: box.has_tried(7))


async def test_what_an_open_circuit_holds_back_is_unheard_as_well(box: Box) -> None:
    stand_ins = box.store.stand_ins
    tried = await box.plan(await box.incident(), 1, "firing", attempts=1)
    untried = await box.plan(await box.incident(), 1, "firing")
    await box.plan(await box.incident(), 1, "firing", NOW + 1, attempts=1)
    await box.plan(await box.incident(), 1, "resolved", attempts=1)
    assert [one.id for one in await stand_ins.unheard("inbox", "mail", NOW, untried=False)] == [tried]
    assert [one.id for one in await stand_ins.unheard("inbox", "mail", NOW, untried=True)] == [tried, untried]
    assert await stand_ins.plan(tried, "mail", "", NOW)
    assert not await stand_ins.plan(tried, "mail", "", NOW)
    assert await stand_ins.unheard("inbox", "mail", NOW, untried=False) == []


async def test_a_target_waits_since_the_first_message_after_the_last_that_it_heard(box: Box) -> None:
    incident = await box.incident()
    await box.plan(incident, 1, "firing", NOW - 900, state="superseded", finished_at=NOW)
    await box.plan(incident, 2, "firing", NOW - 800, state="sent", finished_at=NOW)
    await box.plan(incident, 3, "firing", NOW - 400, state="superseded", finished_at=NOW)
    await box.plan(incident, 4, "resolved", NOW - 390, state="superseded", finished_at=NOW)
    newest = await box.plan(incident, 5, "firing", NOW - 10, attempts=1)
    (found,) = await box.store.stand_ins.unheard("inbox", "mail", NOW - 300, untried=False)
    assert (found.id, found.since) == (newest, NOW - 400)


async def test_however_many_send_an_incident_has_one_message_under_way_and_the_newest_is_the_last(box: Box) -> None:
    incidents = [await box.incident() for _ in range(3)]
    flying: set[int] = set()
    told: dict[int, list[int]] = {incident: [] for incident in incidents}
    planning = True

    async def plan(incident: int) -> None:
        for revision in range(1, 16):
            await box.plan(incident, revision, "firing" if revision % 2 else "resolved")
            await asyncio.sleep(0.002)

    async def work(owner: str) -> None:
        while planning or any(told[incident][-1:] != [15] for incident in incidents):
            # a minute later each time, so that the pace holds nothing back
            row = await box.store.claim("inbox", owner, NOW + 61 * sum(map(len, told.values())))
            if row is None:
                await asyncio.sleep(0.001)
                continue
            assert row.incident not in flying
            flying.add(row.incident)
            await asyncio.sleep(0.003)
            told[row.incident].append(row.revision)
            flying.remove(row.incident)
            ended = NOW + 61 * sum(map(len, told.values()))
            assert await box.store.finish(row, OK, SENT, ended, ended)

    working = [asyncio.create_task(work(f"sender {number}")) for number in range(6)]
    await asyncio.gather(*map(plan, incidents))
    planning = False
    async with asyncio.timeout(60):
        await asyncio.gather(*working)
    assert all(revisions == sorted(set(revisions)) for revisions in told.values())


async def test_what_a_newer_message_is_about_to_replace_is_told_to_nobody(box: Box) -> None:
    incident = await box.incident()
    begun = await box.plan(incident, 1, "firing", attempts=1)
    await box.plan(incident, 2, "resolved")
    assert await box.store.stand_ins.unheard("inbox", "mail", NOW, untried=True) == []
    assert not await box.store.stand_ins.plan(begun, "mail", "", NOW)


async def test_a_sink_is_told_that_a_message_may_be_a_repeat(box: Box, deliverer: StartDeliverer) -> None:
    await box.plan(await box.incident(), 1, "firing", may_repeat=True, state="unknown")
    sink = Sink()
    await deliverer(inbox=sink)
    await until(lambda: box.has_tried(1))
    assert [may_repeat for _, may_repeat, _ in sink.got] == [True]


async def test_a_sink_is_told_where_the_incidents_message_stands(box: Box, deliverer: StartDeliverer) -> None:
    incident = await box.incident()
    await box.plan(incident, 1, "firing")
    sink = Sink(Receipt("sent", "", 200, place="C1:17.5"))
    running = await deliverer(inbox=sink)
    await until(lambda: box.has_tried(1))
    await box.plan(incident, 2, "resolved")
    running.deliverer.wake()
    await until(lambda: box.has_tried(2))
    assert [place for _, _, place in sink.got] == ["", "C1:17.5"]
