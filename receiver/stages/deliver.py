"""Delivers the outbox: a worker per target, so that one slow sink holds up nobody else's messages."""

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from receiver.delivery.digest import as_one
from receiver.delivery.gate import Gate
from receiver.delivery.outbox import Claimed, Next, Receipt, after
from receiver.delivery.pace import Bucket
from receiver.metrics import ReceiverMetrics
from receiver.settings import Target
from receiver.stages.lease import Keeper
from receiver.stages.send import Sink, attempt
from receiver.stages.stand_in import StandIn
from receiver.store import OutboxStore
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.service import Spawn
from toolkit.storage import StorageUnavailable

LONGEST_SLEEP_SECONDS = 5.0
SHORTEST_SLEEP_SECONDS = 0.05
STORAGE_PAUSE_SECONDS = 1.0
STOP_SECONDS = 8.0
"""How long a send under way is waited for when the process stops; what takes longer may have arrived, or not."""

Open = Callable[[Target], Sink]


def sender() -> str:
    """A name for this process, unlike that of any other: `host:process id:chance`."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Deliverer:
    """Runs the workers. `wake` is called whenever rows may have been planned."""

    def __init__(
        self,
        store: OutboxStore,
        open_sink: Open,
        spawn: Spawn,
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
        steady: Now = time.monotonic,
    ) -> None:
        """`steady` is a clock in seconds that nobody sets."""
        self._store, self._open, self._spawn = store, open_sink, spawn
        self._metrics, self._now, self._steady, self._log = metrics, now, steady, log
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._owner = sender()
        self._keeper = Keeper(store, self.wake, metrics, now, steady, log)
        self._stand_in = StandIn(store.stand_ins, metrics, now, log)
        self._keeping: asyncio.Task[None] | None = None
        self._workers: dict[str, _Worker] = {}

    async def follow(self, targets: Iterable[Target]) -> None:
        """Serves exactly these targets from now on; an unchanged one is not disturbed."""
        if self._keeping is None:
            self._keeping = self._spawn(self._keeper.run(), "leases")
        wanted = {target.name: target for target in targets}
        gone = [name for name, worker in self._workers.items() if wanted.get(name) != worker.channel.target]
        await asyncio.gather(*(self._workers.pop(name).stop() for name in gone))
        for name in gone:
            self._metrics.circuit_open.labels(name).set(0)
        for name, target in wanted.items():
            if name not in self._workers:
                gate = Gate(Bucket.full(target.rate, self._steady()))
                worker = _Worker(_Channel(target, self._open(target), gate), self._drain)
                worker.start(self._spawn)
                self._workers[name] = worker

    def wake(self) -> None:
        """Lets every worker look for due rows now."""
        for worker in self._workers.values():
            worker.wake()

    async def stop(self) -> None:
        """Lets the sends under way end, for STOP_SECONDS at most, then stops."""
        await asyncio.gather(*(worker.stop(STOP_SECONDS) for worker in self._workers.values()))
        self._workers.clear()
        if self._keeping is not None:
            self._keeping.cancel()

    async def _drain(self, channel: "_Channel") -> float:
        """Delivers what is due for a target; returns for how many seconds there is nothing to do."""
        name = channel.target.name
        try:
            if await self._stand_in.overdue(channel.target, channel.gate.is_failing()):
                self.wake()
            while not channel.stopping:
                shut = channel.gate.wait(self._steady())
                if shut > 0:
                    return _nap(shut)
                row = await self._store.claim(name, self._owner, self._now())
                rows = [row] if row else await self._store.claim_digest(name, self._owner, self._now())
                if not rows:
                    break
                await self._deliver(rows, channel)
            due = await self._store.next_due(name)
        except StorageUnavailable as error:
            self._metrics.storage_errors.inc()
            self._log.error("outbox can't be read or written, will try again", target=name, reason=error.reason)
            return STORAGE_PAUSE_SECONDS
        return LONGEST_SLEEP_SECONDS if due is None else _nap(due - self._now())

    async def _deliver(self, rows: Sequence[Claimed], channel: "_Channel") -> None:
        """Sends rows of a target as one message."""
        row, started = as_one(rows), self._now()
        is_probe = channel.gate.is_failing()
        channel.gate = channel.gate.taken(self._steady())
        try:
            async with self._keeper.keep(rows) as is_ours:
                receipt = await attempt(
                    row,
                    channel.sink,
                    lambda: is_ours() and not is_probe and not channel.stopping,
                    self._log,
                )
        except asyncio.CancelledError:
            cut_off = Receipt("unknown", "the receiver stopped while it was sent; it may have arrived")
            await self._record(rows, cut_off, started, channel)
            raise
        self._judge(channel, receipt)
        await self._record(rows, receipt, started, channel)
        if sum([await self._stand_in.after(one, receipt, channel.target) for one in rows]):
            self.wake()

    def _judge(self, channel: "_Channel", receipt: Receipt) -> None:
        """What the outcome means for the target's next messages."""
        before = channel.gate
        channel.gate = before.after(receipt, self._steady())
        failing = channel.gate.is_failing()
        self._metrics.circuit_open.labels(channel.target.name).set(failing)
        if failing and not before.is_failing():
            self._log.warning(
                "a target fails again and again; it is left alone for a while", target=channel.target.name
            )
        if before.is_failing() and not failing:
            self._log.info("a target answers again", target=channel.target.name)

    async def _record(self, rows: Sequence[Claimed], receipt: Receipt, started: float, channel: "_Channel") -> None:
        row, ended = as_one(rows), self._now()
        following = after(row, receipt, ended, self._chance)
        is_ours = await self._finish(rows, receipt, following, (started, ended), channel)
        self._count(row, receipt, following, ended - started)
        self._log.info(
            "delivery",
            target=row.target,
            incident=row.incident if len(rows) == 1 else [one.incident for one in rows],
            revision=row.revision,
            result=receipt.result,
            state=following.state if is_ours else "taken over",
            attempt=row.attempts,
            http_status=receipt.http_status,
            detail=receipt.detail,
        )

    def _count(self, row: Claimed, receipt: Receipt, following: Next, seconds: float) -> None:
        self._metrics.delivery_seconds.labels(row.target).observe(max(seconds, 0))
        self._metrics.deliveries.labels(row.target, receipt.result).inc()
        if following.state == "sent":
            self._metrics.receipt_to_delivery.observe(max(self._now() - row.received_at, 0))
        if following.state == "dead":
            self._metrics.deliveries.labels(row.target, "dead").inc()

    async def _finish(
        self,
        rows: Sequence[Claimed],
        receipt: Receipt,
        following: Next,
        times: tuple[float, float],
        channel: "_Channel",
    ) -> bool:
        """Writes down what came of a send, and goes on trying: it can't be unsent. If we are stopped first, its rows
        stay `sending`, and whoever finds them so tells them again as a possible repeat."""
        while True:
            try:
                return await self._store.finish_all(rows, receipt, following, *times)
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("a delivery is not on record yet, will try again", id=rows[0].id, reason=error.reason)
                if channel.stopping:
                    return False
                await asyncio.sleep(STORAGE_PAUSE_SECONDS)


def _nap(seconds: float) -> float:
    return min(max(seconds, SHORTEST_SLEEP_SECONDS), LONGEST_SLEEP_SECONDS)


@dataclass
class _Channel:
    """A target with its sink, whether it may be sent to now, and whether it is about to end."""

    target: Target
    sink: Sink
    gate: Gate
    stopping: bool = False


class _Worker:
    """One target's loop: drain, sleep until something is due or somebody wakes it."""

    def __init__(self, channel: _Channel, drain: Callable[[_Channel], Awaitable[float]]) -> None:
        self.channel, self._drain = channel, drain
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, spawn: Spawn) -> None:
        self._task = spawn(self._run(), f"deliver to {self.channel.target.name}")

    def wake(self) -> None:
        self._awake.set()

    async def stop(self, seconds: float | None = None) -> None:
        """Lets the send under way end; cuts it off after `seconds`, where given."""
        self.channel.stopping = True
        self._awake.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        elif not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while not self.channel.stopping:
            self._awake.clear()
            pause = await self._drain(self.channel)
            try:
                async with asyncio.timeout(pause):
                    await self._awake.wait()
            except TimeoutError:
                continue
