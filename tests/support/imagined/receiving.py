"""What the receiver shows of its outbox and its channels."""

from collections.abc import Iterator, Mapping

from tests.support.imagined.making import LONG, Course, counter, during, histogram, level, noise
from tests.support.imagined.places import AWAY, DURATIONS, FIRST_RECEIVER, about
from tests.support.prometheuses import Past

TARGETS = ("slack-payments", "slack-ops", "pagerduty", "mail-finance")
DECISIONS = {"opened": 0.0012, "joined": 0.003, "resolved": 0.0011, "repeat": 0.004}
"""What events did to incidents, a second."""


def receiving(epoch: float) -> Iterator[Past]:
    """All of it; `epoch` is now, in seconds since the epoch."""
    yield from _outbox(epoch)
    yield from _incidents()
    for target in TARGETS:
        yield from _channel(target)


def _outbox(epoch: float) -> Iterator[Past]:
    """Few messages wait, but for those to the channel that was away."""
    waiting: Mapping[str, Course | float] = {
        "planned": lambda ago: round(1 + noise("p", ago)),
        "sending": lambda ago: float(noise("s", ago) > 0.4),
        "failed": lambda ago: round(during(*AWAY, ago, 14 * (AWAY[0] - ago) / (AWAY[0] - AWAY[1]))),
        "unknown": 0.0,
        "dead": 0.0,
        "sent": 310.0,
    }
    for state, many in waiting.items():
        yield level("tocsin_receiver_outbox", many, {**FIRST_RECEIVER, "state": state})
    first = epoch - AWAY[0]
    oldest = "tocsin_receiver_outbox_oldest_timestamp_seconds"
    yield level(oldest, lambda ago: during(*AWAY, ago, first), FIRST_RECEIVER)
    taken = "tocsin_receiver_receipt_to_delivery_seconds"
    yield from histogram(taken, 0.02, lambda ago: 0.8 + during(*AWAY, ago, 3.0), DURATIONS, FIRST_RECEIVER)


def _incidents() -> Iterator[Past]:
    """Incidents, escalations, and facts that messages did without."""
    for state, incidents in (("open", 1), ("acknowledged", 2), ("reopened", 0), ("resolved", 41)):
        yield level("tocsin_receiver_incidents", incidents, {**FIRST_RECEIVER, "state": state})
    for reason, rate in DECISIONS.items():
        labels = {**FIRST_RECEIVER, "reason": reason}
        yield counter("tocsin_receiver_incident_decisions_total", about(rate, reason, 0.6), labels)
    for reason, rate in (("step_due", 0.0009), ("acknowledged", 0.0007), ("exhausted", 0.0)):
        labels = {**FIRST_RECEIVER, "reason": reason}
        yield counter("tocsin_receiver_escalations_total", about(rate, reason, 0.9), labels)
    missing = {**FIRST_RECEIVER, "enricher": "logs", "reason": "timeout"}
    yield counter("tocsin_receiver_enrichment_failures_total", 0.0004, missing)


def _channel(target: str) -> Iterator[Past]:
    """A target's attempts; one of them was away for a while."""
    own = {**FIRST_RECEIVER, "target": target}
    failing = _while_away(target)

    def sent(ago: float) -> float:
        return (0.004 + 0.003 * noise(target, ago)) * (1 - failing(ago))

    yield counter("tocsin_receiver_deliveries_total", sent, {**own, "result": "sent"}, since=LONG)
    for result, rate in (("failed", 0.03), ("unknown", 0.004), ("dead", 0.0)):
        vain = _times(rate, failing)
        yield counter("tocsin_receiver_deliveries_total", vain, {**own, "result": result}, since=LONG)
    yield counter("tocsin_receiver_fallbacks_total", _times(0.004, failing), own, since=LONG)
    yield level("tocsin_receiver_target_circuit_open", failing, own)
    took = "tocsin_receiver_delivery_duration_seconds"
    yield from histogram(took, 0.01, lambda _: 0.1 + len(target) / 60, DURATIONS, own)


def _while_away(target: str) -> Course:
    return (lambda ago: during(*AWAY, ago)) if target == "slack-ops" else (lambda _: 0.0)


def _times(rate: float, course: Course) -> Course:
    return lambda ago: rate * course(ago)
