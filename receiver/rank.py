"""How much an incident matters: impact x urgency x reliability of the signal, with the reason in words. Pure."""

from dataclasses import dataclass
from typing import Literal

from receiver.incidents import Incident
from receiver.services import ServiceGraph

Priority = Literal["P1", "P2", "P3", "P4"]

IMPACT = {1: 1.0, 2: 0.7, 3: 0.4, 4: 0.2}
"""By the tier of the service; of several the highest counts."""
DEFAULT_TIER = 2
URGENCY = {"critical": 1.0, "warning": 0.6, "info": 0.25}
RELIABILITY = {"code": 1.0, "words": 0.95, "history": 0.7, "status": 0.5}
"""By the certainty that an alert's label or annotation `certainty` names, as the exporter does."""
DEFAULT_RELIABILITY = 0.9
_LEAST: tuple[tuple[Priority, float], ...] = (("P1", 0.6), ("P2", 0.35), ("P3", 0.15))


@dataclass(frozen=True)
class Rank:
    """`score` is between 0 and 1; `reason` tells the three factors, `words` what is known of them."""

    priority: Priority
    score: float
    reason: str
    words: str


def rank(incident: Incident, graph: ServiceGraph) -> Rank:
    """The rank of `incident`, by its leading alert, its severity and the services it is about."""
    services = {alert.service for alert in incident.firing or incident.alerts if alert.service}
    tiers = {graph.tiers[service]: service for service in sorted(services) if service in graph.tiers}
    tier = min(tiers, default=DEFAULT_TIER)
    impact = IMPACT.get(tier, IMPACT[DEFAULT_TIER])
    urgency = URGENCY[incident.severity]
    lead = incident.leading
    certainty = lead.labels.get("certainty") or lead.annotations.get("certainty", "")
    reliability = RELIABILITY.get(certainty, DEFAULT_RELIABILITY)
    score = round(impact * urgency * reliability, 3)
    where = f"{tiers[tier]} is tier {tier}" if tiers else "no tier is given"
    known = f"certainty {certainty}" if certainty in RELIABILITY else "a rule's word"
    reason = f"{where} ({impact:g}) x {incident.severity} ({urgency:g}) x {known} ({reliability:g})"
    words = [incident.severity, *([where] if tiers else []), *([known] if certainty in RELIABILITY else [])]
    return Rank(next((name for name, least in _LEAST if score >= least), "P4"), score, reason, ", ".join(words))
