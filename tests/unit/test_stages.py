"""The pure stages: correlate, plan, the value's wording."""

import pytest

from receiver.alerts import AlertEvent, StoredEvent
from receiver.enrichers.wording import wording
from receiver.incidents import advance
from receiver.services import ServiceGraph
from receiver.stages.correlate import Known, Rules, correlate, key_of, runs
from receiver.stages.enrich import Enrichment
from receiver.stages.plan import began, compose


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
    assert key_of(stored(1, a="").event, ["a"]) != key_of(stored(1).event, ["a"])


def test_alerts_that_share_only_their_summary_are_not_merged() -> None:
    one, other = (stored(1, alertname="A", provider=name).event for name in "xy")
    assert key_of(one, ["alertname", "provider"]) != key_of(other, ["alertname", "provider"])


def test_a_firing_and_its_resolve_are_told_apart_though_they_came_together() -> None:
    found = runs([stored(1), stored(2), stored(3, "resolved"), stored(4)])
    assert [[event.id for event in run] for run in found] == [[1, 2], [3], [4]]


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
