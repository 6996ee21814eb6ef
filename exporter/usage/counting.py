"""The group commit: what many deliver at once is counted into one entry of the ledger, and then they are answered.

While one commit is on its way to the disk, the next one's deliveries gather. A delivery that was counted before (its
idempotency key says so), or whose position somebody else has moved on, leaves the group, and the rest goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

import msgspec

from exporter.ledger.usage import Entry, Keyed, Repeated, UsageLedger
from exporter.usage.book import Book
from exporter.usage.delivery import Fenced, Format, Hold, Position, Taken
from exporter.usage.engine import PIECE_BYTES, Engine
from exporter.usage.keeping import OWN, STREAM, Keeping
from exporter.usage.rejects import Rejects, Shown
from exporter.usage.sequences.settings import SequenceSettings
from exporter.usage.settings import Usage
from exporter.usage.tally import Tally
from exporter.usage.watching import Seen, Watching
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""More than this is not taken in before something was stored: the sender hears that it should come again."""
LOOK_SECONDS = 1.0
"""How long nobody looks at keys where nothing comes."""
PACE_SECONDS = 0.008
"""Commits begin no faster than this: each costs the same, however much it holds."""
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


@dataclass(eq=False)
class _Waiting:
    tally: Tally
    positions: Sequence[Position]
    key: str
    sequences: tuple[SequenceSettings, ...]
    """The rules about keys by which it was counted."""
    done: asyncio.Future[Taken] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def named(self) -> tuple[str, str]:
        return self.tally.source, self.key


