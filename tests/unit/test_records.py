"""How our own records are told: the likeliest change, how often it happened, what else fires."""

import pytest

from receiver.alerts import AlertEvent
from receiver.changes.change import ToldChange
from receiver.enrichers.absence import Absent
from receiver.enrichers.changes import likeliest
from receiver.enrichers.history import ordinal, told
from receiver.enrichers.records import read
from receiver.enrichers.related import nearest_first, words
from receiver.enrichers.surroundings import MOST_SERVICES, agree, own_services
from receiver.enrichers.vendor_status import address
from receiver.incidents import Incident
from receiver.store.past import Earlier, Nearby
from toolkit.storage import StorageUnavailable

START = 1000.0


def change(service: str, at: float) -> ToldChange:
    return ToldChange("plain", f"{service} {at}", START + at, "deploy", "1", service)


LIKELY: list[tuple[str, ToldChange, ToldChange]] = [
    ("the closer of two before the start", change("a", -5), change("a", -50)),
    ("before the start, though what came after is closer", change("a", -50), change("a", 5)),
    ("the cause's own service, though another's is closer", change("a", -50), change("b", -5)),
    ("... also when it was told after the start", change("a", 50), change("b", -5)),
    ("a service with alerts before one that it needs", change("b", -50), change("below", -5)),
    ("what it needs before what may concern any", change("below", -50), change("", -5)),
]


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in LIKELY], ids=[row[0] for row in LIKELY])
def test_the_likeliest_change_comes_first(first: ToldChange, second: ToldChange) -> None:
    assert likeliest([second, first], START, "a", {"a", "b"}) == [first, second]


PAST: list[tuple[str, int, Earlier, str]] = [
    ("nobody is on record", 4, Earlier(3, 100, 2380), "4th time in 30 days; the last, 1h ago, took 38m"),
    ("somebody had it", 2, Earlier(3, 100, 2380, "bo"), "2nd time in 30 days; the last, 1h ago, took 38m, in the hands of bo"),
    ("somebody ended it", 3, Earlier(3, 100, 2380, "bo", "ana"), "3rd time in 30 days; the last, 1h ago, took 38m, ended by ana"),
    ("... and left a note", 3, Earlier(3, 100, 2380, "bo", "ana", "rolled back 1.42"), "3rd time in 30 days; the last, 1h ago, took 38m, ended by ana: rolled back 1.42"),
    ("it goes on", 2, Earlier(3, 100, None), "2nd time in 30 days; incident 3 still goes on"),
    ("... and somebody has it", 2, Earlier(3, 100, None, "bo"), "2nd time in 30 days; incident 3 still goes on, with bo"),
    ("... and a note", 2, Earlier(3, 100, None, "bo", "ana", "waiting for the vendor"), "2nd time in 30 days; incident 3 still goes on, with ana: waiting for the vendor"),
]  # fmt: skip


@pytest.mark.parametrize(("times", "last", "line"), [row[1:] for row in PAST], ids=[row[0] for row in PAST])
def test_the_past_is_told_in_a_line(times: int, last: Earlier, line: str) -> None:
    assert told(times, last, 2380 + 3600) == line


def test_ordinals_are_spelled_as_people_do() -> None:
    spelled = [ordinal(number) for number in (1, 2, 3, 4, 10, 11, 12, 13, 21, 22, 101, 111, 112)]
    assert " ".join(spelled) == "1st 2nd 3rd 4th 10th 11th 12th 13th 21st 22nd 101st 111th 112th"


def firing(name: str, service: str, at: float, **labels: str) -> AlertEvent:
    return AlertEvent(name, "firing", at, None, {"alertname": name, "service": service, **labels}, {}, "")


def test_what_fires_nearby_is_told_the_own_service_and_the_worst_first() -> None:
    alerts = [
        firing("OldOther", "db", 1, severity="warning"),
        firing("WorseOther", "db", 2, severity="critical"),
        firing("LateOwn", "a", 4),
        firing("EarlyOwn", "a", 3),
    ]
    found = nearest_first([Nearby(number, one) for number, one in enumerate(alerts)], {"a"})
    assert [one.alert.name for one in found] == ["EarlyOwn", "LateOwn", "WorseOther", "OldOther"]
    assert words(found[2]) == "critical WorseOther of db since 00:00 UTC (incident 1)"


def test_a_storm_is_looked_around_within_bounds_and_at_its_leading_alert() -> None:
    alerts = tuple(firing(f"A{number}", f"s{number}", number) for number in range(1000))
    storm = Incident(1, "storm", "open", "warning", 0, None, 1, alerts, cause="A999")
    services = own_services(storm)
    assert (len(services), "s999" in services) == (MOST_SERVICES, True)


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [("prod", "prod", True), ("prod", "", True), ("", "prod", True), ("prod", "staging", False)],
)
def test_an_environment_that_is_not_named_may_be_any(one: str, other: str, may: bool) -> None:
    assert agree(one, other) is may


@pytest.mark.parametrize(
    ("page", "url"),
    [
        ("https://status.example.com", "https://status.example.com/api/v2/status.json"),
        ("https://status.example.com/", "https://status.example.com/api/v2/status.json"),
        ("https://status.example.com/own/status.json", "https://status.example.com/own/status.json"),
    ],
)
def test_a_status_page_is_asked_where_programs_ask_it(page: str, url: str) -> None:
    assert address(page) == url


async def test_a_database_that_does_not_answer_is_a_named_gap() -> None:
    async def asked() -> None:
        raise StorageUnavailable("locked")

    with pytest.raises(Absent, match="history: storage is unavailable: locked") as gap:
        await read("history", asked())
    assert gap.value.reason == "unreachable"
