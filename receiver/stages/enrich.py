"""Runs the enrichers side by side within a budget; what fails is named, never waited for, never fatal."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from receiver.enrichers.absence import Absent
from receiver.incidents import Incident
from receiver.message import Found
from receiver.metrics import ReceiverMetrics
from toolkit.clock import Now
from toolkit.logs import Logger

BUDGET_SECONDS = 3.0
"""An enrichment that takes longer is left out: the message matters more than its trimmings."""

HURRIED_SECONDS = 0.5
LATE_FOR_SECONDS = 120.0

Enricher = Callable[[Incident], Awaitable[Found | None]]
"""Returns the fields of the message that it found out, None where there is nothing to know, or raises Absent. No two of
them find out the same field."""


class Patience:
    """How long each enricher is waited for. One that has just used up the whole budget gets HURRIED_SECONDS until it
    answers in time again, or for LATE_FOR_SECONDS: whoever hangs holds up one message, not each of them."""

    def __init__(self, steady: Now = time.monotonic) -> None:
        """`steady` is a clock in seconds that nobody sets."""
        self._steady = steady
        self._late_until: dict[str, float] = {}

    def seconds(self, name: str) -> float:
        """The budget of the enricher `name` now."""
        return HURRIED_SECONDS if self._steady() < self._late_until.get(name, 0.0) else BUDGET_SECONDS

    def note(self, name: str, budget: float, in_time: bool) -> None:
        """The enricher `name` came within its `budget`, or did not."""
        if in_time:
            self._late_until.pop(name, None)
        elif budget == BUDGET_SECONDS:
            self._late_until[name] = self._steady() + LATE_FOR_SECONDS


@dataclass(frozen=True)
class Enrichment:
    """What was found out, and what could not be."""

    found: Found = field(default_factory=Found)
    absent: tuple[str, ...] = ()


async def enrich(
    incident: Incident,
    enrichers: Mapping[str, Enricher],
    patience: Patience,
    metrics: ReceiverMetrics,
    log: Logger,
) -> Enrichment:
    """Every enricher's fact about `incident`. Takes at most BUDGET_SECONDS; never raises."""
    outcomes = await asyncio.gather(
        *(_one(name, enricher, incident, patience, log) for name, enricher in enrichers.items())
    )
    found, absent = Found(), list[str]()
    for outcome in outcomes:
        if isinstance(outcome, Absent):
            metrics.enrichment_failures.labels(outcome.enricher, outcome.reason).inc()
            absent.append(str(outcome))
            found.update(outcome.found)
        elif outcome is not None:
            found.update(outcome)
    return Enrichment(found, tuple(absent))


async def _one(
    name: str, enricher: Enricher, incident: Incident, patience: Patience, log: Logger
) -> Found | Absent | None:
    budget = patience.seconds(name)
    try:
        async with asyncio.timeout(budget):
            outcome = await enricher(incident)
    except Absent as absent:
        patience.note(name, budget, in_time=absent.reason != "timeout")
        return absent
    except TimeoutError:
        patience.note(name, budget, in_time=False)
        return Absent(name, "timeout", f"no answer within {budget:g} s")
    except Exception as error:  # an enricher's defect must not hold a message back
        log.exception("enricher failed", enricher=name)
        return Absent(name, "defect", type(error).__name__)
    patience.note(name, budget, in_time=True)
    return outcome
