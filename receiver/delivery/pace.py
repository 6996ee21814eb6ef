"""How fast a target may be sent to: a token bucket. Pure."""

import re
from dataclasses import dataclass

BURST = 5
"""How many messages may go at once after a pause."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"([1-9][0-9]{0,5})/([smh])")


def parse_rate(text: str) -> float:
    """`"30/m"` -> 0.5 messages per second. Raises ValueError with an example when `text` is no rate."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a rate; write it like 1/s, 30/m or 100/h")
    return int(found[1]) / _UNITS[found[2]]


@dataclass(frozen=True)
class Bucket:
    """`tokens` at the moment `at` (seconds of a steady clock), filled with `rate` a second up to `size`."""

    rate: float
    size: float
    tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, at: float) -> "Bucket":
        """A bucket from which BURST messages may be taken at once; more where the rate is higher than that."""
        size = max(BURST, rate)
        return cls(rate, size, size, at)

    def wait(self, at: float) -> float:
        """For how many seconds there is no whole token."""
        return max(0.0, (1.0 - self._filled(at)) / self.rate)

    def taken(self, at: float) -> "Bucket":
        """The bucket after a message."""
        return Bucket(self.rate, self.size, self._filled(at) - 1.0, at)

    def _filled(self, at: float) -> float:
        return min(self.size, self.tokens + max(0.0, at - self.at) * self.rate)
