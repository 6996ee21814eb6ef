"""Runs the enrichers side by side within a budget; what fails is named, never waited for, never fatal."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from receiver.enrichers.absence import Absent
from receiver.incidents import Incident
from receiver.message import Found
from receiver.metrics import ReceiverMetrics
from toolkit.logs import Logger

BUDGET_SECONDS = 3.0
"""An enrichment that takes longer is left out: the message matters more than its trimmings."""

Enricher = Callable[[Incident], Awaitable[Found | None]]
"""Returns the fields of the message that it found out, None where there is nothing to know, or raises Absent. No two of
them find out the same field."""


@dataclass(frozen=True)
class Enrichment:
    """What was found out, and what could not be."""

    found: Found = field(default_factory=Found)
    absent: tuple[str, ...] = ()


async def enrich(
    incident: Incident, enrichers: Mapping[str, Enricher], metrics: ReceiverMetrics, log: Logger
) -> Enrichment:
    """Every enricher's fact about `incident`. Takes at most BUDGET_SECONDS; never raises."""
    outcomes = await asyncio.gather(*(_one(name, enricher, incident, log) for name, enricher in enrichers.items()))
    found, absent = Found(), list[str]()
    for outcome in outcomes:
        if isinstance(outcome, Absent):
            metrics.enrichment_failures.labels(outcome.enricher, outcome.reason).inc()
            absent.append(str(outcome))
        elif outcome is not None:
            found.update(outcome)
    return Enrichment(found, tuple(absent))


async def _one(name: str, enricher: Enricher, incident: Incident, log: Logger) -> Found | Absent | None:
    try:
        async with asyncio.timeout(BUDGET_SECONDS):
            return await enricher(incident)
    except Absent as absent:
        return absent
    except TimeoutError:
        return Absent(name, "timeout", f"no answer within {BUDGET_SECONDS:g} s")
    except Exception as error:  # an enricher's defect must not hold a message back
        log.exception("enricher failed", enricher=name)
        return Absent(name, "defect", type(error).__name__)
