"""Hours, holidays and planned work as PromQL, which knows UTC alone. Pure.

The clock of a time zone is a recording rule that holds every change of its offset to the end of LAST_YEAR, from the
IANA database: daylight saving time is arithmetic then, and reads the same on every server.
"""

import datetime
import itertools
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from exporter.rulegen.model import WEEKS
from exporter.rulegen.rules import Group, Record, duration, number, quoted, selector
from exporter.rulegen.settings import DAYS, Dates, Hours, Maintenance, Signals

FIRST_YEAR, LAST_YEAR = 2025, 2037
INTERVAL = 60.0


def group(name: str, timezone: str, holidays: Sequence[Dates]) -> Group:
    """The rules that tell the local time, whether it is a holiday, and whether the clocks changed lately. `name` tells
    the calendars of several files apart."""
    labels = {"calendar": name}
    here = matcher(name)
    clock = f"calendar:local_time:seconds{here}"
    records = [
        Record(
            "calendar:local_time:seconds",
            f"vector(\n  time() + {_offset(timezone)}\n)",
            labels,
            f"Seconds that hour(), day_of_week() and the like read as the time in {timezone}, until {LAST_YEAR} ends.",
        ),
        Record(
            "calendar:date",
            f"year({clock}) * 10000 + month({clock}) * 100 + day_of_month({clock})",
            labels,
            "The local date as a number: 20261224.",
        ),
    ]
    records += _changes(name, timezone)
    if holidays:
        records.append(Record("calendar:holiday", "\nor ".join(_day(here, one) for one in holidays), labels))
    return Group(f"{name}-calendar", INTERVAL, tuple(records))


def matcher(name: str) -> str:
    """What selects the series of one calendar."""
    return f"{{calendar={quoted(name)}}}"


def changes(timezone: str) -> list[tuple[int, int]]:
    """Every change of a zone's offset: (Unix time, seconds by which it changes)."""
    zone, found = ZoneInfo(timezone), []
    at = _start(FIRST_YEAR)
    before = _offset_at(zone, at)
    while at < _start(LAST_YEAR + 1):
        after = _offset_at(zone, at + 86_400)
        if after != before:
            found.append((_boundary(zone, at, at + 86_400), after - before))
        at, before = at + 86_400, after
    return found


def _offset(timezone: str) -> str:
    """The offset from UTC in seconds, as an expression of `time()`."""
    return _stepped(first_offset(timezone), changes(timezone))


def _changes(name: str, timezone: str) -> Iterator[Record]:
    """When the clocks changed last and by how much, and by how much since each week that a normal looks back to."""
    found, labels = changes(timezone), {"calendar": name}
    if not found:
        return
    times = [at for at, _ in found]
    at, by = (f"calendar:clock_changed:{what}{matcher(name)}" for what in ("timestamp_seconds", "seconds"))
    when = _stepped(0, list(zip(times, _steps(times), strict=True)))
    size = _stepped(0, list(zip(times, _steps([by for _, by in found]), strict=True)))
    yield Record("calendar:clock_changed:timestamp_seconds", f"vector(\n  {when}\n)", labels)
    yield Record("calendar:clock_changed:seconds", f"vector(\n  {size}\n)", labels)
    note = "There while the clocks were others then: what was normal at this hour lay an hour off."
    for back in WEEKS:
        lookback = {**labels, "lookback": duration(back)}
        yield Record("calendar:clock_shift:seconds", f"{by} and {at} > time() - {back}", lookback, note)
        note = ""


def shift(name: str, back: int) -> str:
    """What selects by how much the clocks have changed since so many seconds ago; nothing where they haven't."""
    return selector("calendar:clock_shift:seconds", {"calendar": name, "lookback": duration(back)})


def _steps(values: Sequence[int]) -> list[int]:
    """By how much each differs from the one before it, the first from 0."""
    return [value - before for before, value in itertools.pairwise([0, *values])]


def _stepped(first: int, steps: Sequence[tuple[int, int]]) -> str:
    """A number that changes at Unix times by so much, as an expression of `time()`."""
    terms = [f"{'+' if by >= 0 else '-'} {abs(by)} * (time() >= bool {at})" for at, by in steps]
    lines = [" ".join(terms[place : place + 2]) for place in range(0, len(terms), 2)]
    return "\n  ".join([number(first), *lines])


def _boundary(zone: ZoneInfo, low: int, high: int) -> int:
    """When the offset changes between two times a day apart."""
    before = _offset_at(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_at(zone, middle) == before else (low, middle)
    return high


def _start(year: int) -> int:
    return int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp())


def _offset_at(zone: ZoneInfo, at: int) -> int:
    offset = datetime.datetime.fromtimestamp(at, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _day(here: str, days: Dates) -> str:
    first, last = (f"{day:%Y%m%d}" for day in (days.first, days.last))
    return f"calendar:date{here} == {first}" if first == last else f"calendar:date{here} >= {first} <= {last}"


# --- what an alert asks of the calendar


def gates(
    name: str, hours: Hours | None, holidays: bool, maintenance: Sequence[Maintenance], settle: float = 0.0
) -> Iterator[str]:
    """The conditions that an alert adds to its own, one a line; each begins with `and` or `unless`. Holidays and
    planned work hold for `settle` seconds more: as long as what is asked still knows of them."""
    here = matcher(name)
    if hours is not None:
        yield from _open(f"calendar:local_time:seconds{here}", hours)
    if holidays:
        holiday = f"calendar:holiday{here}"
        lasting = f"last_over_time({holiday}[{duration(settle + INTERVAL / 2)}])" if settle else holiday
        yield f"unless on () {lasting}"
    for window in maintenance:
        yield f"unless on () (vector(time()) >= {number(window.begins)} < {number(window.ends + settle)})"


def unlearnt(name: str, file: Signals, signals: Sequence[str]) -> Iterator[str]:
    """The conditions under which these signals' levels are learnt from: neither on holidays nor during planned work,
    which may be one signal's alone."""
    yield from gates(name, None, bool(file.holidays), file.planned)
    for window in file.maintenance:
        for signal in signals:
            if signal in window.signals:
                during = f"vector(time()) >= {number(window.begins)} < {number(window.ends)}"
                yield f'unless on (signal) label_replace({during}, "signal", {quoted(signal)}, "", "")'


def _open(clock: str, hours: Hours) -> Iterator[str]:
    if hours.opens or hours.closes < 24 * 60:
        yield f"and on () ({clock} % 86400 >= {hours.opens * 60} < {hours.closes * 60})"
    days = sorted({DAYS.index(day) for day in hours.days})
    if days == list(range(days[0], days[-1] + 1)):
        if len(days) < len(DAYS):
            yield f"and on () (day_of_week({clock}) >= {days[0]} <= {days[-1]})"
    else:
        yield f"and on () ({' or '.join(f'day_of_week({clock}) == {day}' for day in days)})"


def is_needed(file: Signals) -> bool:
    """Whether anything in the file asks for the local time."""
    hours = any(one.hours is not None for one in (*file.signals, *file.slos))
    return hours or bool(file.signals and (file.holidays or changes(file.timezone)))


def first_offset(timezone: str) -> int:
    """The offset from UTC that the rules know before FIRST_YEAR (seconds)."""
    return _offset_at(ZoneInfo(timezone), _start(FIRST_YEAR))
