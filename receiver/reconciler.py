"""Polls every Alertmanager, and takes the end of an alert that none of them holds any more as its resolve."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from receiver.alerts import AlertEvent
from receiver.metrics import ReceiverMetrics
from receiver.reconcile import POLL_SECONDS, Held, Missing, vanished
from toolkit.alertmanager import Holdings, Unreachable
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

TIMEOUT_SECONDS = 20.0


class Server(Protocol):
    """One Alertmanager."""

    def holdings(self) -> Awaitable[Holdings]:
        """Every alert it holds now. Raises Unreachable."""


class Reconciler:
    """`servers` gives the Alertmanagers of the configuration in force, `held` what we hold; `take` stores events."""

    def __init__(
        self,
        servers: Callable[[], Sequence[Server]],
        held: Callable[[], Awaitable[Sequence[Held]]],
        take: Callable[[Sequence[AlertEvent]], Awaitable[None]],
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        self._servers, self._held, self._take = servers, held, take
        self._metrics, self._now, self._log = metrics, now, log
        self._missing = Missing()

    async def run(self) -> None:
        """Polls every POLL_SECONDS until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
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
