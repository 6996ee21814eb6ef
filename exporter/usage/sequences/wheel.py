"""Which keys are due: slots of time, each with its keys, so that nothing is ever searched for. Pure."""

import heapq
import math
from collections.abc import Iterator

FAR_SECONDS = 600
"""What is due further ahead stands in slots of this length, at whose beginning it is looked at: a slot for each second
of a month would cost more than the keys in it."""


class Wheel:
    """Every key stands in at most one slot. A slot is a second (Unix time) at which its keys are to be looked at, which
    is never later than they are due; infinity has none."""

    def __init__(self) -> None:
        self._reached = 0
        # a dict without values keeps a key in half of what a set needs
        self._slots: dict[int, dict[str, None]] = {}
        self._order: list[int] = []

    def add(self, key: str, at: float) -> None:
        """`key`, which stands in no slot, is due at `at` (Unix time, or infinity)."""
        if at < math.inf:
            second = math.floor(at)
            slot = second if second - self._reached < FAR_SECONDS else _far(second)
            if slot not in self._slots:
                self._slots[slot] = {}
                heapq.heappush(self._order, slot)
            self._slots[slot][key] = None

    def remove(self, key: str, at: float) -> None:
        """`key`, which was due at `at` (Unix time, or infinity), stands in no slot any more."""
        if at < math.inf:
            second = math.floor(at)
            # in a far slot, if `at` was far ahead when it was added
            for slot in (second, _far(second)):
                if slot in self._slots and key in self._slots[slot]:
                    del self._slots[slot][key]
                    return

    def passed(self, watermark: int) -> Iterator[str]:
        """The keys of the slots before `watermark`; each stands in none from the time it is yielded."""
        self._reached = watermark
        while self._order and self._order[0] < watermark:
            slot = self._slots[self._order[0]]
            while slot:
                yield slot.popitem()[0]
            del self._slots[heapq.heappop(self._order)]

    @property
    def is_behind(self) -> bool:
        """Whether there are keys that `passed` was not asked for any more."""
        return bool(self._order) and self._order[0] < self._reached


def _far(second: int) -> int:
    return second - second % FAR_SECONDS
