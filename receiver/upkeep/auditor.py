"""Audits the store every minute: what stands still is logged and shown, and the heartbeat stops."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from receiver.metrics import ReceiverMetrics
from receiver.store import AuditStore
from receiver.upkeep.audit import Finding, Mark, Seen, audit
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

LOOK_SECONDS = 60.0


class Auditor:
    """Every replica audits: one that leads and is stuck would not tell of itself."""

    def __init__(
        self,
        store: AuditStore,
        served: Callable[[], Iterable[str]],
        metrics: ReceiverMetrics,
        now: Now,
        log: Logger,
        steady: Now = time.monotonic,
    ) -> None:
        """`served` names the targets of the configuration in force; `steady` is a clock that nobody sets."""
        self._store, self._served, self._metrics = store, served, metrics
        self._now, self._log, self._steady = now, log, steady
        self._seen: Seen = {}
        self.findings: Mapping[Finding, int] = {}

    async def run(self) -> None:
        """Looks every LOOK_SECONDS until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Once. A store that can't be read is a finding too, and nothing is forgotten over it."""
        try:
            marks: Iterable[Mark] = await self._store.marks(self._served(), self._now())
        except StorageUnavailable:
            self._metrics.storage_errors.inc()
            marks = [*self._seen, Mark("store_unreadable", "")]
        self._seen, found = audit(self._seen, marks, self._steady())
        if found != self.findings:
            tell = self._log.error if found else self._log.info
            tell("the audit found what stands still" if found else "all that is stored moves again", **found)
        self.findings = found
        self._metrics.audited(found)
