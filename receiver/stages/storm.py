"""How many more incidents may open before it is a storm. Pure but for its memory of the last openings."""

from collections import deque


class Openings:
    """When incidents opened lately. Not durable: after a restart a storm is told as up to `limit` incidents again."""

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def room(self, limit: int, per: float, now: float) -> int:
        """How many more may open: `limit` within `per` seconds. A clock that was set back empties the memory."""
        while self._at and not 0 <= now - self._at[0] < per:
            self._at.popleft()
        return max(limit - len(self._at), 0)

    def note(self, count: int, limit: int, now: float) -> None:
        """Remembers `count` openings, or what would have been one; no more than matter."""
        self._at.extend([now] * min(count, limit))
        while len(self._at) > limit:
            self._at.popleft()
