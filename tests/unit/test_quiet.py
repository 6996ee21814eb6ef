"""When somebody is left alone, and what is kept for later, in tables and whatever the hours are."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.delivery.digest import digest
from receiver.message import Message
from receiver.notifiers.channels.text import body
from receiver.notifiers.words import words
from receiver.oncall.hold import Hold, Holds, next_time
from receiver.oncall.quiet import LONGEST_SECONDS, quiet_until
from receiver.oncall.settings import Digest, Person, Rest, Team
from tests.unit.test_rota import FIRST, YEARS, ZONES, at, windows

NIGHT = {"from": "22:00", "to": "07:00"}
LISBON: dict[str, Any] = {"timezone": "Europe/Lisbon", "quiet_hours": [NIGHT]}
QUIET: list[tuple[str, dict[str, Any], str, str, str | None]] = [
    # name, whose, severity, now, until
    ("by day they are told", LISBON, "warning", "2026-01-07T21:59:59Z", None),
    ("in the evening it waits for the morning", LISBON, "warning", "2026-01-07T22:00:00Z", "2026-01-08T07:00:00Z"),
    ("what is critical never waits", LISBON, "critical", "2026-01-07T22:00:00Z", None),
    ("in the morning they are told at once", LISBON, "info", "2026-01-08T07:00:00Z", None),
    ("in summer the morning comes an hour earlier", LISBON, "info", "2026-07-07T23:00:00Z", "2026-07-08T06:00:00Z"),
    ("the night that is an hour shorter", LISBON, "info", "2026-03-28T23:00:00Z", "2026-03-29T06:00:00Z"),
    ("only on the days that are named", LISBON | {"quiet_hours": [NIGHT | {"days": ["friday"]}]}, "info", "2026-01-07T23:00:00Z", None),
    ("a night that began on such a day goes on", LISBON | {"quiet_hours": [NIGHT | {"days": ["friday"]}]}, "info", "2026-01-10T03:00:00Z", "2026-01-10T07:00:00Z"),
    ("a holiday is from midnight to midnight", {"holidays": [{"from": "2026-12-25", "to": "2026-12-26"}]}, "info", "2026-12-25T12:00:00Z", "2026-12-27T00:00:00Z"),
    ("a night before a holiday is one quiet time with it, and with the night after", LISBON | {"holidays": ["2026-12-25"]}, "info", "2026-12-24T23:00:00Z", "2026-12-26T07:00:00Z"),
    ("a weekend of whole days", {"quiet_hours": [{"from": "00:00", "to": "00:00", "days": ["saturday", "sunday"]}]}, "info", "2026-01-10T12:00:00Z", "2026-01-12T00:00:00Z"),
    ("who has no quiet hours is told", {}, "info", "2026-01-10T03:00:00Z", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("whose", "severity", "now", "until"), [row[1:] for row in QUIET], ids=[row[0] for row in QUIET]
)
def test_until_when_somebody_is_left_alone(whose: dict[str, Any], severity: str, now: str, until: str | None) -> None:
    found = quiet_until(Rest.model_validate(whose), severity, at(now))
    assert found == (at(until) if until is not None else None)


rests = st.builds(
    lambda timezone, hours, holidays: Rest.model_validate(
        {"timezone": timezone, "quiet_hours": hours, "holidays": holidays}
    ),
    st.sampled_from(ZONES),
    st.lists(windows, max_size=3),
    st.lists(st.dates(FIRST.date(), (FIRST + YEARS).date()), max_size=3),
)
instants = st.integers(int(FIRST.timestamp()), int((FIRST + YEARS).timestamp())).map(float)


@settings(max_examples=300, deadline=None)
@given(rests, instants)
def test_a_quiet_time_ends_and_is_quiet_until_then(rest: Rest, now: float) -> None:
    until = quiet_until(rest, "warning", now)
    assert quiet_until(rest, "critical", now) is None
    if until is None:
        return
    assert now < until
    assert quiet_until(rest, "warning", until - 1) is not None
    if until < now + LONGEST_SECONDS:
        assert quiet_until(rest, "warning", until) is None


NEXT: list[tuple[str, dict[str, Any], str, str]] = [
    ("later on the same day", {}, "2026-01-07T08:00:00Z", "2026-01-07T09:00:00Z"),
    ("now, when it is just the time", {}, "2026-01-07T09:00:00Z", "2026-01-07T09:00:00Z"),
    ("else the day after", {}, "2026-01-07T09:00:01Z", "2026-01-08T09:00:00Z"),
    ("by the clock on the wall", {}, "2026-03-28T12:00:00Z", "2026-03-29T08:00:00Z"),
    ("each hour at its minute", {"every": "hour", "at": "00:15"}, "2026-01-07T09:16:00Z", "2026-01-07T10:15:00Z"),
    ("now, at that minute", {"every": "hour", "at": "00:15"}, "2026-01-07T09:15:00Z", "2026-01-07T09:15:00Z"),
    ("where clocks differ by half an hour", {"every": "hour", "at": "00:00", "timezone": "Asia/Kolkata"}, "2026-01-07T09:00:00Z", "2026-01-07T09:30:00Z"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "now", "expected"), [row[1:] for row in NEXT], ids=[row[0] for row in NEXT])
def test_when_a_digest_comes(more: dict[str, Any], now: str, expected: str) -> None:
    given_ = Digest.model_validate({"every": "day", "at": "09:00", "timezone": "Europe/Lisbon", "targets": []} | more)
    assert next_time(given_, at(now)) == at(expected)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(["hour", "day"]), st.times(), instants)
def test_a_digest_always_comes_within_its_time(zone: str, every: str, when: Any, now: float) -> None:
    given_ = Digest.model_validate({"every": every, "at": f"{when:%H:%M}", "timezone": zone, "targets": []})
    found = next_time(given_, now)
    assert now <= found <= now + (3600 if every == "hour" else 25 * 3600)
    assert next_time(given_, found) == found


ANA = Person.model_validate(LISBON | {"contacts": {"critical": ["ana-phone"], "default": ["ana-chat", "room"]}})
BO = Person.model_validate({"contacts": {"default": ["room"]}})
TEAM = Team.model_validate({"targets": ["team-room"], "quiet_hours": [NIGHT]})
HOLDS = Holds({"ana": ANA, "bo": BO}, {"platform": TEAM}, {"daily": Digest.model_validate({"every": "day", "at": "09:00", "targets": ["mail", "ana-mail"], "severities": ["info"]})})  # fmt: skip
HELD: list[tuple[str, str, str, Hold | None]] = [
    ("a person's target waits while the person is quiet", "ana-chat", "warning", Hold(at("2026-01-08T07:00:00Z"), "quiet_hours")),
    ("whatever the severity is that it is for", "ana-phone", "warning", Hold(at("2026-01-08T07:00:00Z"), "quiet_hours")),
    ("not for what is critical", "ana-chat", "critical", None),
    ("a target of several is quiet when all of them are", "room", "warning", None),
    ("a team's own waits with the team", "team-room", "info", Hold(at("2026-01-08T07:00:00Z"), "quiet_hours")),
    ("nobody's target never waits", "pager", "info", None),
    ("a digest takes what it is for", "mail", "info", Hold(at("2026-01-08T09:00:00Z"), "digest", "daily")),
    ("and nothing else", "mail", "warning", None),
]  # fmt: skip


@pytest.mark.parametrize(("target", "severity", "expected"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_what_is_kept_for_later(target: str, severity: str, expected: Hold | None) -> None:
    assert HOLDS.of(target, severity, at("2026-01-07T23:00:00Z")) == expected


def test_a_digest_that_comes_in_quiet_hours_waits_for_the_first_after_them() -> None:
    hourly = Digest.model_validate({"every": "hour", "at": "00:30", "targets": ["ana-chat"]})
    held = Holds({"ana": ANA}, {}, {"hourly": hourly}).of("ana-chat", "info", at("2026-01-07T23:00:00Z"))
    assert held == Hold(at("2026-01-08T07:30:00Z"), "digest", "hourly")


def test_a_digest_lists_what_fires_before_what_has_ended() -> None:
    def message(incident: int, severity: str, since: str, until: str | None = None) -> Message:
        return Message(
            incident=incident, revision=1, status="firing" if until is None else "resolved", reason="opened",
            severity=severity, alert="A", summary=f"It is {incident}", service="shop", environment="prod",
            since=at(since), until=at(until) if until else None, incident_url=f"http://x/v1/incidents/{incident}",
        )  # fmt: skip

    found = digest(
        [
            message(1, "warning", "2026-01-07T20:00:00Z", "2026-01-07T20:38:00Z"),
            message(2, "info", "2026-01-07T21:00:00Z"),
            message(3, "warning", "2026-01-07T22:00:00Z"),
        ],
        number=17,
    )
    said = words(found, may_repeat=True)
    assert said.title == "[WARNING FIRING] Digest of 3 incidents: 2 firing, 1 ended · 20:00 UTC (may be a repeat)"
    assert body(said).splitlines() == [
        "1: warning firing · #3 · It is 3 · shop prod · since Wed 22:00 UTC",
        "2: info firing · #2 · It is 2 · shop prod · since Wed 21:00 UTC",
        "3: ended · #1 · It is 1 · shop prod · since Wed 20:00 UTC, for 38m",
        "Incidents: http://x/v1/incidents",
    ]
    assert found.key.startswith("tocsin-digest-17-")
