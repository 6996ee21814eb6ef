"""Follows the files of one source: every line is delivered once, with the position behind it in the same call.

The ledger's positions are the only memory. A process that is killed, wherever it was, leaves nothing to be mended: the
next one goes on where the ledger stands.
"""

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from exporter.usage.delivery import Fenced, Intake, Position
from exporter.usage.sources.files.counts import FileCounts
from exporter.usage.sources.files.deliveries import Deliveries, Forgetful
from exporter.usage.sources.files.finding import Entry, Found, Key, find
from exporter.usage.sources.files.known import Known, beginning_of, part_of
from exporter.usage.sources.files.mark import offset_of
from exporter.usage.sources.files.piece import Framing
from exporter.usage.sources.files.settings import FileSettings
from exporter.usage.sources.files.starting import ends_of, still_holds
from exporter.usage.sources.files.tail import Stranger, Tail
from toolkit.logs import Logger

T = TypeVar("T")
Clock = Callable[[], float]
"""Seconds that nobody sets, such as time.monotonic."""

AT_ONCE = 32
"""Files that are read and delivered at the same time; each has one piece in memory."""
MOST_OPEN = 256
"""Files held open between reads; any other is opened for each."""
PIECES_A_TURN = 16
"""After so many pieces of one file the others have their turn."""
FORGET_EVERY_SECONDS = 3600.0
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


