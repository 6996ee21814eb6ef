"""People, teams and rotas as they stand in `config/receiver.yml`."""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import combinations
from typing import Annotated, Literal, get_args

import pydantic
from pydantic import Field

from receiver.incidents import SEVERITIES
from receiver.oncall.zones import UTC, TimeZone
from toolkit.configfile import Location, Model, Name, nearest

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
"""In the order of `date.weekday()`."""
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
"""Dates outside are slips of the pen, and near the ends of the calendar there is no day before or after."""
_TIME = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])")
MINUTES_A_WEEK = 7 * 24 * 60
DEFAULT = "default"
"""The contacts for every severity that has none of its own."""


def _time_of_day(value: object) -> time:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        # without quotes YAML reads 22:00 as a number of base 60
        raise ValueError(f'{value!r} is not a time of day; write it in quotes, like "22:00"')
    return time(int(found[1]), int(found[2]))


def moment(value: object) -> datetime:
    """A date and time, to the second, as YAML or a person gives it; a date alone is its midnight. Raises ValueError."""
    found = _read(value)
    if found is None:
        raise ValueError(f"{value!r} is not a date with a time; write it like 2026-12-24 09:00")
    if not FIRST_DAY <= found.date() <= LAST_DAY:
        raise ValueError(f"it should be between {FIRST_DAY} and {LAST_DAY}")
    return found.replace(microsecond=0)


def _read(value: object) -> datetime | None:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, time()) if isinstance(value, date) else None


TimeOfDay = Annotated[time, pydantic.PlainValidator(_time_of_day)]
"""A time on the wall, to the minute."""
Moment = Annotated[datetime, pydantic.PlainValidator(moment)]
"""A date and time; local where it names no zone."""
Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]


class Window(Model):
    """From one time of day to another, on days of the week. One that ends no later than it begins ends the next day;
    `days` are those that it begins on."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
    days: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1)


class Holiday(Model):
    """Whole days, the first and the last among them. A date alone is one day."""

    from_: Day = Field(alias="from")
    to: Day

    @pydantic.model_validator(mode="before")
    @classmethod
    def _one_day(cls, value: object) -> object:
        return {"from": value, "to": value} if isinstance(value, date | str) else value

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> "Holiday":
        if self.to < self.from_:
            raise ValueError("it ends before it begins")
        return self


class Rest(Model):
    """When somebody is told of nothing that is not critical."""

    timezone: TimeZone = Field(default_factory=lambda: UTC)
    quiet_hours: tuple[Window, ...] = ()
    holidays: tuple[Holiday, ...] = ()


class Person(Rest):
    """Somebody, and by which targets they are reached: by severity, `default` for those that are not named."""

    name: str = ""
    contacts: dict[str, tuple[str, ...]] = {}
    slack: str | None = None


class Team(Rest):
    """People who answer for the same things, with their own targets (a room, say), rota and escalation."""

    members: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    rota: str | None = None
    escalation: str | None = None


class Handover(Model):
    """When one person's turn ends and the next one's begins."""

    every: Literal["day", "week"]
    on: Weekday = "monday"
    at: TimeOfDay

    @pydantic.model_validator(mode="after")
    def _day_of_the_week(self) -> "Handover":
        if self.every == "day" and "on" in self.model_fields_set:
            raise ValueError("a handover on each day needs no 'on'")
        return self


class Layer(Model):
    """People who take turns in the order named, the first from `starts` on, at the handover's time of day.

    With `hours` nobody is on call outside them.
    """

    name: Name
    people: tuple[str, ...]
    starts: Day
    handover: Handover
    hours: tuple[Window, ...] = ()


class Override(Model):
    """One person takes a layer over for a while, whatever its turns and hours are."""

    person: str
    layer: str
    from_: Moment = Field(alias="from")
    to: Moment


class Rota(Model):
    """Who is on call: a person for each layer. The first layer is called first, the others back it up."""

    timezone: TimeZone = Field(default_factory=lambda: UTC)
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()

    def instant(self, when: datetime) -> float:
        """A moment of the file as seconds since the epoch."""
        return (when if when.tzinfo else when.replace(tzinfo=self.timezone)).timestamp()


class Digest(Model):
    """What can wait, told in one message each hour or day to the targets, in place of many. Each hour it is told at the
    minute of `at`."""

    every: Literal["hour", "day"]
    at: TimeOfDay = time(9)
    timezone: TimeZone = Field(default_factory=lambda: UTC)
    targets: tuple[str, ...]
    severities: tuple[Literal["info", "warning"], ...] = ("info", "warning")


def lint(
    people: Mapping[str, Person], teams: Mapping[str, Team], rotas: Mapping[str, Rota], targets: Collection[str]
) -> Iterator[tuple[Location, str]]:
    """What only the whole file shows: names that nobody has, rotas that nobody is in, overrides that overlap."""
    for name, person in people.items():
        yield from _lint_person(("people", name), person, targets)
    for name, team in teams.items():
        at: Location = ("teams", name)
        yield from _unknown((*at, "members"), team.members, people, "person")
        yield from _unknown((*at, "targets"), team.targets, targets, "target")
        if team.rota is not None and team.rota not in rotas:
            yield (*at, "rota"), _nobody("rota", team.rota, rotas)
        yield from _lint_rest(at, team)
    for name, rota in rotas.items():
        yield from _lint_rota(("rotas", name), rota, people)


def _lint_person(at: Location, person: Person, targets: Collection[str]) -> Iterator[tuple[Location, str]]:
    for severity, names in person.contacts.items():
        place: Location = (*at, "contacts", severity)
        if severity not in (*SEVERITIES, DEFAULT):
            yield place, f"no severity is named '{severity}'{nearest(severity, (*SEVERITIES, DEFAULT))}"
        if not names:
            yield place, "names no target, so this would reach nobody"
        yield from _unknown(place, names, targets, "target")
    yield from _lint_rest(at, person)


def _lint_rest(at: Location, rest: Rest) -> Iterator[tuple[Location, str]]:
    """Quiet hours without an end would swallow everything."""
    quiet = {minute for window in rest.quiet_hours for minute in _minutes(window)}
    if len(quiet) == MINUTES_A_WEEK:
        yield (*at, "quiet_hours"), "it is quiet all the time, so only what is critical would ever be told"


def _minutes(window: Window) -> Iterator[int]:
    """The minutes of the week that a window holds, from Monday's midnight on."""
    first = window.from_.hour * 60 + window.from_.minute
    length = (window.to.hour * 60 + window.to.minute - first - 1) % (24 * 60) + 1
    for day in window.days:
        begin = WEEKDAYS.index(day) * 24 * 60 + first
        yield from (minute % MINUTES_A_WEEK for minute in range(begin, begin + length))


