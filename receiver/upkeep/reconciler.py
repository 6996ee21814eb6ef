"""Polls every Alertmanager: takes the end of an alert that none of them holds any more as its resolve, fills in what a
truncated webhook left out, and knows when they last heard of the Watchdog."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from receiver.alerts import AlertEvent, Notification, identity
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
    """`servers` gives the Alertmanagers of the configuration in force, each with its source; `held` what we hold;
    `take` stores events and says how many were new; `is_watchdog` knows the Watchdog by its labels; `leads` says
    whether it is on us to poll."""

    def __init__(
        self,
        servers: Callable[[], Sequence[tuple[str, Server]]],
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
        self._missing: dict[str, Missing] = {}
        self._truncated: asyncio.Queue[Notification] = asyncio.Queue(MOST_TRUNCATED)
        self._watchdogs: dict[str, Heard | None] = {}

    def watchdog(self, source: str) -> Heard | None:
        """What an Alertmanager of `source` last heard of the Watchdog, as far as the last poll tells."""
        return self._watchdogs.get(source)

    def truncated(self, notification: Notification) -> None:
        """Notes that a webhook left alerts out. Of very many at once some are left to Alertmanager's next repeat."""
        with contextlib.suppress(asyncio.QueueFull):
            self._truncated.put_nowait(notification)

    async def fill(self) -> None:
        """Fills in what webhooks leave out, as they come, until cancelled."""
        while True:
            notification = await self._truncated.get()
            polled = (await self._polled()).get(notification.source, [])
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
        if not self._servers():
            return
        # what we hold first: an alert that arrives while they are asked is not missed in their answers
        held = await self._held()
        polled = await self._polled()
        gone = [event for source, holdings in polled.items() for event in self._gone(source, held, holdings)]
        unreached = any(None in holdings for holdings in polled.values())
        self._metrics.reconciliations.labels("unreachable" if unreached else "ok").inc()
        if gone:
            await self._take(gone)
            self._log.warning("alerts that no Alertmanager holds any more have ended", alerts=len(gone))

    def _gone(self, source: str, held: Sequence[Held], polled: Sequence[Holdings | None]) -> list[AlertEvent]:
        """The ends of what none of the source's Alertmanagers holds; notes when they last heard of the Watchdog."""
        self._watchdogs[source] = last_heard(polled, self._is_watchdog, self.watchdog(source), self._now())
        ours = [one for one in held if one.event.source == source]
        gone, self._missing[source] = vanished(ours, polled, self._missing.get(source, Missing()), self._now())
        return gone

    async def _polled(self) -> dict[str, list[Holdings | None]]:
        """What each Alertmanager holds, by source; None for one that can't be reached."""
        servers = self._servers()
        answers = await asyncio.gather(*(self._ask(source, server) for source, server in servers))
        found: dict[str, list[Holdings | None]] = {}
        for (source, _), answer in zip(servers, answers, strict=True):
            found.setdefault(source, []).append(answer)
        return found

    async def _ask(self, source: str, server: Server) -> Holdings | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return _of(source, await server.holdings())
        except Unreachable as error:
            self._log.warning("not reconciled", problem=str(error))
        except TimeoutError:
            self._log.warning("not reconciled", problem=f"Alertmanager took longer than {TIMEOUT_SECONDS:g} s")
        return None


def _of(source: str, holdings: Holdings) -> Holdings:
    """Its alerts under the fingerprints that they have here."""
    alerts = (replace(alert, fingerprint=identity(source, alert.fingerprint)) for alert in holdings.alerts)
    return replace(holdings, alerts=tuple(alerts)) if source else holdings
