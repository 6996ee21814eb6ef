"""When a target that fails is left alone for a while: a circuit breaker. Pure."""

from dataclasses import dataclass
from typing import Literal

FAILURES = 5
"""So many failures in a row open the circuit."""
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 300.0

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class Circuit:
    """`failures` in a row, and until when nothing is sent, in seconds of a steady clock; None while closed."""

    failures: int = 0
    open_until: float | None = None

    def state(self, at: float) -> State:
        """`closed`: everything is sent. `open`: nothing is. `half_open`: one message is sent, to see what comes."""
        if self.open_until is None:
            return "closed"
        return "open" if at < self.open_until else "half_open"

    def wait(self, at: float) -> float:
        """For how many seconds nothing is sent."""
        return max(0.0, self.open_until - at) if self.open_until is not None else 0.0

    def failed(self, at: float) -> "Circuit":
        """After a failure that may pass. Each one past FAILURES - 1 doubles the pause."""
        failures = self.failures + 1
        if failures < FAILURES:
            return Circuit(failures)
        pause = FIRST_PAUSE_SECONDS * 2 ** min(failures - FAILURES, 10)
        return Circuit(failures, at + min(pause, LONGEST_PAUSE_SECONDS))

    def answered(self) -> "Circuit":
        """After the sink took a message, or refused one: either way it is there."""
        return CLOSED


CLOSED = Circuit()
