"""How many more incidents may open before it is a storm. Pure but for its memory of the last openings."""

from collections.abc import Collection, Iterable


class Openings:
    """Which keys opened an incident lately, or would have. A key counts once, however often it is tried.

    Not durable: after a restart a storm is told as up to `limit` incidents again.
    """

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def room(self, keys: Collection[str], limit: int, per: float, now: float) -> int:
        """How many of `keys` may open an incident: `limit` within `per` seconds, together with those before.

        A clock that was set back empties the memory.
        """
        self._at = {key: at for key, at in self._at.items() if 0 <= now - at < per}
        return max(limit - sum(key not in keys for key in self._at), 0)

    def note(self, keys: Iterable[str], limit: int, now: float) -> None:
        """Remembers openings; no more than matter."""
        for key in keys:
            self._at.setdefault(key, now)
        for key in list(self._at)[: max(len(self._at) - limit, 0)]:
            del self._at[key]
