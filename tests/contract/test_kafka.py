"""The Kafka source against a real broker."""

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry

from exporter.usage.delivery import Position
from exporter.usage.sources.kafka.metrics import KafkaCollector, KafkaMetrics
from exporter.usage.sources.kafka.settings import KafkaSettings
from exporter.usage.sources.kafka.source import KafkaSource
from tests.support.kafka import USER, Broker, Sender, broker
from tests.support.processes import until
from tests.support.tally import Tally

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE = 120.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    async with broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def desk(kafka: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator["Desk"]:
    topic = re.sub(r"\W+", "-", request.node.name)[-200:]
    desk = Desk(kafka, Tally(tmp_path / "tally.db"), topic)
    async with desk.tasks:
        yield desk
        await desk.stop()


class Desk:
    """A topic, a ledger, and the sources that read the one into the other."""

    def __init__(self, kafka: Broker, tally: Tally, topic: str) -> None:
        self.kafka, self.tally, self.topic = kafka, tally, topic
        self.tasks = contextlib.AsyncExitStack()
        self.lines: list[Any] = []
        self._log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[self._note])
        self._running: dict[KafkaSource, asyncio.Task[None]] = {}
        self.registry = CollectorRegistry()
        self._metrics = KafkaMetrics(self.registry)
        self.registry.register(KafkaCollector(lambda: self._running, time.time))

    def _note(self, _: object, level: str, event: Any) -> Any:
        self.lines.append((level, dict(event)))
        return str(event)

    def settings(self, **given: Any) -> KafkaSettings:
        options: dict[str, Any] = {
            "name": "shop",
            "brokers": [self.kafka.address],
            "topics": [self.topic],
            "group": self.topic,
        }
        options |= {"session_timeout": "6s", "batch": {"wait": "50ms"}}
        return KafkaSettings.model_validate(options | given)

    def read(self, **given: Any) -> KafkaSource:
        source = KafkaSource(self.settings(**given), self.tally, self._metrics, self._log)
        self._running[source] = asyncio.create_task(source.run())
        return source

    async def stop(self, *sources: KafkaSource) -> None:
        tasks = [self._running.pop(source) for source in sources or list(self._running)]
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended

    async def counted(self, count: int) -> None:
        await self.until(lambda: self.tally.count >= count, f"{count} events are counted")

    async def until(self, holds: Any, what: str) -> None:
        def goes_on() -> bool:
            for task in self._running.values():
                if task.done():
                    task.result()
            return bool(holds())

        try:
            await until(goes_on, what, PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}; counted {self.tally.counts}, log: {self.lines[-20:]}") from None

    def read_until(self, part: str) -> float:
        """Up to when the keys of a part were read; 0 where that is not known."""
        hold = self.tally.held.get("kafka:shop")
        return hold.until.get(part, 0.0) if hold else 0.0

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"tocsin_exporter_kafka_{name}", {"source": "shop", **labels}) or 0.0


async def test_every_message_is_counted_once_and_the_lag_goes_down_to_nothing(desk: Desk) -> None:
    await desk.kafka.create(desk.topic, 4)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 5_000)
    desk.read()
    await desk.counted(5_000)
    await sender.send(desk.topic, 3_000)
    await desk.counted(8_000)
    assert desk.tally.counts == sender.truth
    await desk.until(
        lambda: sum(desk.value("lag_messages", topic=desk.topic, partition=str(part)) for part in range(4)) == 0,
        "nothing is left",
    )
    assert desk.value("catching_up") == 0
    await desk.until(lambda: desk.value("messages_total") == 8_000, "each has been told of")
    assert desk.value("last_message_timestamp_seconds", topic=desk.topic, partition="0") == pytest.approx(
        time.time(), abs=PATIENCE
    )