def _lint_rota(at: Location, rota: Rota, people: Mapping[str, Person]) -> Iterator[tuple[Location, str]]:
    if not rota.layers:
        yield (*at, "layers"), "has no layer, so nobody would be on call"
    names: set[str] = set()
    for index, layer in enumerate(rota.layers):
        place: Location = (*at, "layers", index)
        if layer.name in names:
            yield (*place, "name"), f"the name '{layer.name}' is used twice"
        names.add(layer.name)
        if not layer.people:
            yield (*place, "people"), "names nobody, so nobody would be on call"
        yield from _unknown((*place, "people"), layer.people, people, "person")
    for index, override in enumerate(rota.overrides):
        place = (*at, "overrides", index)
        if override.person not in people:
            yield (*place, "person"), _nobody("person", override.person, people)
        if override.layer not in names:
            yield (*place, "layer"), _nobody("layer", override.layer, names)
        if rota.instant(override.to) <= rota.instant(override.from_):
            yield (*place, "to"), "it ends before it begins"
    yield from _overlaps((*at, "overrides"), rota)


def _overlaps(at: Location, rota: Rota) -> Iterator[tuple[Location, str]]:
    for (first, one), (second, other) in combinations(enumerate(rota.overrides), 2):
        begins = max(rota.instant(one.from_), rota.instant(other.from_))
        ends = min(rota.instant(one.to), rota.instant(other.to))
        if one.layer == other.layer and begins < ends:
            yield (*at, second), f"overlaps overrides[{first}] of the same layer, so two people would be on call"


def lint_digests(digests: Mapping[str, Digest], targets: Collection[str]) -> Iterator[tuple[Location, str]]:
    """Digests for nobody, and two that would tell the same."""
    taken: dict[tuple[str, str], str] = {}
    for name, digest in digests.items():
        at: Location = ("digests", name)
        if not digest.targets:
            yield (*at, "targets"), "names no target, so nobody would be told"
        yield from _unknown((*at, "targets"), digest.targets, targets, "target")
        for place, target in enumerate(digest.targets):
            for severity in digest.severities:
                other = taken.setdefault((target, severity), name)
                if other != name:
                    yield (*at, "targets", place), f"'{target}' has its {severity} in the digest '{other}' already"


def _unknown(at: Location, names: Sequence[str], known: Collection[str], kind: str) -> Iterator[tuple[Location, str]]:
    for index, name in enumerate(names):
        if name not in known:
            yield (*at, index), _nobody(kind, name, known)


def _nobody(kind: str, name: str, known: Collection[str]) -> str:
    return f"no {kind} is named '{name}'{nearest(name, known)}"
