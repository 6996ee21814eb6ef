"""The pure stages: correlate, route, the value's wording."""

import pytest

from receiver.alerts import AlertEvent, StoredEvent
from receiver.config import Route
from receiver.enrichers.wording import wording
from receiver.incidents import advance
from receiver.services import ServiceGraph
from receiver.stages.correlate import Known, Rules, correlate, key_of, runs
from receiver.stages.enrich import Enrichment
from receiver.stages.plan import began, compose
from receiver.stages.route import route


def stored(number: int, status: str = "firing", **labels: str) -> StoredEvent:
    return StoredEvent(number, 0, AlertEvent(str(number), status, 0, None, labels, {}, ""))  # type: ignore[arg-type]


def test_alerts_that_agree_in_the_correlated_labels_are_one_incident() -> None:
    found = correlate(
        [stored(1, alertname="A", pod="1"), stored(2, alertname="A", pod="2"), stored(3, alertname="B")],
        Known(),
        Rules(["alertname", "service"], 600),
    )
    assert [[event.id for event in group.events] for group in found] == [[1, 2], [3]]


def test_a_label_that_is_empty_is_not_one_that_is_missing() -> None:
    assert key_of({"a": ""}, ["a"]) != key_of({}, ["a"])


def test_alerts_that_share_only_their_summary_are_not_merged() -> None:
    assert key_of({"alertname": "A", "provider": "x"}, ["alertname", "provider"]) != key_of(
        {"alertname": "A", "provider": "y"}, ["alertname", "provider"]
    )


def test_a_firing_and_its_resolve_are_told_apart_though_they_came_together() -> None:
    found = runs([stored(1), stored(2), stored(3, "resolved"), stored(4)])
    assert [[event.id for event in run] for run in found] == [[1, 2], [3], [4]]


def routes(*rows: tuple[dict[str, str], list[str], bool]) -> list[Route]:
    return [
        Route.model_validate({"match": match, "targets": targets, "continue": go_on}) for match, targets, go_on in rows
    ]


CRITICAL, ALL, TEAM = {"severity": "critical"}, dict[str, str](), {"owner": "finance"}
ROUTES = [
    ("without routes everybody is told", [], ["a", "b"]),
    ("the first that matches", [(TEAM, ["a"], False), (ALL, ["b"], False)], ["a"]),
    ("the catch-all", [({"owner": "else"}, ["a"], False), (ALL, ["b"], False)], ["b"]),
    ("and on, when it says continue", [(TEAM, ["a"], True), (ALL, ["b"], False)], ["a", "b"]),
    ("a target is told once", [(TEAM, ["a"], True), (CRITICAL, ["a", "b"], True), (ALL, ["b"], False)], ["a", "b"]),
    ("every label has to agree", [({**TEAM, "severity": "info"}, ["a"], False), (ALL, ["b"], False)], ["b"]),
]


@pytest.mark.parametrize(("rows", "targets"), [row[1:] for row in ROUTES], ids=[row[0] for row in ROUTES])
def test_routes_choose_targets_and_say_why(
    rows: list[tuple[dict[str, str], list[str], bool]], targets: list[str]
) -> None:
    choices = route({**CRITICAL, **TEAM}, routes(*rows), ["a", "b"])
    assert [choice.target for choice in choices] == targets
    assert all(choice.reason for choice in choices)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.0, "% of calls", "100 % of calls"),
        (0.98765, "% of calls", "98.8 % of calls"),
        (0.0, "events/min", "0 events/min"),
        (12.0, "probes in a row", "12 probes in a row"),
        (1234567.0, "events", "1,234,567 events"),
        (0.00012, "", "0.00012"),
        (999.7, "", "1,000"),
        (float("nan"), "events", "nan events"),
        (float("inf"), "events", "inf events"),
    ],
)
def test_a_value_is_told_with_what_it_is(value: float, unit: str, text: str) -> None:
    assert wording(value, unit) == text


@pytest.mark.parametrize(
    ("annotation", "since"),
    [("900.5", 900.5), ("", 1000), ("soon", 1000), ("nan", 1000), ("1e99", 1000), ("-5", 1000), ("1000.1", 1000)],
)
def test_the_trouble_began_when_the_rule_says_or_else_when_the_alert_fired(annotation: str, since: float) -> None:
    event = AlertEvent("f", "firing", 1000, None, {}, {"began": annotation}, "")
    incident = advance(None, {}, "key", [event], now=1001).incident
    assert incident is not None
    assert began(incident) == since


def test_a_message_says_what_stops_and_who_pays_as_the_rule_words_it() -> None:
    annotations = {"impact": "sign-up; 120 EUR an hour", "pays": "finance, at https://x/"}
    incident = advance(None, {}, "key", [AlertEvent("f", "firing", 1000, None, {}, annotations, "")], now=1001).incident
    assert incident is not None
    message = compose(incident, "opened", Enrichment(), "http://receiver", ServiceGraph())
    assert (message.impact, message.pays) == ("sign-up; 120 EUR an hour", "finance, at https://x/")
