"""The rules about keys on a ledger: which parts of streams are ours, and what is stored for them.

A part's keys are remembered by one process at a time. Who takes a part up claims it: it moves the part's position in
the stream `keys` of the ledger, and then reads the part's rows. Every commit that changes rows moves that position on,
so that a process which was taken for dead, or does not know whether its last commit was stored, is refused and has to
take the part up anew.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from exporter.ledger.usage import Entry, UsageLedger
from exporter.usage.book import Book
from exporter.usage.delivery import OWN, Fenced, Hold, Position
from exporter.usage.sequences import Row
from exporter.usage.sequences.settings import SequenceSettings
from exporter.usage.watching import Seen, Watching
from toolkit.clock import Now

STREAM = "keys"
PARTS_AT_ONCE = 4
"""So many parts without events are looked at between two commits, so that many of them stop nobody for long."""


@dataclass
class _Held:
    hold: Hold
    position: int
    """The part's position in the stream `keys`, as we believe."""
    whole: bool = False
    """Whether all that is remembered of its keys was read. Before that nothing is decided about them."""


class Keeping:
    """Everything here happens between two commits, that is while `between` is held, but for `release`; and `hold`
    takes it by itself."""

    def __init__(self, ledger: UsageLedger, book: Book, now: Now, between: asyncio.Lock) -> None:
        self._ledger, self._book, self._now, self._between = ledger, book, now, between
        self.watching = Watching((), book, 0.0)
        self._kept: Sequence[tuple[Row, bytes]] = ()
        """What was remembered in our own part before there were rules about keys."""
        self._holds: dict[str, Hold] = {}
        self._held: dict[str, _Held] = {}
        self._turns: dict[str, None] = {}
        """The parts that are still to be looked at, in their order."""
        self._looked: Sequence[str] = ()
        """Those of them that the last look took."""
        self._moving: Sequence[str] = ()
        """The parts whose positions the commit under way moves."""

    async def start(self) -> None:
        """Reads what is remembered in our own part."""
        if not self._ledger.shared:
            async with aclosing(self._ledger.memory([OWN])) as rows:
                self._kept = [row async for some in rows for row in some]

    def follow(self, settings: tuple[SequenceSettings, ...]) -> None:
        """Goes by these rules from now on. Those that mean what is stored go on with what they remember, also where
        other rules were in force since, of which nothing is stored."""
        if self.watching.settings == settings:
            return
        before = [*self._kept, *self.watching.rows()]
        if not self.watching.settings or not settings:
            self._let_go()
        self.watching = Watching(settings, self._book, self._now())
        self.watching.restore(before if settings else ())
        self._kept = () if settings else [(row, state) for row, state in before if row.part == OWN]

    def _let_go(self) -> None:
        """Without rules nothing is remembered and no part is claimed, so with the first of them parts are new."""
        for hold in self._holds.values():
            hold.lost = True
        self._held, self._turns = {}, {}

    # --- parts that come and go

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        """See exporter.usage.delivery.Partitioned."""
        self.release(stream)
        hold = self._holds[stream] = Hold(frozenset(parts))
        try:
            async with self._between:
                hold.watched = bool(self.watching.settings)
                if hold.watched and parts:
                    await self._claim(stream, hold)
            await self._take_up(hold)
        except BaseException:  # a stop too: a part of the rows is of no use
            self._give_up(hold)
            raise
        return hold

    async def _take_up(self, hold: Hold) -> None:
        """Reads what is remembered of the parts that were claimed for `hold`. Others commit between two pages: nobody
        else changes rows of what is ours, and we change those that we know of."""
        watching, claimed = self.watching, {part for part, held in self._held.items() if held.hold is hold}
        async with aclosing(self._ledger.memory(claimed)) as pages:
            async for page in pages:
                async with self._between:
                    if not self._are_held(claimed, hold, watching):
                        break
                    watching.restore(page)
        if self._are_held(claimed, hold, watching):
            for part in claimed:
                self._held[part].whole = True
        else:
            hold.lost = True
            self._give_up(hold)  # some of the rows are of no use

    def _are_held(self, parts: Iterable[str], hold: Hold, watching: Watching) -> bool:
        """Whether these parts are still claimed for `hold`, and read by the rules in force."""
        held = [self._held.get(part) for part in parts]
        return watching is self.watching and all(one is not None and one.hold is hold for one in held)

    async def _claim(self, stream: str, hold: Hold) -> None:
        """Makes the parts of `hold` ours, unless it is released meanwhile."""
        positions = await self._claimed(sorted(hold.parts))
        if self._holds.get(stream) is hold:
            self._held |= {part: _Held(hold, position) for part, position in positions.items()}

    async def _claimed(self, parts: Iterable[str]) -> dict[str, int]:
        """The positions of the parts, now that they are ours."""
        known = await self._ledger.positions(STREAM)
        moves = [Position(STREAM, part, known.get(part, ""), str(int(known.get(part, 0)) + 1)) for part in parts]
        await self._ledger.commit(Entry({}, moves), self._book, self._now())
        return {move.part: int(move.after) for move in moves}

    def release(self, stream: str) -> None:
        """See exporter.usage.delivery.Partitioned. Also while a commit is under way."""
        if hold := self._holds.pop(stream, None):
            self._give_up(hold)

    def _give_up(self, hold: Hold) -> None:
        for part in [part for part, held in self._held.items() if held.hold is hold]:
            self._drop(part)

    def lose(self, fenced: Fenced) -> None:
        """A position was not what the last commit believed. If it is that of keys, they are another's now."""
        if fenced.stream == STREAM and fenced.part in self._moving and fenced.part in self._held:
            self._held[fenced.part].hold.lost = True
            self._drop(fenced.part)

    def _drop(self, part: str) -> None:
        del self._held[part]
        self._turns.pop(part, None)
        self.watching.drop(part)

    # --- what is decided

    def turn(self) -> None:
        """Every part is to be looked at, beginning with the next commit."""
        self._turns |= dict.fromkeys(self._held)

    def again(self) -> None:
        """The parts that the last look took are to be looked at once more, before the others."""
        self._turns = {**{part: None for part in self._looked if part in self._held}, **self._turns}

    @property
    def is_behind(self) -> bool:
        """Whether there is something to look at without waiting."""
        return bool(self._turns) or (not self._ledger.shared and self.watching.is_behind(OWN))

    def look(self, sightings: Mapping[str, Iterable[Seen]]) -> Entry:
        """What these events, by part, and the time that has passed have decided, and what has to be stored with it.
        Raises Fenced for events of a part that is not held, or not yet."""
        self._moving = ()
        if not self.watching.settings:
            return Entry({})
        for part in sightings:
            if part != OWN and not (part in self._held and self._held[part].whole):
                raise Fenced(STREAM, part)
        parts = self._due(sightings)
        deltas: dict[Any, Any] = self.watching.look(sightings, parts, self._now())
        self._turns |= {part: None for part in parts if part != OWN and self.watching.is_behind(part)}
        memory = self.watching.changes()
        self._moving = sorted({row.part for row in memory if row.part != OWN})
        return Entry(deltas, [self._move(part) for part in self._moving], memory=memory)

    def _due(self, sightings: Iterable[str]) -> dict[str, float]:
        """The parts to look at now, with how far each was read: those with events, and some of the others."""
        others = self._looked = list(islice(self._turns, PARTS_AT_ONCE))
        for part in others:
            del self._turns[part]
        found = {part: self._held[part].hold.until.get(part, 0.0) for part in {*sightings, *others} if part != OWN}
        return found if self._ledger.shared else {OWN: self._now(), **found}

    def _move(self, part: str) -> Position:
        at = self._held[part].position
        return Position(STREAM, part, str(at), str(at + 1))

    def rehearse(self, sightings: Mapping[str, Iterable[Seen]]) -> None:
        """Looks at these events, and no other part, without any effect. Raises what `look` raises."""
        turns, self._turns = self._turns, {}
        try:
            self.look(sightings)
        finally:
            self.undo()
            self._turns = turns

    def committed(self) -> None:
        """What `look` told is stored."""
        for part in self._moving:
            if part in self._held:
                self._held[part].position += 1
        self.watching.committed()

    def undo(self) -> None:
        """It could not be stored, or nobody knows."""
        self.watching.undo()
