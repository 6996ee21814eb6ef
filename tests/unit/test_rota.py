"""Who is on call: tables around handovers and changes of the clocks, and for any rota at any time."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar, Event

from receiver.oncall.contacts import contacts
from receiver.oncall.feed import feed
from receiver.oncall.report import gap_lines, unreachable_lines
from receiver.oncall.rota import gaps, nobody, on_call, shifts
from receiver.oncall.settings import WEEKDAYS, Person, Rota
from toolkit.clock import parse_rfc3339

WEEKLY: dict[str, Any] = {"name": "primary", "people": ["ana", "bo"], "starts": date(2026, 1, 5), "handover": {"every": "week", "at": "09:00"}}  # fmt: skip
DAILY: dict[str, Any] = {**WEEKLY, "handover": {"every": "day", "at": "02:30"}, "people": ["ana", "bo", "cy"]}
OFFICE = [{"from": "09:00", "to": "17:00", "days": WEEKDAYS[:5]}]
NIGHT = [{"from": "22:00", "to": "06:00"}]


def rota(*layers: dict[str, Any], timezone: str = "Europe/Lisbon", overrides: Any = ()) -> Rota:
    return Rota.model_validate({"timezone": timezone, "layers": layers, "overrides": overrides})


def at(text: str) -> float:
    return parse_rfc3339(text)


LISBON_STAND_IN = [{"person": "cy", "layer": "primary", "from": "2026-07-08 12:00", "to": "2026-07-14 12:00"}]
AROUND = [
    ("before the first turn nobody is on call", rota(WEEKLY), "2026-01-05T08:59:59Z", (None, "not_started", None, "2026-01-05T09:00:00Z")),
    ("the first turn begins on the day it starts", rota(WEEKLY), "2026-01-05T09:00:00Z", ("ana", "turn", "2026-01-05T09:00:00Z", "2026-01-12T09:00:00Z")),
    ("the next person's turn is the next week", rota(WEEKLY), "2026-01-12T09:00:00Z", ("bo", "turn", "2026-01-12T09:00:00Z", "2026-01-19T09:00:00Z")),
    ("and then the first one's again", rota(WEEKLY), "2026-01-20T00:00:00Z", ("ana", "turn", "2026-01-19T09:00:00Z", "2026-01-26T09:00:00Z")),
    ("in summer the handover is an hour earlier in UTC", rota(WEEKLY), "2026-03-30T08:00:00Z", ("ana", "turn", "2026-03-30T08:00:00Z", "2026-04-06T08:00:00Z")),
    ("a week with a change of the clocks is an hour shorter", rota(WEEKLY), "2026-03-30T07:59:59Z", ("bo", "turn", "2026-03-23T09:00:00Z", "2026-03-30T08:00:00Z")),
    ("a first turn may be shorter", rota(WEEKLY | {"starts": date(2026, 1, 7)}), "2026-01-12T08:59:59Z", ("ana", "turn", "2026-01-07T09:00:00Z", "2026-01-12T09:00:00Z")),
    ("02:30 in the night without it is 03:30", rota(DAILY, timezone="Europe/Berlin"), "2026-03-29T01:30:00Z", ("cy", "turn", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z")),
    ("02:30 in the night with two of it is the first", rota(DAILY, timezone="Europe/Berlin"), "2026-10-25T00:30:00Z", ("cy", "turn", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z")),
    ("and at the second nothing changes", rota(DAILY, timezone="Europe/Berlin"), "2026-10-25T01:30:00Z", ("cy", "turn", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z")),
    ("an override takes over within a turn", rota(WEEKLY, overrides=LISBON_STAND_IN), "2026-07-08T11:00:00Z", ("cy", "override", "2026-07-08T11:00:00Z", "2026-07-14T11:00:00Z")),
    ("until then it is the turn's", rota(WEEKLY, overrides=LISBON_STAND_IN), "2026-07-08T10:59:59Z", ("ana", "turn", "2026-07-06T08:00:00Z", "2026-07-08T11:00:00Z")),
    ("and afterwards the next turn's", rota(WEEKLY, overrides=LISBON_STAND_IN), "2026-07-14T11:00:00Z", ("bo", "turn", "2026-07-14T11:00:00Z", "2026-07-20T08:00:00Z")),
    ("outside its hours nobody is on call", rota(WEEKLY | {"hours": OFFICE}), "2026-01-09T17:00:00Z", (None, "outside_hours", "2026-01-09T17:00:00Z", "2026-01-12T09:00:00Z")),
    ("within its hours a turn is cut to them", rota(WEEKLY | {"hours": OFFICE}), "2026-01-09T16:59:59Z", ("ana", "turn", "2026-01-09T09:00:00Z", "2026-01-09T17:00:00Z")),
    ("hours over midnight", rota(WEEKLY | {"hours": NIGHT}), "2026-01-07T03:00:00Z", ("ana", "turn", "2026-01-06T22:00:00Z", "2026-01-07T06:00:00Z")),
    ("an override holds outside the hours too", rota(WEEKLY | {"hours": NIGHT}, overrides=LISBON_STAND_IN), "2026-07-09T12:00:00Z", ("cy", "override", "2026-07-08T11:00:00Z", "2026-07-14T11:00:00Z")),
    ("and before the layer starts", rota(WEEKLY | {"starts": date(2027, 1, 4)}, overrides=LISBON_STAND_IN), "2026-07-09T12:00:00Z", ("cy", "override", "2026-07-08T11:00:00Z", "2026-07-14T11:00:00Z")),
    ("a day that a country left out is nobody's turn", rota(DAILY | {"starts": date(2011, 12, 28), "handover": {"every": "day", "at": "09:00"}}, timezone="Pacific/Apia"), "2011-12-30T19:00:00Z", ("ana", "turn", "2011-12-30T19:00:00Z", "2011-12-31T19:00:00Z")),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "when", "expected"), [row[1:] for row in AROUND], ids=[row[0] for row in AROUND])
def test_who_is_on_call(given_: Rota, when: str, expected: tuple[str | None, str, str | None, str]) -> None:
    (shift,) = on_call(given_, at(when))
    person, reason, since, until = expected
    assert (shift.person, shift.reason, shift.since, shift.until) == (
        person,
        reason,
        at(since) if since else 0,
        at(until),
    )


def test_layers_are_each_by_themselves() -> None:
    both = rota(WEEKLY, {**DAILY, "name": "backup"})
    assert [(one.layer, one.person) for one in on_call(both, at("2026-01-06T12:00:00Z"))] == [
        ("primary", "ana"),
        ("backup", "bo"),
    ]


def test_check_names_each_kind_of_gap_once_and_says_when_nobody_is_there_at_all() -> None:
    given_ = rota(WEEKLY | {"hours": OFFICE}, {**DAILY, "name": "backup", "starts": date(2026, 2, 2)})
    assert list(gap_lines("p", given_, at("2026-01-06T12:00:00Z"))) == [
        "rotas.p: layer 'primary' has nobody, outside its hours: from Tue 2026-01-06 17:00 to Wed 2026-01-07 09:00 "
        "Europe/Lisbon, and 63 times more in 90 days",
        "rotas.p: layer 'backup' has nobody, it has not started yet: from Tue 2026-01-06 12:00 to Mon 2026-02-02 02:30 "
        "Europe/Lisbon",
        "rotas.p: nobody at all is on call: from Tue 2026-01-06 17:00 to Wed 2026-01-07 09:00 Europe/Lisbon, and 18 "
        "times more in 90 days",
    ]


def test_a_rota_that_is_always_manned_has_nothing_to_tell() -> None:
    assert list(gap_lines("p", rota(WEEKLY), at("2026-01-06T12:00:00Z"))) == []


def test_check_names_who_is_on_a_rota_and_can_not_be_reached() -> None:
    people = {"ana": Person(contacts={"default": ("chat",)}), "bo": Person(), "cy": Person()}
    assert list(unreachable_lines(people, {"p": rota(WEEKLY)})) == [
        "people.bo: is on a rota and has no contacts, so a call reaches nobody"
    ]


REACHED = [
    ("each severity by its own", {"critical": ["phone", "chat"], "default": ["chat"]}, "critical", ("phone", "chat")),
    ("others by the default", {"critical": ["phone"], "default": ["chat"]}, "info", ("chat",)),
    ("nobody by what is not named", {"critical": ["phone"]}, "info", ()),
]


@pytest.mark.parametrize(
    ("given_", "severity", "targets"), [row[1:] for row in REACHED], ids=[row[0] for row in REACHED]
)
def test_how_a_person_is_reached(given_: dict[str, list[str]], severity: str, targets: tuple[str, ...]) -> None:
    assert contacts(Person.model_validate({"contacts": given_}), severity) == targets


# --- any rota, at any time -------------------------------------------------------------------------------------------

ZONES = ("Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago")
"""Clocks that change in March and October, the other way round, by half an hour, not at all, and at midnight."""
FIRST, YEARS = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=3652)
times = st.times().map(lambda one: one.strftime("%H:%M"))
edges = st.sampled_from(["00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "09:00", "23:59"])
windows = st.fixed_dictionaries(
    {"from": times | edges, "to": times | edges, "days": st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True)}
)
handovers = st.one_of(
    st.fixed_dictionaries({"every": st.just("day"), "at": times | edges}),
    st.fixed_dictionaries({"every": st.just("week"), "on": st.sampled_from(WEEKDAYS), "at": times | edges}),
)
layers = st.fixed_dictionaries(
    {
        "name": st.just("primary"),
        "people": st.lists(st.sampled_from(["ana", "bo", "cy", "di"]), min_size=1, max_size=5),
        "starts": st.dates(FIRST.date() - timedelta(days=400), FIRST.date() + YEARS),
        "handover": handovers,
        "hours": st.lists(windows, max_size=3),
    }
)


@st.composite
def overrides(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Overrides of the one layer that don't overlap."""
    moments = st.datetimes(FIRST.replace(tzinfo=None), (FIRST + YEARS).replace(tzinfo=None))
    found = sorted(
        draw(
            st.lists(moments, max_size=6, unique_by=lambda one: one.replace(hour=0, minute=0, second=0, microsecond=0))
        )
    )
    pairs = zip(found[::2], found[1::2], strict=False)
    return [{"person": "eve", "layer": "primary", "from": since, "to": until} for since, until in pairs]


