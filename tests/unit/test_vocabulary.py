"""A team's own words mean what the operator says, and every alert has a class."""

from collections.abc import Mapping

import pytest

from receiver.alerts import AlertEvent
from receiver.vocabulary import Vocabulary
from toolkit.matchers import Matcher, all_match, parse_matcher

THEIRS = Vocabulary(
    labels={"service": ("app", "component"), "owner": ("squad",), "severity": ("priority",)},
    annotations={"runbook_url": ("runbook",), "summary": ("message", "title")},
    severities={"page": "critical", "P1": "critical", "ticket": "warning"},
    classes={
        "money": ((parse_matcher('alertname=~"Pay.*"'), parse_matcher("env=prod")), (parse_matcher("money=yes"),))
    },
)


def alert(labels: Mapping[str, str], annotations: Mapping[str, str] = {}) -> AlertEvent:
    return AlertEvent("f", "firing", 0, None, labels, annotations, "")


LABELS = [
    ("their name for the service", {"app": "shop"}, {"app": "shop", "service": "shop"}),
    ("the first that the alert has", {"component": "cart", "app": "shop"}, {"component": "cart", "app": "shop", "service": "shop"}),
    ("one that is empty is none", {"component": "cart", "app": ""}, {"component": "cart", "app": "", "service": "cart"}),
    ("what it has already stays", {"app": "shop", "service": "api"}, {"app": "shop", "service": "api"}),
    ("their word for critical", {"severity": "page"}, {"severity": "critical"}),
    ("their label and their word for critical", {"priority": "P1"}, {"priority": "P1", "severity": "critical"}),
    ("a word that nobody explained", {"severity": "meh"}, {"severity": "meh"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in LABELS], ids=[row[0] for row in LABELS])
def test_an_alert_is_translated(given: dict[str, str], expected: dict[str, str]) -> None:
    found = THEIRS.translated(alert(given))
    assert found.labels == expected
    assert found.own_labels == given
    assert THEIRS.translated(found) == found
    assert (found.given is None) == (given == expected), "nothing is kept twice for nothing"


def test_annotations_are_translated_too() -> None:
    found = THEIRS.translated(alert({}, {"title": "t", "message": "m", "runbook": "http://r"}))
    assert (found.annotations["summary"], found.annotations["runbook_url"]) == ("m", "http://r")


CLASSES = [
    ("the operator's come first", {"alertname": "PaymentsFailing", "env": "prod"}, "money"),
    ("all matchers of one way have to be met", {"alertname": "PaymentsFailing", "env": "test"}, "other"),
    ("another way to the same class", {"alertname": "X", "money": "yes"}, "money"),
    ("what the alert says itself", {"alertname": "PaymentsFailing", "env": "prod", "class": "own"}, "own"),
    ("an unpaid bill", {"alertname": "ThirdPartyPaymentRequired"}, "vendor_billing"),
    ("an outage of a vendor", {"alertname": "ThirdPartyNoSuccess"}, "vendor_outage"),
    ("a dead key", {"alertname": "ThirdPartyCredentialsInvalid"}, "security"),
    ("usage", {"alertname": "UsageDropped"}, "usage"),
    ("an SLO by its label", {"alertname": "CheckoutTooSlow", "slo": "checkout"}, "slo"),
    ("an SLO by its name", {"alertname": "ErrorBudgetBurn"}, "slo"),
    ("Tocsin itself", {"alertname": "TocsinReceiverStuck"}, "self"),
    ("a host", {"alertname": "HostDown"}, "host"),
    ("anything else", {"alertname": "Unheard"}, "other"),
    ("nothing at all", {}, "other"),
]


@pytest.mark.parametrize(("labels", "kind"), [row[1:] for row in CLASSES], ids=[row[0] for row in CLASSES])
def test_every_alert_has_a_class(labels: dict[str, str], kind: str) -> None:
    assert THEIRS.translated(alert(labels)).kind == kind


MATCHERS = [
    ('a="b"', {"a": "b"}, True),
    ("a=b", {"a": "b"}, True),
    (' a = "b" ', {"a": "b"}, True),
    ("a=b", {"a": "bc"}, False),
    ("a!=b", {}, True),
    ('a=""', {}, True),
    ('a!=""', {}, False),
    ('a=~"b|c"', {"a": "c"}, True),
    ('a=~"b"', {"a": "bc"}, False),
    ('a!~"b.*"', {"a": "bc"}, False),
    ('a!~"b.*"', {}, True),
    (r'a="x\"y\\z\nw"', {"a": 'x"y\\z\nw'}, True),
    (r'a=~"\d+"', {"a": "12"}, True),
]


@pytest.mark.parametrize(("text", "labels", "matches"), MATCHERS, ids=[f"{row[0]} on {row[1]}" for row in MATCHERS])
def test_a_matcher_is_read_as_alertmanager_reads_it(text: str, labels: dict[str, str], matches: bool) -> None:
    assert all_match([parse_matcher(text)], labels) is matches


@pytest.mark.parametrize("text", ["", "a", "=b", 'a="b', 'a=b"', "a=~(", "1a=b", "a=b c", 5, None])
def test_what_is_no_matcher_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"is no matcher|regular expression"):
        parse_matcher(text)


def test_a_matcher_is_shown_as_it_is_written() -> None:
    assert str(Matcher("a", "=~", "b|c")) == "a=~b|c"
