"""Whether a target may be sent to now: its rate, its circuit, and the pause that the sink asked for. Pure."""

from dataclasses import dataclass, replace

from receiver.delivery.circuit import CLOSED, Circuit
from receiver.delivery.outbox import Receipt
from receiver.delivery.pace import Bucket


@dataclass(frozen=True)
class Gate:
    """What holds for one target. Times are seconds of a steady clock."""

    bucket: Bucket
    circuit: Circuit = CLOSED
    paused_until: float = 0.0

    def wait(self, at: float) -> float:
        """For how many seconds nothing may be sent."""
        return max(self.bucket.wait(at), self.circuit.wait(at), self.paused_until - at, 0.0)

    def is_failing(self) -> bool:
        """Whether the circuit is open, or open but for one message."""
        return self.circuit.open_until is not None

    def taken(self, at: float) -> "Gate":
        """When an attempt begins."""
        return replace(self, bucket=self.bucket.taken(at))

    def after(self, receipt: Receipt, at: float) -> "Gate":
        """When it has ended. A `Retry-After` is meant for the whole target."""
        answered = receipt.result == "sent" or receipt.refused
        circuit = self.circuit.answered() if answered else self.circuit.failed(at)
        return replace(self, circuit=circuit, paused_until=at + (receipt.retry_after or 0.0))
