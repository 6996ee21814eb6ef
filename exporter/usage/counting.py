"""The group commit: what many deliver at once is counted into one entry of the ledger, and then they are answered.

While one commit is on its way to the disk, the next one's deliveries gather. A delivery that was counted before (its
idempotency key says so), or whose position somebody else has moved on, leaves the group, and the rest goes on. So it
is with one that brings a defect to light: what of it can't be counted is rejected.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from exporter.ledger.usage import Astray, Entry, Keyed, Repeated, UsageLedger
from exporter.usage.book import Book, Exemplar, Labels, Series
from exporter.usage.delivery import Delivery, Fenced, Format, Position, Taken
from exporter.usage.engine import PIECE_BYTES, Engine
from exporter.usage.logs.reader import LogReader
from exporter.usage.rejects import Rejects, Shown
from exporter.usage.sequences import Row, Sighting
from exporter.usage.settings import Usage
from exporter.usage.sifting import Attempt, Sieve, reference
from exporter.usage.tally import Tally
from exporter.usage.watching import Deltas, Watching
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""More than this is not taken in before something was stored: the sender hears that it should come again."""
LOOK_SECONDS = 1.0
"""How long nobody looks at keys where nothing comes."""
PACE_SECONDS = 0.008
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

    def committed(self, deliveries: int, seconds: float) -> None:
        """A commit took so long."""


Sightings = Iterable[Sighting | tuple[str, str, str, Labels, float]]


@dataclass(eq=False)
class _Waiting:
    delivery: Delivery
    tally: Tally
    positions: Sequence[Position]
    key: str
    failures: int = 0
    """How often a defect kept it alone from being stored."""
    done: asyncio.Future[Taken] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def named(self) -> tuple[str, str]:
        return self.tally.source, self.key

    @property
    def keyed(self) -> Keyed:
        return Keyed(*self.named, msgspec.json.encode(self.tally.taken))


