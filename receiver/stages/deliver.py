"""Delivers the outbox: a worker per target, so that one slow sink holds up nobody else's messages."""

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, Protocol

import tenacity

from receiver.config import Target
from receiver.message import Message
from receiver.metrics import ReceiverMetrics
from receiver.outbox import Claimed, Next, Receipt, after
from receiver.stages.lease import Keeper
from receiver.store import OutboxStore
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.secretfile import SecretUnreadable
from toolkit.service import Spawn
from toolkit.storage import StorageUnavailable

QUICK_TRIES = 3
"""Tries within one attempt, some tenths of a second apart: most failures of a sink are that short. The outbox owns the
minutes and hours. A send whose outcome is unknown is not tried again here."""
LONGEST_SLEEP_SECONDS = 5.0
STORAGE_PAUSE_SECONDS = 1.0
STOP_SECONDS = 8.0
"""How long a send under way is waited for when the process stops; what takes longer may have arrived, or not."""


class Sink(Protocol):
    """Where a target's messages go."""

    def send(self, title: str, body: str, kind: Literal["failure", "success"]) -> Awaitable[Receipt]:
        """One attempt. Raises SecretUnreadable."""


Render = Callable[[Message, bool], tuple[str, str]]
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
        render: Render,
        spawn: Spawn,
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
        steady: Now = time.monotonic,
    ) -> None:
        """`steady` is a clock in seconds that nobody sets."""
        self._store, self._open, self._render, self._spawn = store, open_sink, render, spawn
        self._metrics, self._now, self._log = metrics, now, log
        self._owner = sender()
        self._keeper = Keeper(store, self.wake, metrics, now, steady, log)
        self._keeping: asyncio.Task[None] | None = None
        self._chance = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._workers: dict[str, tuple[Target, _Worker]] = {}

    async def follow(self, targets: Iterable[Target]) -> None:
        """Serves exactly these targets from now on; an unchanged one is not disturbed."""
        if self._keeping is None:
            self._keeping = self._spawn(self._keeper.run(), "leases")
        wanted = {target.name: target for target in targets}
        gone = [name for name, (target, _) in self._workers.items() if wanted.get(name) != target]
        await asyncio.gather(*(self._workers.pop(name)[1].stop() for name in gone))
        for name, target in wanted.items():
            if name not in self._workers:
                worker = _Worker(name, self._drain)
                worker.start(self._open(target), self._spawn)
                self._workers[name] = (target, worker)

    def wake(self) -> None:
        """Lets every worker look for due rows now."""
        for _, worker in self._workers.values():
            worker.wake()

    async def stop(self) -> None:
        """Lets the sends under way end, for STOP_SECONDS at most, then stops."""
        await asyncio.gather(*(worker.stop(STOP_SECONDS) for _, worker in self._workers.values()))
        self._workers.clear()
        if self._keeping is not None:
            self._keeping.cancel()

    async def _drain(self, name: str, sink: Sink, stopping: Callable[[], bool]) -> float:
        """Delivers what is due for a target; returns for how many seconds there is nothing to do."""
        try:
            while not stopping() and (row := await self._store.claim(name, self._owner, self._now())) is not None:
                await self._deliver(row, sink, stopping)
            due = await self._store.next_due(name)
        except StorageUnavailable as error:
            self._metrics.storage_errors.inc()
            self._log.error("outbox can't be read or written, will try again", target=name, reason=error.reason)
            return STORAGE_PAUSE_SECONDS
        return LONGEST_SLEEP_SECONDS if due is None else min(max(due - self._now(), 0.05), LONGEST_SLEEP_SECONDS)

    async def _deliver(self, row: Claimed, sink: Sink, stopping: Callable[[], bool]) -> None:
        started = self._now()
        try:
            async with self._keeper.keep(row) as is_ours:
                receipt = await self._attempt(row, sink, lambda: is_ours() and not stopping())
        except asyncio.CancelledError:
            cut_off = Receipt("unknown", "the receiver stopped while it was sent; it may have arrived")
            await self._record(row, cut_off, started, stopping)
            raise
        await self._record(row, receipt, started, stopping)

    async def _record(self, row: Claimed, receipt: Receipt, started: float, stopping: Callable[[], bool]) -> None:
        ended = self._now()
        following = after(row, receipt, ended, self._chance)
        is_ours = await self._finish(row, receipt, following, (started, ended), stopping)
        self._count(row, receipt, following, ended - started)
        self._log.info(
            "delivery",
            target=row.target,
            incident=row.incident,
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
        self, row: Claimed, receipt: Receipt, following: Next, times: tuple[float, float], stopping: Callable[[], bool]
    ) -> bool:
        """Writes down what came of a send, and goes on trying: it can't be unsent. If we are stopped first, the row
        stays `sending`, and whoever finds it so tells it again as a possible repeat."""
        while True:
            try:
                return await self._store.finish(row, receipt, following, *times)
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("a delivery is not on record yet, will try again", id=row.id, reason=error.reason)
                if stopping():
                    return False
                await asyncio.sleep(STORAGE_PAUSE_SECONDS)

    async def _attempt(self, row: Claimed, sink: Sink, may_go_on: Callable[[], bool]) -> Receipt:
        kind: Literal["failure", "success"] = "success" if row.message.status == "resolved" else "failure"
        tries = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(QUICK_TRIES),
            wait=tenacity.wait_random_exponential(multiplier=0.3, max=1.0),
            retry=tenacity.retry_if_result(lambda receipt: may_go_on() and _soon_better(receipt)),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        try:
            title, body = self._render(row.message, row.may_repeat)
        except Exception as error:  # noqa: BLE001 - a message that can't be written must not hold up the others
            self._log.exception("a message could not be written", id=row.id)
            return Receipt("failed", f"internal error: {type(error).__name__}")
        try:
            receipt: Receipt = await tries(sink.send, title, body, kind)
        except SecretUnreadable as error:
            return Receipt("failed", str(error))
        except Exception as error:  # noqa: BLE001 - one message's defect must not hold up the others
            self._log.exception("a message could not be sent", id=row.id, target=row.target)
            return Receipt("unknown", f"internal error: {type(error).__name__}")
        return receipt


def _soon_better(receipt: Receipt) -> bool:
    """Whether a try some tenths of a second later may go better: not when the sink said no, or named a time."""
    refused = receipt.http_status is not None and receipt.http_status < 500
    return receipt.result == "failed" and not refused and receipt.retry_after is None


Drain = Callable[[str, Sink, Callable[[], bool]], Awaitable[float]]


class _Worker:
    """One target's loop: drain, sleep until something is due or somebody wakes it."""

    def __init__(self, name: str, drain: Drain) -> None:
        self._name, self._drain = name, drain
        self._awake, self._stopping = asyncio.Event(), False
        self._task: asyncio.Task[None] | None = None

    def start(self, sink: Sink, spawn: Spawn) -> None:
        self._task = spawn(self._run(sink), f"deliver to {self._name}")

    def wake(self) -> None:
        self._awake.set()

    async def stop(self, seconds: float | None = None) -> None:
        """Lets the send under way end; cuts it off after `seconds`, where given."""
        self._stopping = True
        self._awake.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        elif not self._task.cancelled():
            self._task.result()

    async def _run(self, sink: Sink) -> None:
        while not self._stopping:
            self._awake.clear()
            pause = await self._drain(self._name, sink, lambda: self._stopping)
            try:
                async with asyncio.timeout(pause):
                    await self._awake.wait()
            except TimeoutError:
                continue
