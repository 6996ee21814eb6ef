"""The group commit: what many deliver at once is counted into one entry of the ledger, and then they are answered.

While one commit is on its way to the disk, the next one's deliveries gather. A delivery that was counted before (its
idempotency key says so), or whose position somebody else has moved on, leaves the group, and the rest goes on. So it
is with one that brings a defect to light: what of it can't be counted is rejected.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from exporter.ledger.usage import Astray, Entry, Repeated, UsageLedger
from exporter.usage.book import Book
from exporter.usage.defects import Defects
from exporter.usage.delivery import OWN, Delivery, Fenced, Format, Hold, Position, Taken
from exporter.usage.engine import PIECE_BYTES, Engine
from exporter.usage.findings import Findings, findings
from exporter.usage.keeping import Keeping
from exporter.usage.logs.reader import LogReader
from exporter.usage.rejects import Rejects, Shown
from exporter.usage.settings import Usage
from exporter.usage.tally import Tally
from exporter.usage.waiting import (
    Broken,
    Waiting,
    all_counted,
    answered,
    count_in_pieces,
    fail,
    once_each,
    without,
)
from exporter.usage.watching import Seen, Watching
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""More than this is not taken in before something was stored: the sender hears that it should come again."""
SMALL_BYTES = 4096
"""What is smaller is counted when its turn comes, many in a row: each takes longer where requests come between."""
LOOK_SECONDS = 1.0
"""How long nobody looks at keys where nothing comes."""
PACE_SECONDS = 0.005
"""Commits begin no faster than this: each costs the same, however much it holds."""
MOST_PLACES = 3
"""So many beginnings of a delivery's parts are told of its rejects."""
FOLD_SECONDS = 60.0
FOLD_ENTRIES = 5_000
"""After so many entries the journal is folded early, which bounds what a start has to read."""


class CountingMetrics(Protocol):
    """What is told of the counting."""

    def counted(self, tallies: Sequence[Tally]) -> None:
        """These deliveries are durable."""

    def unusable(self, rules: Mapping[str, int]) -> None:
        """So many events of each rule had no value that it could take."""

    def unplaced(self, rules: Mapping[str, int]) -> None:
        """So many events of each rule about keys came to a shared ledger by another way than in parts."""

    def committed(self, deliveries: int, seconds: float) -> None:
        """A commit took so long."""