class Counting:
    """Counts what sources deliver; `run` has to go on in the background. It is the sources' `Intake`."""

    def __init__(self, ledger: UsageLedger, metrics: CountingMetrics, now: Now, log: Logger) -> None:
        self.book, self._rejects = Book(), Rejects()
        self._ledger, self._metrics, self._now, self._log = ledger, metrics, now, log
        self.engine = Engine(Usage(), self.book, 0.0)
        self.watching = Watching((), self.book, 0.0)
        self._kept: Sequence[tuple[Row, bytes]] = ()
        """What was remembered of keys before there were rules about them."""
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._book_lock = asyncio.Lock()
        self._entries = 0
        self._defects: set[str] = set()
        """Those whose traceback is in the log."""

    def reads(self, log: str) -> bool:
        """Whether lines can be read as the entry `log` of `usage.logs` ("": as the only one)."""
        return self.engine.reads(log)

    def reader(self, log: str) -> LogReader:
        """What reads lines as the entry `log` of `usage.logs`, which there has to be."""
        return self.engine.reader(log)

    @property
    def shared(self) -> bool:
        """Whether other exporters count into the same ledger."""
        return self._ledger.shared

    async def start(self) -> None:
        """Reads what was counted before."""
        await self._ledger.load(self.book)
        self._kept = await self._ledger.memory()
        self._entries = await self._ledger.journal_entries()

    def use(self, usage: Usage) -> None:
        """Counts by this configuration from now on. What was counted stays."""
        self.engine = Engine(usage, self.book, self._now())
        self.book.forget_lines()

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
    ) -> Taken:
        """Counts `body`; it is in the ledger when this returns. One with a `key` that its source has used before is
        not counted again, and answered as it was then. Raises Fenced or StorageUnavailable."""
        delivery = Delivery(source, body, form, log)
        size = delivery.size
        if self._bytes + size > MAX_WAITING_BYTES and self._waiting:
            raise StorageUnavailable("overloaded")
        self._bytes += size
        try:
            waiting = _Waiting(delivery, await self._tallied(delivery, size), positions, key)
            self._waiting.append(waiting)
            self._some.set()
            return await waiting.done  # who goes away cancels this future, not the commit
        finally:
            self._bytes -= size

    async def _tallied(self, delivery: Delivery, size: int) -> Tally:
        tally = self.engine.begin(delivery.source, self._now())
        try:
            if size <= PIECE_BYTES:
                self.engine.count(tally, delivery.body, delivery.form, delivery.log)
            else:
                await self._in_pieces(tally, delivery)
        except Exception as error:  # noqa: BLE001 - a defect: see decision 0028
            defect = error
        else:
            return tally
        return await self._sifted(delivery, tally.now, defect, lambda _: None)

    async def _in_pieces(self, tally: Tally, delivery: Delivery) -> None:
        """Counts a large body, and lets others have their turn meanwhile."""
        engine, form, log = self.engine, delivery.form, delivery.log
        for piece in engine.pieces(delivery.body, form, log):
            engine.count(tally, piece, form, log)
            tally.before.append(piece)
            await asyncio.sleep(0)

    async def _sifted(self, delivery: Delivery, now: float, error: Exception, attempt: Attempt) -> Tally:
        """The tally of what of `delivery` can be counted, though `error` keeps the whole from it."""
        sieve = Sieve(self.engine, delivery, attempt)
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
            exc_info=None if name in self._defects else error,
        )
        self._defects.add(name)

    async def positions(self, stream: str) -> Mapping[str, str]:
        """How far each part of `stream` was read."""
        return await self._ledger.positions(stream)

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
        """Commits for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._awaited()
            began = loop.time()
            self._some.clear()
            group, self._waiting = self._waiting, []
            self._watch()
            try:
                await self._commit(group)
            except BaseException as error:
                _fail(group, error if isinstance(error, Exception) else StorageUnavailable("io"))
                raise
            if group:
                self._metrics.committed(len(group), loop.time() - began)
            await asyncio.sleep(max(0.0, began + PACE_SECONDS - loop.time()))

    async def _awaited(self) -> None:
        """Waits for a delivery; where keys are watched, not for long: time decides about them as well."""
        patience = None if not self.engine.usage.sequences else 0.0 if self.watching.is_behind() else LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._some.wait()

    def _watch(self) -> None:
        """Goes by the rules in force, between two commits: what is remembered belongs to the last one."""
        if self.watching.settings != self.engine.usage.sequences:
            before = [*self._kept, *self.watching.rows()]
            self.watching = Watching(self.engine.usage.sequences, self.book, self._now())
            self.watching.restore(before)
            self._kept = () if self.watching.settings else before

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

    async def _commit(self, group: list[_Waiting]) -> None:
        if not group:
            await self._tick()
        while group:
            first, later = _once_each(group)
            try:
                unusable, shown = await self._store(first)
            except Repeated as error:
                group = _answered(first, error) + later
            except Fenced as error:
                group = _without(first, error) + later
            except StorageUnavailable as error:
                _fail(group, error)
                return
            except Astray:
                raise
            except Exception as error:  # noqa: BLE001 - a defect: see decision 0028
                await self._isolate(first, error)
                group = later
            else:
                self._done(first, unusable, shown)
                group = later

    def _done(self, group: Sequence[_Waiting], unusable: Mapping[str, int], shown: Mapping[Series, Exemplar]) -> None:
        """Answers those that are stored."""
        self._metrics.unusable(unusable)
        self._metrics.counted([one.tally for one in group])
        for series, exemplar in shown.items():
            series.shelf.exemplars[series] = exemplar
        for one in group:
            self._told(one)

    async def _store(self, group: Sequence[_Waiting]) -> tuple[Counter[str], dict[Series, Exemplar]]:
        """How many events of each rule had no usable value, and what is to be shown beside series from now on."""
        tallies = [one.tally for one in group]
        deltas, unusable = self.engine.deltas(tallies)
        shown = self.engine.exemplars(tallies)
        positions = [position for one in group for position in one.positions]
        keys = [one.keyed for one in group if one.key and not one.tally.taken.is_refused]
        decided, memory = self._looked(self.engine.sightings(tallies))
        deltas |= decided
        if deltas or positions or keys or memory:
            await self._stored(Entry(deltas, positions, keys, memory))
        return unusable, shown

    def _looked(self, sightings: Sightings) -> tuple[Deltas, Mapping[Row, bytes | None]]:
        """What these and the time decide about keys, and what is remembered then; undone where that fails."""
        try:
            return self.watching.look(sightings, self._now()), self.watching.changes()
        except BaseException:
            self.watching.undo()
            raise

    async def _isolate(self, group: list[_Waiting], error: Exception) -> None:
        """Counts what of these deliveries can be counted, though `error` keeps them from it together."""
        if len(group) > 1:
            middle = len(group) // 2
            await self._commit(group[:middle])
            await self._commit(group[middle:])
            return
        try:
            deltas, memory = self._looked(())
            await self._stored(Entry(deltas, memory=memory))  # where this fails too, the defect is no delivery's
        except StorageUnavailable as unavailable:
            _fail(group, unavailable)
            return
        self._watch()  # what is counted anew goes by the rules in force
        await self._repair(group[0], error)
        await self._commit(group)

    async def _repair(self, one: _Waiting, error: Exception) -> None:
        """Takes out of a delivery what can't be counted; where that doesn't help, all of it; then the defect is not
        its own."""
        one.failures += 1
        if one.failures == 1:
            one.tally = await self._sifted(one.delivery, one.tally.now, error, self._try)
        elif one.failures == 2:
            one.tally = Sieve(self.engine, one.delivery, self._try).refused(one.tally.now, error)
            self._tell(error, one.delivery, one.tally)
        else:
            raise error

    def _try(self, tally: Tally) -> None:
        """What a commit does with a tally, undone."""
        self.engine.deltas([tally])
        self.engine.exemplars([tally])
        self._looked(self.engine.sightings([tally]))
        self.watching.undo()

    async def _stored(self, entry: Entry) -> None:
        try:
            async with self._book_lock:
                await self._ledger.commit(entry, self.book, self._now())
        except BaseException:
            self.watching.undo()
            raise
        self.watching.committed()
        self._entries += 1

    async def _tick(self) -> None:
        """Nothing came, and time may have decided about keys. What can't be stored is decided again."""
        deltas, memory = self._looked(())
        if deltas or memory:
            try:
                await self._stored(Entry(deltas, memory=memory))
            except StorageUnavailable as error:
                self._log.warning("what time decided about keys can't be stored now", reason=error.reason)

    def _told(self, one: _Waiting) -> None:
        if one.tally.samples:
            begin = ", ".join(position.begin for position in one.positions[:MOST_PLACES])
            self._rejects.note(one.tally.rejected, one.tally.unknown, one.tally.samples, begin)
        _answer(one, one.tally.taken)


