"""Deliveries that wait for the group commit: who can be in one commit, who leaves it, and what each is told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from exporter.ledger.usage import Keyed, Repeated
from exporter.usage.delivery import Delivery, Fenced, Position, Taken
from exporter.usage.engine import Engine
from exporter.usage.keeping import STREAM
from exporter.usage.tally import Tally

AT_ONCE = 64
"""So many small deliveries are counted in a row, before others have their turn."""


class Broken(Exception):
    """A defect keeps a delivery from being counted or stored, and nothing but this delivery."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(type(error).__name__)


@dataclass(eq=False)
class Waiting:
    """One of them; who delivered it waits for `done`, and hears Broken there when it has to be repaired."""

    delivery: Delivery
    engine: Engine
    """Whose tally it is: what was counted before a reload goes by the rules of then."""
    tally: Tally
    positions: Sequence[Position]
    key: str
    is_counted: bool = False
    """Whether the tally holds what was delivered."""
    failures: int = 0
    """How often a defect kept it from being counted, or it alone from being stored."""
    done: asyncio.Future[Taken] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def named(self) -> tuple[str, str]:
        """Its idempotency key, among all."""
        return self.tally.source, self.key

    @property
    def keyed(self) -> Keyed:
        """Its key with the answer."""
        return Keyed(*self.named, msgspec.json.encode(self.tally.taken))

    def count(self) -> None:
        """Counts what was delivered. Raises what is wrong with that: a defect."""
        self.is_counted = True
        self.engine.count(self.tally, self.delivery.body, self.delivery.form, self.delivery.log)

    def answer(self, taken: Taken) -> None:
        """It is counted, now or before."""
        if not self.done.done():
            self.done.set_result(taken)


async def count_in_pieces(waiting: Waiting) -> None:
    """Counts a large body, and lets others have their turn meanwhile."""
    engine, tally, delivery = waiting.engine, waiting.tally, waiting.delivery
    waiting.is_counted = True
    for piece in engine.pieces(delivery.body, delivery.form, delivery.log):
        engine.count(tally, piece, delivery.form, delivery.log)
        tally.before.append(piece)
        await asyncio.sleep(0)


async def all_counted(group: Sequence[Waiting]) -> list[Waiting]:
    """These, now that all are counted, but for those that a defect keeps from it."""
    found = list[Waiting]()
    for place, one in enumerate(group, start=1):
        try:
            if not one.is_counted:
                one.count()
        except Exception as error:  # noqa: BLE001 - a defect: see decision 0028
            fail([one], Broken(error))
        else:
            found.append(one)
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


def once_each(group: Sequence[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Those that can be in one commit, and those whose key or position is another's in it: they come after it."""
    seen = set[object]()
    first, later = list[Waiting](), list[Waiting]()
    for one in group:
        if not one.key and not one.positions:
            first.append(one)
            continue
        marks: list[object] = [one.named] if one.key else []
        marks += [(position.stream, position.part) for position in one.positions]
        (later if seen.intersection(marks) else first).append(one)
        seen.update(marks)
    return first, later


def answered(group: Sequence[Waiting], repeated: Repeated) -> list[Waiting]:
    """Answers those that were counted before; returns the others."""
    for one in group:
        if one.named in repeated.answers:
            one.answer(msgspec.json.decode(repeated.answers[one.named], type=Taken))
    return [one for one in group if one.named not in repeated.answers]


def without(group: Sequence[Waiting], fenced: Fenced) -> list[Waiting]:
    """Tells those whose position has moved on, or whose keys are another's; returns the others."""

    def is_behind(one: Waiting) -> bool:
        if fenced.stream == STREAM:
            return one.tally.part == fenced.part
        return any((at.stream, at.part) == (fenced.stream, fenced.part) for at in one.positions)

    fail([one for one in group if is_behind(one)], fenced)
    return [one for one in group if not is_behind(one)]


def fail(group: Sequence[Waiting], error: Exception) -> None:
    """Tells them all that they were not counted."""
    for one in group:
        if not one.done.done():
            one.done.set_exception(error)
