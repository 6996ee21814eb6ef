"""Runs the enrichers side by side within a budget; what fails is named, never waited for, never fatal."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from receiver.enrichers.absence import Absent
from receiver.enrichers.promql import Measured
from receiver.enrichers.runbook import Runbook
from receiver.incidents import Incident
from receiver.metrics import ReceiverMetrics
from toolkit.logs import Logger

BUDGET_SECONDS = 3.0
"""An enrichment that takes longer is left out: the message matters more than its trimmings."""

Fact = Runbook | Measured
Enricher = Callable[[Incident], Awaitable[Fact | None]]
"""Returns a fact, None where there is nothing to know, or raises Absent."""


@dataclass(frozen=True)
class Enrichment:
    """What was found out, and what could not be."""

    runbook: Runbook | None = None
    measured: Measured | None = None
    absent: tuple[str, ...] = ()


async def enrich(
    incident: Incident, enrichers: Mapping[str, Enricher], metrics: ReceiverMetrics, log: Logger
) -> Enrichment:
    """Every enricher's fact about `incident`. Takes at most BUDGET_SECONDS; never raises."""
    found = await asyncio.gather(*(_one(name, enricher, incident, log) for name, enricher in enrichers.items()))
    absent = [outcome for outcome in found if isinstance(outcome, Absent)]
    for outcome in absent:
        metrics.enrichment_failures.labels(outcome.enricher, outcome.reason).inc()
    return Enrichment(
        runbook=next((fact for fact in found if isinstance(fact, Runbook)), None),
        measured=next((fact for fact in found if isinstance(fact, Measured)), None),
        absent=tuple(str(outcome) for outcome in absent),
    )


async def _one(name: str, enricher: Enricher, incident: Incident, log: Logger) -> Fact | Absent | None:
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
