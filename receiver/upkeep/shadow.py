"""The daily report of a receiver that only shadows another setup: what it would have told, into the log."""

import asyncio
from collections.abc import Awaitable, Callable

from receiver.explain import Summary, report
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

DAY_SECONDS = 86_400.0


class DailyReport:
    """`is_wanted` says whether this receiver shadows, `leads` whether it is on this replica to report."""

    def __init__(
        self,
        summary: Callable[[float], Awaitable[Summary]],
        is_wanted: Callable[[], bool],
        leads: Callable[[], Awaitable[bool]],
        now: Now,
        log: Logger,
    ) -> None:
        self._summary, self._is_wanted, self._leads = summary, is_wanted, leads
        self._now, self._log = now, log

    async def run(self) -> None:
        """Reports a day after the start and each day from then on, until cancelled."""
        while True:
            await asyncio.sleep(DAY_SECONDS)
            try:
                await self.tell()
            except StorageUnavailable as error:
                self._log.error("no shadow report today", reason=error.reason)

    async def tell(self) -> None:
        """Reports the last day. Raises StorageUnavailable."""
        if not self._is_wanted() or not await self._leads():
            return
        now = self._now()
        for line in report(await self._summary(now - DAY_SECONDS), now):
            self._log.info("shadow report", line=line)
