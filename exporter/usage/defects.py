"""What is done about a defect that a delivery brings to light: what of it can't be counted is rejected, and the log
tells of it."""

from exporter.usage.delivery import Delivery
from exporter.usage.engine import Engine
from exporter.usage.sifting import Attempt, Sieve, reference
from exporter.usage.tally import Tally
from exporter.usage.waiting import Waiting
from toolkit.logs import Logger


class Defects:
    """All that one process has met."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._known: set[str] = set()
        """Those whose traceback is in the log."""

    async def repair(self, one: Waiting, error: Exception, attempt: Attempt) -> None:
        """Takes out of a delivery what can't be counted; where that doesn't help, all of it. Raises `error` where not
        even that helps: then the defect is not its own."""
        one.failures += 1
        if one.failures == 1:
            one.tally = await self.sifted(one.engine, one.delivery, one.tally.now, error, attempt)
        elif one.failures == 2:
            one.tally = Sieve(one.engine, one.delivery, attempt).refused(one.tally.now, error)
            self._tell(error, one.delivery, one.tally)
        else:
            raise error

    async def sifted(self, engine: Engine, delivery: Delivery, now: float, error: Exception, attempt: Attempt) -> Tally:
        """The tally of what of `delivery` can be counted, though `error` keeps the whole from it; `now` is Unix time.
        Raises Fenced where `attempt` does."""
        sieve = Sieve(engine, delivery, attempt)
        tally = await sieve.sifted(now)
        self._tell(sieve.failed or error, delivery, tally)
        return tally

    def _tell(self, error: Exception, delivery: Delivery, tally: Tally) -> None:
        """Logs a defect; its traceback once."""
        name, rejected = reference(error), tally.rejected.get("defect", 0)
        self._log.error(
            "a defect keeps events from being counted" if rejected else "counted again, after a defect",
            reference=name,
            source=delivery.source,
            rejected=rejected,
            error=repr(error),
            exc_info=None if name in self._known else error,
        )
        self._known.add(name)
