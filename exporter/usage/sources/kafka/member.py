"""A member of a consumer group, in a thread of its own.

The ledger is the truth about what was counted. A rebalance gives all partitions up and assigns them anew ("eager"):
after it, and whenever anything is in doubt, every partition is read from where the ledger says.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast

import tenacity
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from exporter.usage.delivery import Fenced, Hold, Partitioned, Position
from exporter.usage.sources.kafka import offsets
from exporter.usage.sources.kafka.bridge import Abandoned, Bridge
from exporter.usage.sources.kafka.client import Lines, configuration, partitions_of
from exporter.usage.sources.kafka.metrics import KafkaMetrics
from exporter.usage.sources.kafka.offsets import Batch, Beginning, Part, Progress, begin, gather, name_of
from exporter.usage.sources.kafka.reach import End, keys_part, until
from exporter.usage.sources.kafka.settings import KafkaSettings
from toolkit.logs import Logger
from toolkit.secretfile import SecretUnreadable
from toolkit.storage import StorageUnavailable

T = TypeVar("T")
REOPEN_SECONDS = 5.0
LOOK_SECONDS = 1.0
ASK_SECONDS = 5.0
"""How often the lag is looked at where the client knows it, and where a broker has to be asked."""
LOOK_SHARE = 0.1
"""How much of the time may go by looking, where there are many partitions."""
BROKER_SECONDS = 5.0
REVOKE_SECONDS = 10.0
"""How long a batch under way may take to finish when its partitions are taken away."""


class Member:
    """Reads what the group assigns, batch by batch: the next one is fetched once this one is counted."""

    def __init__(
        self, settings: KafkaSettings, intake: Partitioned, bridge: Bridge, metrics: KafkaMetrics, log: Logger
    ) -> None:
        self._settings, self._intake, self._bridge = settings, intake, bridge
        self._metrics, self._log = metrics, log
        self._stream = f"kafka:{settings.name}"
        self._assigned: frozenset[Part] = frozenset()
        self._placed = False
        """Whether the partitions are being read from where the ledger says."""
        self._next: dict[Part, int] = {}
        """What the ledger holds: of each partition the offset of the next message."""
        self._read: dict[Part, int] = {}
        """As `_next`, and past what is no message at a partition's end, such as a transaction's marker."""
        self._high: dict[Part, int] = {}
        """As far as is known, the offset after each partition's last message."""
        self._timestamps: dict[Part, float] = {}
        self._ends: dict[Part, End] = {}
        self._hold, self._parts = Hold(), dict[Part, str]()
        """What is held of the keys, and the part of them that each partition belongs to."""
        self._looked, self._look_again = 0.0, 0.0
        """When the lag was looked at, and when that may be done again (the monotonic clock)."""
        self._refused = False
        self.progress: tuple[Progress, ...] = ()

    # --- life

    def run(self) -> None:
        """Blocks until the bridge stops. An error that ends the client makes a new one."""
        while not self._bridge.is_stopping:
            try:
                self._live()
            except KafkaException as error:
                self._failed(error.args[0])
            except SecretUnreadable as error:
                self._log.error("can't sign in to Kafka", problem=str(error))
                self._metrics.errors.labels(self._settings.name, "secret_unreadable").inc()
            self._bridge.pause(REOPEN_SECONDS)

    def _live(self) -> None:
        options = configuration(self._settings) | {"error_cb": self._failed}
        consumer = Consumer(options, logger=Lines(self._log))
        try:
            consumer.subscribe(
                list(self._settings.topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
            )
            while not self._bridge.is_stopping:
                self._turn(consumer)
        finally:
            consumer.close()
            self._forget()

    def _turn(self, consumer: Consumer) -> None:
        if self._assigned and not self._placed:
            try:
                self._place(consumer)
            except Fenced:
                self._metrics.fenced.labels(self._settings.name).inc()
            except Abandoned:
                pass
        if self._refused:
            self._sign_in_anew(consumer)
        messages = consumer.consume(self._settings.batch.messages, self._settings.batch.wait)
        # the library's types allow None for what only an error lacks
        usable = cast("list[offsets.Message]", [message for message in messages if self._is_message(message)])
        batch = gather(usable, self._next if self._placed else {})  # what came from a place in doubt is read again
        if batch.next:
            with suppress(Abandoned):
                self._count(consumer, batch)
        self._look(consumer)
        if self._hold.watched and self._placed:
            self._hold.until = until(self._parts, self._read, self._ends, self._timestamps)

    def _sign_in_anew(self, consumer: Consumer) -> None:
        """Takes up a password that was changed while we run."""
        self._refused = False
        sasl = self._settings.sasl
        if sasl is not None:
            consumer.set_sasl_credentials(sasl.username, sasl.password_file.read())

    # --- what the group tells, always from within a call of ours to the consumer

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._metrics.rebalances.labels(self._settings.name, "assigned").inc()
        self._assigned = frozenset((each.topic, each.partition) for each in partitions)
        self._placed = False
        consumer.assign([])  # nothing is fetched before the ledger has said from where
        self._log.info("partitions assigned", partitions=sorted(map(name_of, self._assigned)))

    def _revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._bridge.settle(REVOKE_SECONDS)
        self._metrics.rebalances.labels(self._settings.name, "revoked").inc()
        self._forget()
        self._log.info("partitions revoked", count=len(partitions))

    def _lose(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._metrics.rebalances.labels(self._settings.name, "lost").inc()
        self._forget()
        self._log.warning("partitions lost", count=len(partitions))

    def _forget(self) -> None:
        self._assigned, self._placed, self.progress = frozenset(), False, ()
        self._next, self._read, self._high, self._timestamps, self._ends = {}, {}, {}, {}, {}
        self._hold = Hold()
        self._bridge.tell(lambda: self._intake.release(self._stream))

    # --- where to begin

    def _place(self, consumer: Consumer) -> None:
        """Lets every assigned partition be read from where the ledger says; what that changes is put down there."""
        self._hold_keys(consumer)
        stored = self._do(consumer, self._positions())
        asked = time.time()
        ends = {part: self._ends_of(consumer, part) for part in sorted(self._assigned)}
        places = {
            part: begin(stored.get(name_of(part), ""), low, high, self._settings.start)
            for part, (low, high) in ends.items()
        }
        moved = {part: place for part, place in places.items() if place.reason != "ledger"}
        before = {part: stored.get(name_of(part), "") for part in moved}
        self._do(consumer, self._take(None, before, {part: place.offset for part, place in moved.items()}))
        self._tell(moved, before)
        self._next = {part: place.offset for part, place in places.items()}
        self._read, self._high = dict(self._next), {part: high for part, (_, high) in ends.items()}
        self._ends, self._timestamps = {part: End(high, asked) for part, (_, high) in ends.items()}, {}
        self._placed, self._look_again = True, 0.0
        reading = [TopicPartition(*part, place.offset) for part, place in places.items()]
        consumer.assign(reading)
        consumer.resume(reading)  # they may have rested when the group took them away

    def _hold_keys(self, consumer: Consumer) -> None:
        """Takes up what is remembered of the keys in the assigned partitions."""
        topics = {topic for topic, _ in self._assigned}
        counts = self._answered(lambda: {topic: partitions_of(consumer, topic, BROKER_SECONDS) for topic in topics})
        self._parts = {
            (topic, number): keys_part(self._stream, number, counts[topic]) for topic, number in self._assigned
        }
        parts = frozenset(self._parts.values())
        self._hold = self._do(consumer, self._retrying(self._intake.hold, self._stream, parts))

    def _ends_of(self, consumer: Consumer, part: Part) -> tuple[int, int]:
        """A partition's first offset and the one after its last. Raises Abandoned when no broker says so."""
        return self._answered(lambda: consumer.get_watermark_offsets(TopicPartition(*part), timeout=BROKER_SECONDS))

    def _answered(self, asking: Callable[[], T]) -> T:
        """What a broker says. Raises Abandoned when none does."""
        try:
            return asking()
        except KafkaException as error:
            self._failed(error.args[0])
            self._bridge.pause(LOOK_SECONDS)
            raise Abandoned from None

    def _tell(self, moved: Mapping[Part, Beginning], before: Mapping[Part, str]) -> None:
        for part, place in moved.items():
            self._metrics.lost.labels(self._settings.name).inc(place.lost)
            if place.reason == "start":
                self._log.info("a partition that the ledger did not know", partition=name_of(part), offset=place.offset)
                continue
            self._metrics.errors.labels(self._settings.name, place.reason).inc()
            self._log.error(
                "the ledger's offset is not in the partition",
                partition=name_of(part),
                reason=place.reason,
                stored=before[part],
                offset=place.offset,
                lost=place.lost,
            )

    async def _positions(self) -> Mapping[str, str]:
        return await self._retrying(self._intake.positions, self._stream)

    # --- counting

    def _count(self, consumer: Consumer, batch: Batch) -> None:
        assigned = self._assigned
        before = {part: str(self._next[part]) for part in batch.next}
        try:
            self._do(consumer, self._take(batch, before, batch.next))
        except Fenced as fenced:
            self._metrics.fenced.labels(self._settings.name).inc()
            self._log.warning("batch dropped: it has to be read anew", partition=fenced.part)
            self._placed = False
            return
        self._metrics.messages.labels(self._settings.name).inc(sum(map(len, batch.records.values())))
        self._metrics.tombstones.labels(self._settings.name).inc(batch.tombstones)
        if self._assigned is assigned:  # not taken away while it was counted
            self._next |= batch.next
            self._read |= {part: max(self._read[part], offset) for part, offset in batch.next.items()}
            self._timestamps |= batch.timestamps
            self._publish(consumer, batch.next)

    async def _take(self, batch: Batch | None, before: Mapping[Part, str], after: Mapping[Part, int]) -> None:
        """Each partition is a delivery of its own; most often they share a commit. Raises Fenced once all ended."""
        deliveries = [
            self._deliver(part, batch, Position(self._stream, name_of(part), before[part], str(offset)))
            for part, offset in after.items()
        ]
        for ended in await asyncio.gather(*deliveries, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def _deliver(self, part: Part, batch: Batch | None, position: Position) -> None:
        records = batch.records.get(part, ()) if batch else ()
        sent = batch.sent.get(part, ()) if batch else ()
        await self._retrying(
            self._intake.take,
            self._settings.name,
            records,
            self._settings.format,
            [position],
            part=self._parts[part],
            sent=sent,
        )

    @property
    def _retrying(self) -> tenacity.AsyncRetrying:
        """Tries again what the ledger could not do, for as long as it takes."""
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(StorageUnavailable),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=5.0),
            before_sleep=lambda _: self._metrics.retries.labels(self._settings.name).inc(),
        )

    def _do(self, consumer: Consumer, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns. While it takes long the partitions rest, and the group hears from us."""
        assigned = self._assigned
        resting = False

        def meanwhile() -> bool:
            nonlocal resting
            if not resting:
                consumer.pause(consumer.assignment())
                resting = True
            message = consumer.poll(0)
            if message is not None and self._is_message(message):
                self._placed = False  # it was fetched before the rest began: read it again
            self._look(consumer, cached=False)
            return self._assigned is assigned

        try:
            return self._bridge.do(work, meanwhile)
        finally:
            if resting:
                consumer.resume(consumer.assignment())

    def _publish(self, consumer: Consumer, after: Mapping[Part, int]) -> None:
        """Lets the group's own offsets follow, for others to see; ours stand in the ledger."""
        with suppress(KafkaException):  # a rebalance came in between: the next owner writes them
            consumer.store_offsets(offsets=[TopicPartition(*part, offset) for part, offset in after.items()])

    # --- messages that are none

    def _is_message(self, message: Message) -> bool:
        """Whether it is one; a partition's end and errors come in the same way."""
        error = message.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._reached((message.topic() or "", message.partition() or 0), message.offset() or 0)
        else:
            self._failed(error)
        return False

    def _reached(self, part: Part, offset: int) -> None:
        if part in self._read:
            self._read[part] = max(self._read[part], offset)

    def _failed(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._placed = False  # the broker has removed what we wanted: see what there is
            return
        self._refused |= error.code() == KafkaError._AUTHENTICATION
        self._metrics.errors.labels(self._settings.name, error.name().strip("_").lower()).inc()
        self._log.warning("Kafka error", reason=error.name(), problem=error.str())

    # --- how far we are

    def _look(self, consumer: Consumer, *, cached: bool = True) -> None:
        """Notes how much is left; while nothing is fetched a broker has to be asked (`cached=False`)."""
        began = time.monotonic()
        if began < self._look_again or (not cached and began < self._looked + ASK_SECONDS):
            return
        self._placed &= not self._hold.lost
        with suppress(KafkaException):  # no broker answers: what we knew stands
            for part in self._next:
                self._look_at(consumer, part, cached and not (self._hold.watched and self._has_passed(part)))
        self.progress = tuple(
            Progress(*part, max(self._high[part] - read, 0), self._timestamps.get(part))
            for part, read in sorted(self._read.items())
        )
        self._looked = time.monotonic()
        self._look_again = max(began + LOOK_SECONDS, self._looked + (self._looked - began) / LOOK_SHARE)

    def _look_at(self, consumer: Consumer, part: Part, cached: bool) -> None:
        asked = time.time()
        ends = consumer.get_watermark_offsets(TopicPartition(*part), timeout=LOOK_SECONDS, cached=cached)
        if ends:
            self._high[part] = max(self._high[part], ends[1])
            if not cached:
                self._ends[part] = End(ends[1], asked)

    def _has_passed(self, part: Part) -> bool:
        """Whether all was read that was there when a broker was last asked."""
        return self._read[part] >= self._ends[part].offset
