"""Time zones of the package tzdata, which is pinned: who is on call must not depend on the machine's own copy."""

from datetime import date, datetime, time
from functools import cache
from importlib.resources import files
from typing import Annotated
from zoneinfo import ZoneInfo

import pydantic

from toolkit.configfile import nearest


@cache
def _names() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def zone(name: str) -> ZoneInfo:
    """`"Europe/Lisbon"` -> the zone. Raises ValueError with the nearest name when there is none."""
    if name not in _names():
        raise ValueError(f"no time zone is named '{name}'{_hint(name)}")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


UTC = zone("UTC")


def _hint(name: str) -> str:
    """The nearest name; of what is like none an example, for there are hundreds."""
    close = nearest(name, _names())
    return close if close.startswith("; did") else "; write it like Europe/Lisbon or UTC"


def _zone(value: object) -> ZoneInfo:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no time zone; write it like Europe/Lisbon or UTC")
    return zone(value)


TimeZone = Annotated[ZoneInfo, pydantic.PlainValidator(_zone)]
"""A zone, written as its name."""


def local_day(at: float, there: ZoneInfo) -> date:
    """The date on the wall at an instant (seconds since the epoch)."""
    return datetime.fromtimestamp(at, there).date()


def instant(day: date, at: time, there: ZoneInfo) -> float:
    """A local time as seconds since the epoch.

    Where the clocks are changed it means what iCalendar has it mean (RFC 5545, 3.3.5): a time that comes twice is the
    first of the two; one that is left out is as long after the change as it says, so 02:30 is 03:30 that night.
    """
    return datetime.combine(day, at, there).timestamp()  # fold is 0, which is both