rotas = st.builds(
    lambda timezone, layer, stand_ins: rota(layer, timezone=timezone, overrides=stand_ins),
    st.sampled_from(ZONES),
    layers,
    overrides(),
)
instants = st.integers(int(FIRST.timestamp()), int((FIRST + YEARS).timestamp())).map(float)


def events(calendar: bytes) -> list[Event]:
    read = Calendar.from_ical(calendar)
    assert isinstance(read, Calendar)
    return read.events


def as_read(calendar: bytes) -> list[tuple[str, str, float, float]]:
    """(layer, person, since, until) of every event."""
    return [
        (one.categories[0], str(one["X-TOCSIN-PERSON"]), seconds(one.start), seconds(one.end))
        for one in events(calendar)
    ]


def seconds(when: date) -> float:
    assert isinstance(when, datetime)
    return when.timestamp()


@settings(max_examples=50, deadline=None)
@given(rotas, instants, st.floats(-29.9, 89.9))
def test_the_calendar_read_back_gives_the_same_answer(given_: Rota, now: float, days: float) -> None:
    when = now + days * 86400
    (shift,) = on_call(given_, when)
    found = [one for one in as_read(feed("p", given_, {}, now)) if one[2] <= when < one[3]]
    assert found == ([("primary", shift.person, shift.since, shift.until)] if shift.person else [])