async def test_each_message_comes_with_the_time_at_which_it_was_sent(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    began = time.time()
    await Sender(desk.kafka.address).send(desk.topic, 100)
    ended = time.time()
    desk.read()
    await desk.counted(100)
    assert len(desk.tally.sent) == 100
    assert began - 1 <= min(desk.tally.sent) <= max(desk.tally.sent) <= ended + 1


async def test_the_groups_own_offsets_follow_for_others_to_see(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 100)
    source = desk.read()
    await desk.counted(100)
    await desk.stop(source)
    other = Consumer({"bootstrap.servers": desk.kafka.address, "group.id": desk.topic})
    try:
        (committed,) = await asyncio.to_thread(other.committed, [TopicPartition(desk.topic, 0)], timeout=PATIENCE)
    finally:
        other.close()
    assert committed.offset == 100


async def test_a_poison_message_and_a_tombstone_are_passed_by(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.raw(desk.topic, b"\xff\x00 poison", None, b"{}", b"")
    await sender.send(desk.topic, 10)
    desk.read()
    await desk.counted(10)
    assert desk.tally.counts == sender.truth
    assert desk.tally.read_positions("kafka:shop") == {f"{desk.topic}/0": "14"}
    assert desk.value("tombstones_total") == 1


async def test_a_second_consumer_takes_its_share_and_gives_it_back(desk: Desk) -> None:
    await desk.kafka.create(desk.topic, 6)
    sender = Sender(desk.kafka.address)
    desk.read()
    await sender.send(desk.topic, 1_000)
    second = desk.read()
    await desk.until(lambda: second.progress, "the second has partitions")
    await sender.send(desk.topic, 1_000)
    await desk.counted(2_000)
    await desk.stop(second)
    await sender.send(desk.topic, 1_000)
    await desk.counted(3_000)
    assert desk.tally.counts == sender.truth
    assert desk.value("rebalances_total", change="revoked") >= 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_that_is_started_again_is_read_on(desk: Desk, number: signal.Signals) -> None:
    await desk.kafka.create(desk.topic, 2)
    sender = Sender(desk.kafka.address)
    desk.read()
    await sender.send(desk.topic, 1_000)
    await desk.counted(1_000)
    await desk.kafka.stop(number)
    await desk.kafka.start()
    await sender.send(desk.topic, 1_000)
    await desk.counted(2_000)
    assert desk.tally.counts == sender.truth


async def test_what_retention_cut_off_is_told_as_lost(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 100)
    source = desk.read()
    await desk.counted(100)
    await desk.stop(source)
    await sender.send(desk.topic, 60)
    await desk.kafka.cut(desk.topic, 0, 140)
    desk.read()
    await desk.counted(120)
    assert desk.value("lost_messages_total") == 40
    assert desk.value("errors_total", reason="cut_off") == 1


async def test_what_is_cut_off_while_it_is_being_read_is_told_as_lost(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 100)
    desk.read()
    await desk.counted(100)
    desk.tally.broken = True
    await sender.send(desk.topic, 10)
    # by then the partition rests, and what is sent now is not fetched
    await desk.until(lambda: desk.value("storage_retries_total") >= 6, "the ledger was asked in vain for seconds")
    await sender.send(desk.topic, 50)
    await desk.kafka.cut(desk.topic, 0, 150)
    desk.tally.broken = False
    await desk.until(lambda: desk.tally.read_positions("kafka:shop") == {f"{desk.topic}/0": "160"}, "all was read")
    assert (desk.tally.count, desk.value("lost_messages_total")) == (120, 40)


async def test_a_topic_made_anew_is_read_from_its_beginning(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 100)
    source = desk.read()
    await desk.counted(100)
    await desk.stop(source)
    await desk.kafka.drop(desk.topic)
    await _made(desk)
    await Sender(desk.kafka.address).send(desk.topic, 20)
    desk.read()
    await desk.counted(120)
    assert desk.value("errors_total", reason="beyond_end") == 1


async def _made(desk: Desk) -> None:
    """A topic is removed some time after the broker has said so."""

    async def made() -> bool:
        with contextlib.suppress(Exception):
            await desk.kafka.create(desk.topic)
            return True
        return False

    await until(made, "the topic is made anew", PATIENCE)


async def test_with_latest_what_comes_after_the_first_look_counts_also_after_a_pause(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    before = Sender(desk.kafka.address)
    await before.send(desk.topic, 100)
    source = desk.read(start="latest")
    await desk.until(lambda: source.progress, "it reads")
    assert desk.tally.read_positions("kafka:shop") == {f"{desk.topic}/0": "100"}
    await desk.stop(source)
    after = Sender(desk.kafka.address)
    await after.send(desk.topic, 50)
    desk.read(start="latest")
    await desk.counted(50)
    assert desk.tally.counts == after.truth


async def test_while_the_ledger_is_out_of_reach_nothing_is_dropped_and_the_lag_is_told(desk: Desk) -> None:
    await desk.kafka.create(desk.topic, 2)
    sender = Sender(desk.kafka.address)
    desk.read(behind="1s")
    await sender.send(desk.topic, 100)
    await desk.counted(100)
    desk.tally.broken = True
    await sender.raw(desk.topic, b'{"event": "old", "n": 1}', timestamp=time.time() - 3600)
    await desk.until(lambda: desk.value("storage_retries_total") >= 3, "the ledger was asked in vain")
    await sender.raw(desk.topic, *[b'{"event": "new", "n": 1}'] * 10)
    await desk.until(lambda: desk.value("lag_messages", topic=desk.topic, partition="0") >= 11, "the lag is told")
    await desk.until(lambda: desk.value("catching_up") == 1, "it is behind")
    desk.tally.broken = False
    await desk.counted(111)
    assert desk.tally.counts == {**sender.truth, "old": (1, 1), "new": (10, 10)}
    await desk.until(lambda: desk.value("catching_up") == 0, "it has caught up")


async def test_keys_are_told_up_to_when_their_part_was_read(desk: Desk) -> None:
    part = "kafka:shop/0 of 1"
    await desk.kafka.create(desk.topic)
    sender, began = Sender(desk.kafka.address), time.time()
    desk.tally.watched = True
    desk.read()
    await sender.send(desk.topic, 100)
    await desk.counted(100)
    await desk.until(lambda: desk.read_until(part) > began, "nothing waits, so the broker's word counts")
    desk.tally.broken = True
    broke = time.time()
    for age in (300, 200, 100):
        await sender.raw(desk.topic, b'{"event": "old", "n": 1}', timestamp=broke - age)
    sent = time.time()
    await desk.until(lambda: desk.value("storage_retries_total") >= 6, "the ledger was asked in vain for seconds")
    assert desk.read_until(part) <= sent, "what waits was taken for read"
    desk.tally.broken = False
    mended = time.time()
    await desk.counted(103)
    await desk.until(lambda: desk.read_until(part) >= mended, "nothing waits any more")


async def test_a_backlog_is_read_by_the_time_of_its_messages(desk: Desk) -> None:
    part = "kafka:shop/0 of 1"
    await desk.kafka.create(desk.topic)
    sender, began = Sender(desk.kafka.address), time.time()
    for age in range(3000, 0, -1):
        await sender.put(desk.topic, b'{"event": "old", "n": 1}', timestamp=began - age)
    await sender.confirmed()
    desk.tally.watched, seen = True, set[float]()
    desk.read(batch={"messages": 50, "wait": "20ms"})

    def caught_up() -> bool:
        seen.add(desk.read_until(part))
        return desk.read_until(part) >= began

    await until(caught_up, "nothing waits any more", PATIENCE, pause=0.001)
    on_the_way = sorted(seen)[1:-1]
    assert on_the_way, "it was never seen on the way"
    assert all(began - 3000 <= one < began for one in sorted(seen) if 0 < one < began)


async def test_topics_with_equally_many_partitions_share_their_keys(desk: Desk) -> None:
    more, fewer = f"{desk.topic}-more", f"{desk.topic}-fewer"
    for topic, count in ((desk.topic, 2), (more, 2), (fewer, 1)):
        await desk.kafka.create(topic, count)
        await Sender(desk.kafka.address).raw(topic, None)  # from then on everybody is told of the topic
    desk.tally.watched = True
    source = desk.read(topics=[desk.topic, more, fewer])
    parts = {"kafka:shop/0 of 2", "kafka:shop/1 of 2", "kafka:shop/0 of 1"}
    await desk.until(lambda: "kafka:shop" in desk.tally.held and desk.tally.held["kafka:shop"].parts == parts, "held")
    await desk.stop(source)
    await desk.until(lambda: not desk.tally.held, "what is not read is not held")


async def test_a_hold_that_was_lost_is_taken_up_again(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    desk.tally.watched = True
    desk.read()
    await desk.until(lambda: "kafka:shop" in desk.tally.held, "it is held")
    before = desk.tally.held["kafka:shop"]
    before.lost = True
    await desk.until(lambda: desk.tally.held["kafka:shop"] is not before, "it is held again")
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 10)
    await desk.counted(10)
    assert desk.tally.counts == sender.truth


async def test_a_ledger_that_is_out_of_reach_at_the_start_is_waited_for(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 100)
    desk.tally.broken = True
    desk.read()
    await desk.until(lambda: desk.value("storage_retries_total") >= 3, "the ledger was asked in vain")
    desk.tally.broken = False
    await desk.counted(100)
    assert desk.tally.counts == sender.truth


async def test_what_rested_while_the_group_shared_anew_is_read_on(desk: Desk) -> None:
    await desk.kafka.create(desk.topic, 4)
    sender = Sender(desk.kafka.address)
    first = desk.read()
    await desk.until(lambda: first.progress, "the first has partitions")
    desk.tally.broken = True
    await sender.send(desk.topic, 1_000)
    await desk.until(lambda: desk.value("storage_retries_total") >= 3, "the ledger was asked in vain")
    second = desk.read()
    await desk.until(lambda: desk.value("rebalances_total", change="assigned") >= 3, "both were assigned partitions")
    desk.tally.broken = False
    await desk.counted(1_000)
    await desk.stop(second)
    await sender.send(desk.topic, 1_000)
    await desk.counted(2_000)
    assert desk.tally.counts == sender.truth


async def test_it_stops_while_no_broker_answers(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    source = desk.read()
    await sender.send(desk.topic, 10)
    await desk.counted(10)
    await desk.kafka.stop(signal.SIGKILL)
    try:
        await desk.stop(source)
    finally:
        await desk.kafka.start()
    assert source.progress == ()


async def test_when_somebody_else_has_read_on_the_ledger_says_from_where(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    desk.read()
    await sender.send(desk.topic, 100)
    await desk.counted(100)
    desk.tally.move(Position("kafka:shop", f"{desk.topic}/0", "100", "130"))
    await sender.send(desk.topic, 50)
    await desk.counted(120)
    await desk.until(lambda: desk.tally.read_positions("kafka:shop") == {f"{desk.topic}/0": "150"}, "all was read")
    assert desk.tally.count == 120
    assert desk.value("fenced_total") >= 1


async def test_what_a_transaction_took_back_does_not_count_and_its_markers_are_no_lag(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address, **{"transactional.id": desk.topic})
    await sender.sign_in()
    await sender.transaction(desk.topic, [b'{"event": "kept", "n": 1}'] * 5, commit=True)
    await sender.transaction(desk.topic, [b'{"event": "undone", "n": 1}'] * 5, commit=False)
    await sender.transaction(desk.topic, [b'{"event": "kept", "n": 1}'] * 5, commit=True)
    source = desk.read()
    await desk.counted(10)
    await desk.until(lambda: source.progress and source.progress[0].lag == 0, "nothing is left")
    assert desk.tally.counts == {"kept": (10, 10)}
    assert desk.value("lost_messages_total") == 0


async def test_lines_come_by_their_messages(desk: Desk) -> None:
    await desk.kafka.create(desk.topic)
    await Sender(desk.kafka.address).raw(desk.topic, b"GET /a 200", b"GET /b 500\nGET /c 200")
    desk.read(format="lines")
    await desk.counted(3)
    assert desk.tally.counts == {"shop": (3, 3)}
    assert desk.tally.records == 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_it_signs_in_with_a_password(desk: Desk, tmp_path: Path, mechanism: str) -> None:
    await _reads_with(desk, **_signed_in(desk, tmp_path, mechanism, desk.kafka.password))


async def test_it_signs_in_with_a_certificate(desk: Desk) -> None:
    files = {"ca_file": str(desk.kafka.ca_file), "cert_file": str(desk.kafka.cert_file)}
    await _reads_with(desk, brokers=[desk.kafka.certified], tls=files | {"key_file": str(desk.kafka.key_file)})


async def test_a_wrong_password_is_told_and_never_shown_and_the_right_one_taken_up(desk: Desk, tmp_path: Path) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 10)
    desk.read(**_signed_in(desk, tmp_path, "SCRAM-SHA-512", "not-the-password"))
    await desk.until(lambda: desk.value("errors_total", reason="authentication"), "the refusal is counted")
    _signed_in(desk, tmp_path, "SCRAM-SHA-512", desk.kafka.password)
    await desk.counted(10)
    assert "not-the-password" not in str(desk.lines)
    assert desk.kafka.password not in str(desk.lines)


def _signed_in(desk: Desk, folder: Path, mechanism: str, password: str) -> dict[str, Any]:
    file = folder / "password"
    file.write_text(password)
    sasl = {"mechanism": mechanism, "username": USER, "password_file": str(file)}
    return {"brokers": [desk.kafka.signed_in], "tls": {"ca_file": str(desk.kafka.ca_file)}, "sasl": sasl}


async def _reads_with(desk: Desk, **given: Any) -> None:
    await desk.kafka.create(desk.topic)
    sender = Sender(desk.kafka.address)
    await sender.send(desk.topic, 10)
    desk.read(**given)
    await desk.counted(10)
    assert desk.tally.counts == sender.truth
