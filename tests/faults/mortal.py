"""The parts of a receiver in this process, driven step by step, that can die between any two transactions."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

from receiver.incidents import Incident
from receiver.metrics import ReceiverMetrics
from receiver.pipeline import Pipeline, Settings
from receiver.settings import ReceiverConfig
from receiver.stages.deliver import Deliverer
from receiver.stages.enrich import Enrichment
from receiver.stages.escalate import Escalator, Means
from receiver.stages.lease import Keeper
from receiver.store import Store
from receiver.upkeep.auditor import Auditor
from toolkit.clock import Now
from toolkit.service import Background
from toolkit.storage import Database

T = TypeVar("T")
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where a database need not wait for a disk; None: where all temporary files are."""
LOG = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class Died(BaseException):
    """The process is killed: nothing catches this."""


class Fuse:
    """Kills whoever begins a transaction once `left` have begun; None: it never does."""

    def __init__(self) -> None:
        self.left: int | None = None
        event.listen(Engine, "begin", self._begins)

    def _begins(self, _: object) -> None:
        if self.left is None:
            return
        if self.left == 0:
            raise Died
        self.left -= 1

    def remove(self) -> None:
        """Lets everybody live."""
        event.remove(Engine, "begin", self._begins)


class Life:
    """One process: from its start on the database at `path` to its death."""

    def __init__(self, path: Path, config: ReceiverConfig, now: Now, metrics: ReceiverMetrics) -> None:
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """Done once, while the next incident waits for its enrichers."""
        self.steady = 0.0
        self._database, self._background = Database(make_url(f"sqlite:///{path}")), Background()
        self.store = Store(self._database)
        spawn = self._background.spawn
        deliverer = Deliverer(self.store.outbox, _no_sink, spawn, metrics, now, LOG)
        settings = Settings(config, {"meanwhile": self._enrich}, "http://receiver")
        self.pipeline = Pipeline(
            self.store, deliverer, settings, lambda _: None, lambda _: None, spawn, metrics, now, LOG
        )
        self.keeper = Keeper(self.store.outbox, deliverer.wake, metrics, now, lambda: self.steady, LOG)
        means = Means(config, "http://receiver", settings.signer.incident_url)
        self.escalator = Escalator(self.store, lambda: means, self._facts, deliverer.wake, metrics, now, LOG)
        served = [target.name for target in config.targets]
        self.auditor = Auditor(self.store.audit, lambda: served, metrics, now, LOG, lambda: self.steady)

    async def _enrich(self, _: Incident) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()

    async def _facts(self, incident: Incident) -> Enrichment:
        await self._enrich(incident)
        return Enrichment()

    async def end(self) -> None:
        """Whatever runs is cut off, and its transactions are undone."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if self._background.failed.done():
            self._background.failed.exception()
        await self._background.close()
        await self._database.close()


def _no_sink(_: object) -> Any:
    raise AssertionError("no target is followed: the test sends")


class Machine:
    """A computer on which a receiver runs, dies and is started again."""

    def __init__(self, path: Path, config: ReceiverConfig, now: Now) -> None:
        self._path, self._config, self._now = path, config, now
        self._runner, self._fuse = asyncio.Runner(), Fuse()
        self._metrics = ReceiverMetrics(CollectorRegistry())
        self.life = self._runner.run(self._start())

    async def _start(self) -> Life:
        life = Life(self._path, self._config, self._now, self._metrics)
        await life.store.outbox.recover(self._now())
        return life

    def run(self, work: Coroutine[Any, Any, T], fuse: int | None = None) -> T:
        """What `work` returns. It dies where it would begin a transaction after `fuse` others; None: it lives.

        Raises Died when it did, and the next process has been started.
        """
        self._fuse.left = fuse
        try:
            return self._runner.run(work)
        except (Died, asyncio.CancelledError):
            self.die()
            raise Died from None
        finally:
            self._fuse.left = None

    def die(self) -> None:
        """The process is killed, and another is started."""
        self._fuse.left = 0
        self._runner.run(self.life.end())
        self._fuse.left = None
        self.life = self._runner.run(self._start())

    def close(self) -> None:
        """For good."""
        self._runner.run(self.life.end())
        self._runner.close()
        self._fuse.remove()
