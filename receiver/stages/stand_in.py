"""Tells a target's fallback what the target could not be told."""

from receiver.delivery import fallback
from receiver.delivery.outbox import Claimed, Receipt
from receiver.metrics import ReceiverMetrics
from receiver.settings import Target
from receiver.store.stand_ins import StandIns
from toolkit.clock import Now
from toolkit.logs import Logger


class StandIn:
    """Plans the rows. Each method returns how many, and raises StorageUnavailable."""

    def __init__(self, store: StandIns, metrics: ReceiverMetrics, now: Now, log: Logger) -> None:
        self._store, self._metrics, self._now, self._log = store, metrics, now, log

    async def overdue(self, target: Target, failing: bool) -> int:
        """For what `target` should have heard `fallback_after` ago. `failing`: nothing is even tried just now."""
        if target.fallback is None:
            return 0
        now = self._now()
        late = await self._store.unheard(target.name, target.fallback, now - target.fallback_after, failing)
        ends = await self._store.unheard_ends(target.name, target.fallback)
        routes = {one.id: fallback.failed_for(target.name, one, now) for one in late}
        routes |= dict.fromkeys(ends, fallback.ended(target.name))
        return sum([await self._plan(id_, target, route) for id_, route in routes.items()])

    async def after(self, row: Claimed, receipt: Receipt, target: Target) -> int:
        """For a message that the sink refused, and for the end of what the fallback was told."""
        if target.fallback is None:
            return 0
        if row.message.status == "resolved":
            return await self._plan(row.id, target, fallback.ended(target.name))
        if receipt.refused:
            route = fallback.refused(target.name, receipt.http_status, receipt.detail)
            return await self._plan(row.id, target, route)
        return 0

    async def _plan(self, row: int, target: Target, route: str) -> int:
        assert target.fallback is not None  # noqa: S101 - whoever calls has seen to it
        if not await self._store.plan(row, target.fallback, route, self._now()):
            return 0
        self._metrics.fallbacks.labels(target.name).inc()
        self._log.warning("told to the fallback", id=row, target=target.name, fallback=target.fallback, reason=route)
        return 1
