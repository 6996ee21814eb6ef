"""How much an incident matters, as a table."""

import pytest

from receiver.alerts import AlertEvent
from receiver.incidents import advance
from receiver.rank import rank
from receiver.services import ServiceGraph

GRAPH = ServiceGraph({}, {"shop": 1, "wiki": 4})
CASES = [
    ("the shop is down, the vendor says so", "shop", "critical", "code", "P1", "shop is tier 1 (1) x critical (1) x certainty code (1)"),
    ("the shop, only by its past", "shop", "critical", "history", "P1", "shop is tier 1 (1) x critical (1) x certainty history (0.7)"),
    ("a service without a tier", "mail", "critical", "", "P1", "no tier is given (0.7) x critical (1) x a rule's word (0.9)"),
    ("... and a warning", "mail", "warning", "", "P2", "no tier is given (0.7) x warning (0.6) x a rule's word (0.9)"),
    ("the shop, a warning by the status alone", "shop", "warning", "status", "P3", "shop is tier 1 (1) x warning (0.6) x certainty status (0.5)"),
    ("the wiki is down", "wiki", "critical", "", "P3", "wiki is tier 4 (0.2) x critical (1) x a rule's word (0.9)"),
    ("the wiki, a hint", "wiki", "info", "", "P4", "wiki is tier 4 (0.2) x info (0.25) x a rule's word (0.9)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "severity", "certainty", "priority", "reason"),
    [row[1:] for row in CASES],
    ids=[row[0] for row in CASES],
)
def test_impact_urgency_and_reliability_make_the_priority(
    service: str, severity: str, certainty: str, priority: str, reason: str
) -> None:
    labels = {"alertname": "A", "service": service, "severity": severity}
    event = AlertEvent("f", "firing", 1, None, labels, {"certainty": certainty}, "")
    incident = advance(None, {}, "key", [event], now=1).incident
    assert incident is not None
    found = rank(incident, GRAPH)
    assert (found.priority, found.reason) == (priority, reason)
    assert 0 < found.score <= 1


def test_a_message_says_what_is_known_and_no_figures() -> None:
    labels = {"alertname": "A", "service": "shop", "severity": "warning", "certainty": "history"}
    incident = advance(None, {}, "key", [AlertEvent("f", "firing", 1, None, labels, {}, "")], now=1).incident
    assert incident is not None
    assert rank(incident, GRAPH).words == "warning, shop is tier 1, certainty history"
    assert rank(incident, ServiceGraph()).words == "warning, certainty history"