class Counting:
    """Counts what sources deliver; `run` has to go on in the background. It is the sources' `Intake`."""

    def __init__(self, ledger: UsageLedger, metrics: CountingMetrics, now: Now, log: Logger) -> None:
        self.book, self._rejects = Book(), Rejects()
        self._ledger, self._metrics, self._now, self._log = ledger, metrics, now, log
        self.engine = Engine(Usage(), self.book, 0.0)
        self._keeping = Keeping(ledger, self.book, now)
        self._looked = 0.0
        """When the parts' turn last came (the loop's clock)."""
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._book_lock = asyncio.Lock()
        """Held from what is decided to its commit."""
        self._entries = 0

    def reads(self, log: str) -> bool:
        """Whether lines can be read as the entry `log` of `usage.logs` ("": as the only one)."""
        return self.engine.reads(log)

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
        self.book.forget_lines()
        if not self._book_lock.locked():
            self._keeping.follow(usage.sequences)  # their series are shown at once
        self._some.set()

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
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        if self._bytes + size > MAX_WAITING_BYTES and self._waiting:
            raise StorageUnavailable("overloaded")
        self._bytes += size
        try:
            engine = self.engine
            tally = engine.begin(source, self._now())
            tally.came_in(part, sent)
            if size <= PIECE_BYTES:
                engine.count(tally, body, form, log)
            else:
                await self._in_pieces(engine, tally, body, form, log)
            waiting = _Waiting(tally, positions, key, engine.usage.sequences)
            self._waiting.append(waiting)
            self._some.set()
            return await waiting.done  # who goes away cancels this future, not the commit
        finally:
            self._bytes -= size

    async def _in_pieces(
        self, engine: Engine, tally: Tally, body: bytes | Sequence[bytes], form: Format, log: str
    ) -> None:
        """Counts a large body, and lets others have their turn meanwhile."""
        for piece in engine.pieces(body, form, log):
            engine.count(tally, piece, form, log)
            tally.before.append(piece)
            await asyncio.sleep(0)

    async def positions(self, stream: str) -> Mapping[str, str]:
        """How far each part of `stream` was read."""
        return await self._ledger.positions(stream)

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        """See exporter.usage.delivery.Partitioned."""
        async with self._book_lock:
            self._keeping.follow(self.engine.usage.sequences)
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
        """Commits for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._awaited()
            began = loop.time()
            self._some.clear()
            group, self._waiting = self._waiting, []
            if began - self._looked >= LOOK_SECONDS:
                self._looked = began
                self._keeping.turn()
            # what was counted before a reload is looked at by the rules of then
            for sequences, same in groupby(group, lambda one: one.sequences):
                await self._commit(list(same), sequences)
            if not group:
                await self._tick()
            if group:
                self._metrics.committed(len(group), loop.time() - began)
            await asyncio.sleep(max(0.0, began + PACE_SECONDS - loop.time()))

    async def _awaited(self) -> None:
        """Waits for a delivery; where keys are watched, not for long: time decides about them as well."""
        patience = None if not self.engine.usage.sequences else 0.0 if self._keeping.is_behind else LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._some.wait()

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

    async def _commit(self, group: list[_Waiting], sequences: tuple[SequenceSettings, ...]) -> None:
        while group:
            first, later = _once_each(group)
            try:
                await self._store(first, sequences)
            except Repeated as error:
                group = _answered(first, error) + later
            except Fenced as error:
                self._keeping.lose(error)
                group = _without(first, error) + later
            except StorageUnavailable as error:
                _fail(group, error)
                return
            except BaseException as error:
                _fail(group, error if isinstance(error, Exception) else StorageUnavailable("io"))
                raise
            else:
                self._metrics.counted([one.tally for one in first])
                self.engine.exemplars([one.tally for one in first])
                for one in first:
                    self._told(one)
                group = later

    async def _store(self, group: Sequence[_Waiting], sequences: tuple[SequenceSettings, ...]) -> None:
        tallies = [one.tally for one in group]
        deltas, unusable = self.engine.deltas(tallies)
        positions = [position for one in group for position in one.positions]
        keys = [Keyed(*one.named, msgspec.json.encode(one.tally.taken)) for one in group if one.key]
        async with self._book_lock:
            self._keeping.follow(sequences)
            sightings = self._sightings(tallies) if sequences else {}
            unplaced = Counter(rule for rule, *_ in sightings.pop(OWN, ())) if self.shared else Counter[str]()
            await self._stored(Entry(deltas, positions, keys), sightings)
        self._metrics.unusable(unusable)
        self._metrics.unplaced(unplaced)

    def _sightings(self, tallies: Sequence[Tally]) -> dict[str, Iterable[Seen]]:
        """What the tallies hold for rules about keys, by part."""
        parts: dict[str, list[Tally]] = {}
        for tally in tallies:
            parts.setdefault(tally.part, []).append(tally)
        return {part: self.engine.sightings(same) for part, same in parts.items()}

    async def _stored(self, entry: Entry, sightings: Mapping[str, Iterable[Seen]]) -> None:
        """Stores `entry` with what is decided about keys."""
        try:
            decided = self._keeping.look(sightings)
            entry = entry if decided.is_empty else entry.joined(decided)
            if entry.is_empty:
                return
            await self._ledger.commit(entry, self.book, self._now())
        except BaseException:
            self._keeping.undo()
            raise
        self._keeping.committed()
        self._entries += 1

    async def _tick(self) -> None:
        """Nothing came, and time may have decided about keys. What can't be stored is decided again."""
        try:
            async with self._book_lock:
                self._keeping.follow(self.engine.usage.sequences)
                await self._stored(Entry({}), {})
        except StorageUnavailable as error:
            self._log.warning("what time decided about keys can't be stored now", reason=error.reason)
        except Fenced as error:
            self._keeping.lose(error)

    def _told(self, one: _Waiting) -> None:
        if one.tally.samples:
            self._rejects.note(one.tally.rejected, one.tally.unknown, one.tally.samples)
        _answer(one, one.tally.taken)


def _once_each(group: Sequence[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Those that can be in one commit, and those whose key or position is another's in it: they come after it."""
    seen = set[object]()
    first, later = list[_Waiting](), list[_Waiting]()
    for one in group:
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
        if fenced.stream == STREAM:
            return one.tally.part == fenced.part
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