def test_a_calendar_calls_people_by_their_names_and_each_shift_by_one_id() -> None:
    people = {"ana": Person(name="Ana; Lima, Ltd"), "bo": Person()}
    first, later = (
        feed("p", rota(WEEKLY), people, at(now)) for now in ("2026-01-06T12:00:00Z", "2026-01-20T12:00:00Z")
    )
    (event, *_) = events(first)
    assert str(event["SUMMARY"]) == "Ana; Lima, Ltd is on call (p, primary)"
    ids = [str(one["UID"]) for one in events(first)]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {str(one["UID"]) for one in events(later)}


@settings(max_examples=500, deadline=None)
@given(rotas, instants)
def test_one_person_for_each_layer_or_a_gap_that_is_reported(given_: Rota, when: float) -> None:
    (shift,) = on_call(given_, when)
    assert shift.since <= when < shift.until
    reported = [gap for gap in gaps(given_, when - 3600, when + 3600) if gap.since <= when < gap.until]
    assert [gap.reason for gap in reported] == ([] if shift.person else [shift.reason])
    assert any(since <= when < until for since, until in nobody(given_, when, when + 1)) == (shift.person is None)
    if shift.person is None:
        assert next(gap_lines("p", given_, when))


@settings(max_examples=100, deadline=None)
@given(rotas, instants)
def test_shifts_partition_the_time_line(given_: Rota, when: float) -> None:
    found = list(shifts(given_, given_.layers[0], when, when + 21 * 86400))
    assert all(before.until == after.since for before, after in pairwise(found))
    for shift in found:
        assert shift.since < shift.until
        for inside in (shift.since, (shift.since + shift.until) / 2, shift.until - 0.001):
            assert on_call(given_, inside) == (shift,)


@settings(max_examples=300, deadline=None)
@given(rotas, instants)
def test_by_the_clock_on_the_wall_the_same_person_is_found(given_: Rota, when: float) -> None:
    """A second way to the answer: minute by minute back to the handover, counted from the first day on."""
    (layer,) = given_.layers
    plain = given_.model_copy(update={"overrides": (), "layers": (layer.model_copy(update={"hours": ()}),)})
    (shift,) = on_call(plain, when)
    here = datetime.fromtimestamp(when, given_.timezone)
    handed = [
        day
        for day in (layer.starts + timedelta(days=count) for count in range((here.date() - layer.starts).days + 2))
        if day == layer.starts or layer.handover.every == "day" or WEEKDAYS[day.weekday()] == layer.handover.on
        if datetime.combine(day, layer.handover.at, given_.timezone).timestamp() <= when
    ]
    assert shift.person == (layer.people[(len(handed) - 1) % len(layer.people)] if handed else None)
