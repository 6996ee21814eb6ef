"""Keeps the leases of what this process sends, and takes rows from senders that died."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from receiver.delivery.leases import LOOK_SECONDS, RENEW_SECONDS, Lease, observe
from receiver.delivery.outbox import Claimed
from receiver.metrics import ReceiverMetrics
from receiver.store import OutboxStore
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable


class Keeper:
    """`keep` holds what is sent as one, `run` watches everybody's."""

    def __init__(
        self,
        store: OutboxStore,
        wake: Callable[[], None],
        metrics: ReceiverMetrics,
        now: Now,
        steady: Now,
        log: Logger,
    ) -> None:
        """`wake` is called when a row is due again; `steady` is a clock in seconds that nobody sets."""
        self._store, self._wake, self._metrics = store, wake, metrics
        self._now, self._steady, self._log = now, steady, log
        self._seen: dict[Lease, float] = {}

    @contextlib.asynccontextmanager
    async def keep(self, rows: Sequence[Claimed]) -> AsyncIterator[Callable[[], bool]]:
        """Renews the leases of `rows`, sent as one, until the block ends. Yields whether all are still ours."""
        lost = asyncio.Event()
        renewing = asyncio.create_task(self._renew(rows, lost), name=f"renew {rows[0].id}")
        try:
            yield lambda: not lost.is_set()
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})

    async def _renew(self, rows: Sequence[Claimed], lost: asyncio.Event) -> None:
        while not lost.is_set():
            await asyncio.sleep(RENEW_SECONDS)
            for row in rows:
                try:
                    if not await self._store.renew(row, self._now()):
                        lost.set()
                        self._log.warning("a send took so long that its sender was taken for dead", id=row.id)
                except StorageUnavailable as error:
                    self._metrics.storage_errors.inc()
                    self._log.error("a lease can't be renewed, will try again", id=row.id, reason=error.reason)

    async def run(self) -> None:
        """Looks at all leases until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("leases can't be read, will try again", reason=error.reason)

    async def look(self) -> None:
        """Makes due what a dead process was sending, and what a clock put off that was wrong. Raises
        StorageUnavailable."""
        self._seen, dead = observe(self._seen, await self._store.leases(), self._steady())
        taken = [lease for lease in dead if await self._store.expire(lease, self._now())]
        for lease in taken:
            self._log.warning("a send was cut off; it is tried again", id=lease.row, sender=lease.owner)
        if await self._store.hasten(self._now()) or taken:
            self._wake()
