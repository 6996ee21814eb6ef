"""What is done about a defect that a delivery brings to light: what of it can't be counted is rejected, and the log
tells of it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from exporter.usage.delivery import Delivery
from exporter.usage.sifting import Attempt, Sieve, reference, refused
from exporter.usage.tally import Tally
from exporter.usage.waiting import Waiting
from toolkit.logs import Logger, frames

Turn = Callable[[], AbstractAsyncContextManager[object]]
"""What has to be held while something is tried."""


class Defects:
    """All that one process has met."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._one_by_one = asyncio.Lock()
        """However many deliveries are sifted, one of them at a time has its turn."""
        self._known: set[str] = set()
        """Those of which the log says where they come up."""

    async def repaired(self, one: Waiting, error: Exception, attempt: Attempt, turn: Turn) -> Waiting:
        """A delivery without what can't be counted of it; where it was without that before, without all of it. Raises
        Fenced where `attempt` does."""
        if not one.failures:
            tally = await self._sifted(one, error, attempt, turn)
        else:
            tally = refused(one.engine, one.delivery, one.tally.now, error)
            self._tell(error, one.delivery, tally)
        done = asyncio.get_running_loop().create_future()
        return replace(one, tally=tally, failures=one.failures + 1, done=done)

    async def _sifted(self, one: Waiting, error: Exception, attempt: Attempt, turn: Turn) -> Tally:
        sieve, goes_on = Sieve(one.engine, one.delivery, one.tally.now, attempt), True
        while goes_on:
            async with self._one_by_one, turn():
                goes_on = sieve.step()
            await asyncio.sleep(0)
        self._tell(sieve.failed or error, one.delivery, sieve.tally)
        return sieve.tally

    def _tell(self, error: Exception, delivery: Delivery, tally: Tally) -> None:
        """Logs a defect, without its message, which may hold what an event does; where it comes up is told once."""
        name, rejected = reference(error), tally.rejected.get("defect", 0)
        where = {} if name in self._known else {"frames": " > ".join(frames(error))}
        self._log.error(
            "a defect keeps events from being counted" if rejected else "counted again, after a defect",
            reference=name,
            source=delivery.source,
            rejected=rejected,
            error=type(error).__name__,
            **where,
        )
        self._known.add(name)