class FileSource:
    """One source of files, running. Where machines share a ledger, `host` names this one: each has its own files."""

    def __init__(
        self,
        settings: FileSettings,
        intake: Intake,
        framing: Framing,
        ledger: Forgetful,
        clock: Clock,
        log: Logger,
        host: str = "",
    ) -> None:
        self.counts = FileCounts(settings.name)
        self._settings, self._clock, self._log = settings, clock, log.bind(source=settings.name)
        self._stream = f"file:{settings.name}@{host}" if host else f"file:{settings.name}"
        self._deliveries = Deliveries(settings.name, self._stream, settings.format, intake, ledger, self._log)
        self._framing = framing
        self._tails: dict[Key, Tail] = {}
        self._strangers: set[Key] = set()
        self._glimpsed: set[Key] = set()
        """Files that a pattern matched while deliveries waited: they may have another name by the next look."""
        self._open: set[Key] = set()
        self._failing: set[Path] = set()
        self._failing_now: set[Path] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._forget_at = clock() + FORGET_EVERY_SECONDS  # by then every folder is there

    async def run(self) -> None:
        """Follows the files until it is cancelled. A ledger that can't serve is waited for."""
        try:
            while True:
                if not await self.poll():
                    await asyncio.sleep(self._settings.interval)
        finally:
            self.close()

    def close(self) -> None:
        """Lets go of every file."""
        for tail in self._tails.values():
            tail.close()

    async def poll(self) -> bool:
        """Looks for files once, delivers what they have; whether there is more to read at once."""
        known = await self._deliveries.known()
        inodes = known.inodes | {inode for _, inode in [*self._tails, *self._glimpsed]}
        found = await asyncio.to_thread(find, self._settings.paths, inodes)
        await self._begin(found)
        await self._follow(found)
        await asyncio.sleep(0)  # with thousands of files each of these steps takes some milliseconds
        due = [tail for tail in self._tails.values() if tail.is_due]
        more = await self._meanwhile(asyncio.gather(*(self._advance(tail) for tail in due)))
        await asyncio.sleep(0)
        self._let_go()
        for path, error in found.errors:
            self._failed(path, error)
        self._failing, self._failing_now = self._failing_now, set()
        await asyncio.sleep(0)
        self.counts.files = sum(tail.named for tail in self._tails.values())
        self.counts.lag = sum(tail.unread for tail in self._tails.values())
        await self._forget()
        return any(more)

    # --- which files, and from where

    async def _begin(self, found: Found) -> None:
        """Puts on record which patterns have begun, and with `start: end` where their files ended then. Once that is on
        record, a file that nobody knows is new."""
        known = await self._deliveries.known()
        begun = {pattern for pattern in self._settings.paths if known.has_begun(pattern)}
        if begun.issuperset(self._settings.paths):
            return
        positions = [
            Position(self._stream, beginning_of(pattern), "", self._settings.start)
            for pattern in self._settings.paths
            if pattern not in begun
        ]
        if self._settings.start == "end":
            old = [entry for entry in found.entries.values() if entry.patterns and not entry.patterns & begun]
            unknown = [entry.path for entry in old if not known.text(part_of(entry.key))]
            ends = await asyncio.to_thread(ends_of, unknown)
            positions += [
                Position(self._stream, part_of(entry.key), "", ends[entry.path].text)
                for entry in old
                if entry.path in ends
            ]
        try:
            await self._deliveries.take(b"", positions)
        except Fenced:
            self._deliveries.doubt()  # it was on record already: the answer was lost
            await self._begin(found)

    async def _meanwhile(self, work: asyncio.Future[T]) -> T:
        """The result of `work`, which may wait for the ledger; who rotates files does not."""
        try:
            while not (await asyncio.wait({work}, timeout=self._settings.interval))[0]:
                found = await asyncio.to_thread(find, self._settings.paths, ())
                self._glimpsed.update(found.entries)
        except BaseException:  # a stop too: nobody would wait for `work` any more
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            raise
        return work.result()

    async def _follow(self, found: Found) -> None:
        now = self._clock()
        for key, entry in found.entries.items():
            if key in self._tails:
                self._tails[key].seen(entry, now)
            elif entry.patterns or key not in self._strangers:
                await self._add(entry, now)
        self._glimpsed.clear()
        for tail in [tail for key, tail in self._tails.items() if key not in found.entries]:
            tail.missing(now)
            if not tail.is_open:
                self._drop(tail)

    async def _add(self, entry: Entry, now: float) -> None:
        known = await self._deliveries.known()
        part = await self._part_of(entry, known)
        committed = known.text(part)
        if not entry.patterns and not committed and entry.key not in self._glimpsed:
            self._strangers.add(entry.key)
        # what has another name now and was read to its end has nothing for us
        elif entry.patterns or offset_of(committed) != entry.size:
            self._strangers.discard(entry.key)
            self._tails[entry.key] = Tail(entry, part, committed, now)

    async def _part_of(self, entry: Entry, known: Known) -> str:
        """What the ledger calls the file. Devices may be numbered anew when a machine starts: then its inode and what
        was read of it tell which it is."""
        own = part_of(entry.key)
        others = [] if known.text(own) else known.of_inode(entry.key[1])
        taken = {tail.part for tail in self._tails.values()} if others else set()
        for part in others:
            text = known.text(part)
            if part not in taken and offset_of(text) and await asyncio.to_thread(still_holds, entry.path, text):
                return part
        return own

    def _let_go(self) -> None:
        """Closes what has been idle, and drops it where no pattern matches it any more."""
        now = self._clock()
        idle = [tail for tail in self._tails.values() if now - tail.grew_at >= self._settings.idle]
        for tail in idle:
            if not (tail.unread and tail.is_open):
                self._close(tail)
                if not tail.named:
                    self._drop(tail)

    def _close(self, tail: Tail) -> None:
        tail.close()
        self._open.discard(tail.key)

    def _drop(self, tail: Tail) -> None:
        self._close(tail)
        del self._tails[tail.key]

    # --- reading and delivering

    async def _advance(self, tail: Tail) -> bool:
        """Delivers what the file has, up to PIECES_A_TURN; whether there is more."""
        async with self._turns:
            try:
                for _ in range(PIECES_A_TURN):
                    if not await self._deliver_piece(tail):
                        return False
            except FileNotFoundError:
                return True  # it went since we looked: the next look tells where to
            except OSError as error:
                self._failed(tail.path, error)
                return False
            except Stranger:
                self._strangers.add(tail.key)
                self._drop(tail)
            except Fenced:
                self._deliveries.doubt()
                tail.rewind((await self._deliveries.known()).text(tail.part))
            finally:
                self._settle(tail)
            return True

    def _settle(self, tail: Tail) -> None:
        """Takes over what the file's reads counted; keeps it open if it is one of the first MOST_OPEN."""
        self.counts.truncations, tail.truncations = self.counts.truncations + tail.truncations, 0
        if tail.is_open and len(self._open) < MOST_OPEN:
            self._open.add(tail.key)
        elif tail.key not in self._open:
            tail.close()

    async def _deliver_piece(self, tail: Tail) -> bool:
        """Whether there was one. Raises what `Tail.read` does, and Fenced."""
        quiet = self._clock() - tail.grew_at
        piece, mark = await asyncio.to_thread(tail.read, self._framing, quiet, quiet >= self._settings.idle)
        # also where there is no line yet: the next process may find the file under another name only
        if mark.text != tail.committed:
            told = f"{tail.path} at byte {offset_of(tail.committed)}"
            position = Position(self._stream, tail.part, tail.committed, mark.text, told)
            await self._deliveries.take(piece.body, [position])
        tail.moved(mark)
        self.counts.long_lines += piece.long_lines
        self.counts.nul_bytes += piece.nul_bytes
        return piece.length > 0

    # --- what goes wrong, and what is over

    def _failed(self, path: Path, error: OSError) -> None:
        """Counts it, and names a path once until it can be read again."""
        many = error.errno in _TOO_MANY
        reason = "permission" if isinstance(error, PermissionError) else "too_many_open" if many else "io"
        self.counts.errors[reason] += 1
        self._failing_now.add(path)
        if path not in self._failing:
            self._log.error("can't be read, will try again", path=str(path), reason=error.strerror)

    async def _forget(self) -> None:
        """Has the ledger drop the positions of files that went long ago."""
        if self._clock() >= self._forget_at:
            self._forget_at = self._clock() + FORGET_EVERY_SECONDS
            parts = {tail.part for tail in self._tails.values()}
            await self._deliveries.forget(parts | {beginning_of(path) for path in self._settings.paths})