def _once_each(group: Sequence[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Those that can be in one commit, and those whose key or position is another's in it: they come after it."""
    seen = set[object]()
    first, later = list[_Waiting](), list[_Waiting]()
    for one in group:
        if not one.key and not one.positions:
            first.append(one)
            continue
        marks: list[object] = [one.named] if one.key else []
        marks += [(position.stream, position.part) for position in one.positions]
        (later if seen.intersection(marks) else first).append(one)
        seen.update(marks)
    return first, later


def _answered(group: Sequence[_Waiting], repeated: Repeated) -> list[_Waiting]:
    """Answers those that were counted before; returns the others."""
    for one in group:
        if one.named in repeated.answers:
            _answer(one, msgspec.json.decode(repeated.answers[one.named], type=Taken))
    return [one for one in group if one.named not in repeated.answers]


def _without(group: Sequence[_Waiting], fenced: Fenced) -> list[_Waiting]:
    """Tells those whose position has moved on; returns the others."""

    def is_behind(one: _Waiting) -> bool:
        return any((at.stream, at.part) == (fenced.stream, fenced.part) for at in one.positions)

    _fail([one for one in group if is_behind(one)], fenced)
    return [one for one in group if not is_behind(one)]


def _answer(one: _Waiting, taken: Taken) -> None:
    if not one.done.done():
        one.done.set_result(taken)


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for one in group:
        if not one.done.done():
            one.done.set_exception(error)