class Counting:
    """Counts what sources deliver; `run` has to go on in the background. It is the sources' `Intake`."""

    def __init__(self, ledger: UsageLedger, metrics: CountingMetrics, now: Now, log: Logger) -> None:
        self.book, self._rejects = Book(), Rejects()
        self._ledger, self._metrics, self._now, self._log = ledger, metrics, now, log
        self._defects = Defects(log)
        self.engine = Engine(Usage(), self.book, 0.0)
        self._book_lock = asyncio.Lock()
        """Held from what is decided to its commit."""
        self._keeping = Keeping(ledger, self.book, now, self._book_lock)
        self._looked = 0.0
        """When the parts' turn last came (the loop's clock)."""
        self._waiting: list[Waiting] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._ended = False
        """Nobody commits any more."""
        self._entries = 0

    def reads(self, log: str) -> bool:
        """Whether lines can be read as the entry `log` of `usage.logs` ("": as the only one)."""
        return self.engine.reads(log)

    def reader(self, log: str) -> LogReader:
        """What reads lines as the entry `log` of `usage.logs`, which there has to be."""
        return self.engine.reader(log)

    @property
    def watching(self) -> Watching:
        """The rules about keys in force."""
        return self._keeping.watching

    @property
    def shared(self) -> bool:
        """Whether other exporters count into the same ledger."""
        return self._ledger.shared

    async def start(self) -> None:
        """Reads what was counted before."""
        await self._ledger.load(self.book)
        await self._keeping.start()
        self._entries = await self._ledger.journal_entries()

    def use(self, usage: Usage) -> None:
        """Counts by this configuration from now on. What was counted stays."""
        self.engine = Engine(usage, self.book, self._now())
        if not self._book_lock.locked():
            self._follow()  # their series are shown at once
        self._some.set()

    @asynccontextmanager
    async def _between_commits(self) -> AsyncIterator[None]:
        """Nobody else commits meanwhile, and the rules about keys are those in force."""
        async with self._book_lock:
            self._follow()
            yield

    def _follow(self) -> None:
        """The rules about keys in force are those of the configuration, also for what was tallied by an earlier one."""
        self._keeping.follow(self.engine.usage.sequences)

    # --- the sources' side

    async def take(
        self,
        source: str,
        body: bytes | Sequence[bytes],
        form: Format,
        positions: Sequence[Position] = (),
        *,
        key: str = "",
        log: str = "",
        part: str = OWN,
        sent: Sequence[float] = (),
    ) -> Taken:
        """Counts `body`; it is in the ledger when this returns. One with a `key` that its source has used before is
        not counted again, and answered as it was then. `part` and `sent` as in exporter.usage.delivery.Partitioned.
        Raises Fenced or StorageUnavailable."""
        delivery = Delivery(source, body, form, log, part, sent)
        size = delivery.size
        if self._bytes and self._bytes + size > MAX_WAITING_BYTES:
            raise StorageUnavailable("overloaded")
        self._bytes += size
        try:
            tally = self.engine.begin(source, self._now(), part, sent)
            waiting = Waiting(delivery, self.engine, tally, positions, key)
            if size > SMALL_BYTES:
                waiting = await self._counted(waiting, size)
            while not self._ended:
                self._waiting.append(waiting)
                self._some.set()
                try:
                    return await waiting.done  # who goes away cancels this future, not the commit
                except Broken as broken:
                    waiting = await self._repaired(waiting, broken.error)  # here, so that others don't wait
            raise StorageUnavailable("io")
        finally:
            self._bytes -= size

    async def _counted(self, waiting: Waiting, size: int) -> Waiting:
        """Counts what a delivery holds, before its turn comes."""
        try:
            if size <= PIECE_BYTES:
                waiting.count()
            else:
                await count_in_pieces(waiting)
        except Exception as error:  # noqa: BLE001 - a defect: see decision 0028
            return await self._repaired(waiting, error)
        return waiting

    async def positions(self, stream: str) -> Mapping[str, str]:
        """How far each part of `stream` was read."""
        return await self._ledger.positions(stream)

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        """See exporter.usage.delivery.Partitioned."""
        async with self._book_lock:
            self._follow()
        return await self._keeping.hold(stream, parts)

    def release(self, stream: str) -> None:
        """See exporter.usage.delivery.Partitioned."""
        self._keeping.release(stream)

    def rejects(self) -> Mapping[str, Shown]:
        """What was rejected and why, with samples, for people."""
        return self._rejects.shown()

    async def forget(self, stream: str, keep: Collection[str], age: float) -> None:
        """Drops the positions of `stream` that stand for nothing of `keep` and have not moved for `age` seconds."""
        await self._ledger.forget_positions(stream, keep, self._now() - age)

    async def refreshed(self) -> Book:
        """The book, with what other replicas have committed."""
        if self._ledger.shared:
            async with self._book_lock:
                await self._ledger.follow(self.book)
        return self.book

    # --- the ledger's side

    async def run(self) -> None:
        """Commits for ever. Where that ends, whoever waits or comes hears it."""
        try:
            while True:
                await self._next()
        finally:
            self._ended = True
            fail(self._waiting, StorageUnavailable("io"))

    async def _next(self) -> None:
        """The next commit, and the pace."""
        loop = asyncio.get_running_loop()
        await self._awaited()
        began = loop.time()
        self._some.clear()
        group, self._waiting = self._waiting, []
        if began - self._looked >= LOOK_SECONDS:
            self._looked = began
            self._keeping.turn()
        try:
            await self._go_through(group)
        except BaseException as error:  # a stop too: whoever posted must not wait for ever
            fail(group, error if isinstance(error, Exception) else StorageUnavailable("io"))
            raise
        took = loop.time() - began
        if group:
            self._metrics.committed(len(group), took)
        await asyncio.sleep(max(0.0, PACE_SECONDS - took))

    async def _awaited(self) -> None:
        """Waits for a delivery; where keys are watched, not for long: time decides about them as well."""
        patience = None if not self.engine.usage.sequences else 0.0 if self._keeping.is_behind else LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._some.wait()

    async def _go_through(self, group: Sequence[Waiting]) -> None:
        """Commits what came, or else what time has decided."""
        # what came before a reload is counted by the rules of then
        for _, same in groupby(await all_counted(group), attrgetter("engine")):
            await self._commit(list(same))
        if not group:
            await self._tick()

    async def fold_forever(self) -> None:
        """Folds the journal once a minute, or sooner where it grows fast."""
        since = 0.0
        while True:
            await asyncio.sleep(1.0)
            since += 1.0
            if self._entries and (since >= FOLD_SECONDS or self._entries >= FOLD_ENTRIES):
                await self.fold()
                since = 0.0

    async def fold(self) -> None:
        """Folds the journal now. What can't be stored is tried again with the next."""
        try:
            await self._ledger.fold(self.book)
            await self._ledger.forget_keys(self._now())
        except StorageUnavailable as error:
            self._log.warning("the usage journal can't be folded now", reason=error.reason)
        else:
            self._entries = 0

    async def _commit(self, group: list[Waiting]) -> None:
        """Stores deliveries of one engine, and tells each what became of it."""
        while group:
            first, later = once_each(group)
            try:
                await self._store(first)
                group = later
            except Repeated as error:
                group = answered(first, error) + later
            except Fenced as error:
                self._keeping.lose(error)
                group = without(first, error) + later
            except StorageUnavailable as error:
                fail(group, error)
                return

    async def _store(self, group: list[Waiting]) -> None:
        """Stores and answers these, but for those that a defect keeps from it."""
        try:
            found = await self._entered(group)
        except (Repeated, Fenced, StorageUnavailable, Astray):
            raise
        except Exception as error:  # noqa: BLE001 - a defect: see decision 0028
            await self._isolate(group, error)
        else:
            self._done(group, found)

    def _done(self, group: Sequence[Waiting], found: Findings) -> None:
        """Answers those that are stored."""
        self._metrics.unusable(found.unusable)
        self._metrics.unplaced(found.unplaced)
        self._metrics.counted([one.tally for one in group])
        for series, exemplar in found.shown.items():
            series.shelf.exemplars[series] = exemplar
        for one in group:
            self._told(one)

    async def _entered(self, group: Sequence[Waiting]) -> Findings:
        engine = group[0].engine
        positions = [position for one in group for position in one.positions]
        keyed = [one for one in group if one.key]
        refused = {one.named for one in keyed if one.tally.taken.is_refused}
        if refused and (answers := await self._ledger.answers(list(refused))):
            raise Repeated(answers)  # the defect came after them
        keys = [one.keyed for one in keyed if one.named not in refused]
        async with self._between_commits():
            found = findings(engine, [one.tally for one in group], self.watching, self.shared)
            await self._stored(Entry(found.deltas, positions, keys), found.sightings)
        return found

    async def _stored(self, entry: Entry, sightings: Mapping[str, Iterable[Seen]], *, empty: bool = False) -> None:
        """Stores `entry` with what is decided about keys; what is empty, only if that is asked for."""
        try:
            decided = self._keeping.look(sightings)
            entry = entry if decided.is_empty else entry.joined(decided)
            if entry.is_empty and not empty:
                return
            await self._ledger.commit(entry, self.book, self._now())
        except BaseException:  # a cancelled write too: what was decided about keys isn't stored
            self._keeping.undo()
            raise
        self._keeping.committed()
        self._entries += 1

    # --- defects

    async def _repaired(self, waiting: Waiting, error: Exception) -> Waiting:
        attempt = partial(self._rehearse, waiting.engine)
        return await self._defects.repaired(waiting, error, attempt, self._between_commits)

    async def _isolate(self, group: list[Waiting], error: Exception) -> None:
        """Stores those of these deliveries that `error` does not keep from it; the others have to be repaired. Raises
        what is no delivery's."""
        self._keeping.again()
        if len(group) > 1:
            middle = len(group) // 2
            await self._commit(group[:middle])
            await self._commit(group[middle:])
            return
        [one] = group
        await self._goes_without(one)
        if one.failures > 1:
            raise error  # nothing was left of it, and that helped as little
        fail(group, Broken(error))

    async def _goes_without(self, one: Waiting) -> None:
        """Commits what a delivery of nothing in its place would: where this fails too, the defect is no delivery's."""
        async with self._between_commits():
            await self._stored(Entry({}), {one.tally.part: ()}, empty=True)

    def _rehearse(self, engine: Engine, tally: Tally) -> None:
        """What a commit does with a tally, undone. Between two commits."""
        self._keeping.rehearse(findings(engine, [tally], self.watching, self.shared).sightings)

    # --- time

    async def _tick(self) -> None:
        """Nothing came, and time may have decided about keys. What can't be stored is decided again."""
        try:
            async with self._between_commits():
                await self._stored(Entry({}), {})
        except StorageUnavailable as error:
            self._log.warning("what time decided about keys can't be stored now", reason=error.reason)
        except Fenced as error:
            self._keeping.lose(error)

    def _told(self, one: Waiting) -> None:
        if one.tally.samples:
            begin = ", ".join(position.begin for position in one.positions[:MOST_PLACES])
            self._rejects.note(one.tally.rejected, one.tally.unknown, one.tally.samples, begin)
        one.answer(one.tally.taken)
