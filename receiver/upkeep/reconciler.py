"""Polls every Alertmanager: takes the end of an alert that none of them holds any more as its resolve, fills in what a
truncated webhook left out, and knows when they last heard of the Watchdog."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from receiver.alerts import AlertEvent, Notification
from receiver.metrics import ReceiverMetrics
from receiver.upkeep.reconcile import POLL_SECONDS, Held, Missing, last_heard, left_out, vanished
from receiver.upkeep.source import Heard
from toolkit.alertmanager import Holdings, Unreachable
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

TIMEOUT_SECONDS = 20.0
MOST_TRUNCATED = 100


class Server(Protocol):
    """One Alertmanager."""

    def holdings(self) -> Awaitable[Holdings]:
        """Every alert it holds now. Raises Unreachable."""


class Reconciler:
    """`servers` gives the Alertmanagers of the configuration in force, `held` what we hold; `take` stores events and
    says how many were new; `is_watchdog` knows the Watchdog by its labels; `leads` says whether it is on us to poll."""

    def __init__(
        self,
        servers: Callable[[], Sequence[Server]],
        held: Callable[[], Awaitable[Sequence[Held]]],
        take: Callable[[Sequence[AlertEvent]], Awaitable[int]],
        is_watchdog: Callable[[Mapping[str, str]], bool],
        leads: Callable[[], Awaitable[bool]],
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        self._servers, self._held, self._take = servers, held, take
        self._is_watchdog, self._leads = is_watchdog, leads
        self._metrics, self._now, self._log = metrics, now, log
        self._missing = Missing()
        self._truncated: asyncio.Queue[Notification] = asyncio.Queue(MOST_TRUNCATED)
        self.watchdog: Heard | None = None
        """What an Alertmanager last heard of the Watchdog, as far as the last poll tells."""

    def truncated(self, notification: Notification) -> None:
        """Notes that a webhook left alerts out. Of very many at once some are left to Alertmanager's next repeat."""
        with contextlib.suppress(asyncio.QueueFull):
            self._truncated.put_nowait(notification)

    async def fill(self) -> None:
        """Fills in what webhooks leave out, as they come, until cancelled."""
        while True:
            notification = await self._truncated.get()
            polled = await asyncio.gather(*(self._ask(server) for server in self._servers()))
            try:
                new = await self._take(left_out(notification, polled))
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("what a webhook left out is not stored", reason=error.reason)
            else:
                self._log.warning("alerts that a webhook left out were asked for", alerts=new)

    async def run(self) -> None:
        """Polls every POLL_SECONDS until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if await self._leads():
                    await self.poll()
            except StorageUnavailable as error:
                self._metrics.storage_errors.inc()
                self._log.error("not reconciled, will try again", reason=error.reason)

    async def poll(self) -> None:
        """Once. Raises StorageUnavailable."""
        servers = self._servers()
        if not servers:
            return
        # what we hold first: an alert that arrives while they are asked is not missed in their answers
        held = await self._held()
        polled = await asyncio.gather(*(self._ask(server) for server in servers))
        self.watchdog = last_heard(polled, self._is_watchdog, self.watchdog, self._now())
        gone, self._missing = vanished(held, polled, self._missing, self._now())
        self._metrics.reconciliations.labels("unreachable" if None in polled else "ok").inc()
        if gone:
            await self._take(gone)
            self._log.warning("alerts that no Alertmanager holds any more have ended", alerts=len(gone))

    async def _ask(self, server: Server) -> Holdings | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await server.holdings()
        except Unreachable as error:
            self._log.warning("not reconciled", problem=str(error))
        except TimeoutError:
            self._log.warning("not reconciled", problem=f"Alertmanager took longer than {TIMEOUT_SECONDS:g} s")
        return None
