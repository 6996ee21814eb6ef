"""A rota as an iCalendar feed (RFC 5545). Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event

from receiver.oncall.rota import Shift, shifts
from receiver.oncall.settings import Person, Rota

PAST_SECONDS, AHEAD_SECONDS = 30 * 86400.0, 90 * 86400.0
REFRESH = timedelta(hours=1)
"""How often calendar programs are asked to come again; they do as they like."""


def feed(name: str, rota: Rota, people: Mapping[str, Person], now: float) -> bytes:
    """An event for each shift that somebody has in the last PAST_SECONDS and the next AHEAD_SECONDS; none for a gap.

    Times are in UTC, so that they mean the same to programs that know other time zones than we. The category is the
    layer, and `X-TOCSIN-PERSON` the person's short name.
    """
    calendar = Calendar()
    calendar.add("PRODID", "-//Tocsin//rota//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("X-WR-CALNAME", f"On call: {name}")
    calendar.add("REFRESH-INTERVAL", REFRESH, parameters={"VALUE": "DURATION"})
    for layer in rota.layers:
        for shift in shifts(rota, layer, now - PAST_SECONDS, now + AHEAD_SECONDS):
            if shift.person is not None:
                calendar.add_component(_event(name, shift, shift.person, people, now))
    written: bytes = calendar.to_ical()
    return written


def _event(name: str, shift: Shift, person: str, people: Mapping[str, Person], now: float) -> Event:
    event = Event()
    called = people[person].name if person in people else ""
    event.add("UID", f"{name}.{shift.layer}.{shift.since:.0f}@tocsin")
    event.add("DTSTAMP", datetime.fromtimestamp(now, UTC))
    event.add("DTSTART", datetime.fromtimestamp(shift.since, UTC))
    event.add("DTEND", datetime.fromtimestamp(shift.until, UTC))
    event.add("SUMMARY", f"{called or person} is on call ({name}, {shift.layer})")
    event.add("CATEGORIES", [shift.layer])
    event.add("X-TOCSIN-PERSON", person)
    event.add("TRANSP", "TRANSPARENT")  # on call is not busy
    return event
