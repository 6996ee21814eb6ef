"""Beats: a GET to a service outside that raises the alarm when it no longer hears of us."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from receiver.metrics import ReceiverMetrics
from receiver.settings import Heartbeat
from receiver.upkeep.audit import Finding
from receiver.upkeep.heartbeat import beat
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.secretfile import SecretUnreadable
from toolkit.storage import StorageUnavailable

IDLE_SECONDS = 10.0
"""How often it is looked whether a heartbeat is configured by now."""
TIMEOUT = aiohttp.ClientTimeout(total=10.0)


class Heart:
    """Beats as the configuration in force says, while this process leads."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        configured: Callable[[], Heartbeat | None],
        watchdog_seen: Callable[[], Awaitable[float | None]],
        findings: Callable[[], Mapping[Finding, int]],
        leads: Callable[[], Awaitable[bool]],
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
    ) -> None:
        """`watchdog_seen` is when the Watchdog last came, in seconds since the epoch; `findings` are the audit's."""
        self._session, self._configured, self._watchdog_seen = session, configured, watchdog_seen
        self._findings, self._leads = findings, leads
        self._metrics, self._now, self._log = metrics, now, log
        self._started = now()
        self._last = ""

    async def run(self) -> None:
        """Beats at each interval until cancelled."""
        while True:
            heartbeat = self._configured()
            if heartbeat is not None:
                await self.beat(heartbeat)
            await asyncio.sleep(heartbeat.interval if heartbeat is not None else IDLE_SECONDS)

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Once, or not: the metric says which. One that fails is not tried again before the next is due."""
        try:
            if not await self._leads():
                return
            decided = beat(self._now(), await self._watchdog_seen(), self._findings(), self._started)
        except StorageUnavailable:
            self._metrics.storage_errors.inc()
            decided = "audit_failed"
        result, detail = await self._send(heartbeat) if decided == "beat" else (decided, "")
        self._metrics.heartbeats.labels(result).inc()
        if result != self._last:
            tell = self._log.info if result == "sent" else self._log.warning
            tell("heartbeat", result=result, detail=detail)
        self._last = result

    async def _send(self, heartbeat: Heartbeat) -> tuple[str, str]:
        """What came of it, and of a failure what is no secret."""
        try:
            async with self._session.get(heartbeat.read_url(), timeout=TIMEOUT, allow_redirects=False) as response:
                return "sent" if response.status < 300 else "failed", f"answered {response.status}"
        except SecretUnreadable as error:
            return "failed", str(error)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # its words may hold the address
            return "failed", type(error).__name__
