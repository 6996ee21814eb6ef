"""Which keys are due: slots of a second, each with its keys, so that nothing is ever searched for. Pure."""

import heapq
import math
from collections.abc import Iterator


class Wheel:
    """Every key stands in at most one slot. A slot is a whole second of Unix time; infinity is none."""

    def __init__(self) -> None:
        # a dict without values keeps a key in half of what a set needs
        self._slots: dict[int, dict[str, None]] = {}
        self._order: list[int] = []

    def move(self, key: str, old: float, new: float) -> None:
        """`key`, which was due at `old`, is due at `new` (Unix time, or infinity)."""
        before, after = _slot(old), _slot(new)
        if before == after and before in self._slots and key in self._slots[before]:
            return
        if before in self._slots:
            self._slots[before].pop(key, None)
        if after is not None:
            self._add(after, key)

    def passed(self, watermark: int) -> Iterator[str]:
        """The keys that are due before `watermark`, which stand in no slot from then on."""
        while self._order and self._order[0] < watermark:
            yield from self._slots.pop(heapq.heappop(self._order))

    def _add(self, slot: int, key: str) -> None:
        if slot not in self._slots:
            self._slots[slot] = {}
            heapq.heappush(self._order, slot)
        self._slots[slot][key] = None


def _slot(at: float) -> int | None:
    return math.floor(at) if at < math.inf else None
