"""Windows of the week on the time line: whether an instant is in one, and until when that stays so. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from receiver.oncall.settings import WEEKDAYS, Window
from receiver.oncall.zones import instant, local_day

_FURTHEST_DAYS = 15
"""A window comes each week, but for one that a change of the clocks leaves nothing of: then the week after."""


@dataclass(frozen=True)
class Stretch:
    """A piece of the time line without an edge of a window within: `since` <= t < `until`, seconds since the epoch."""

    inside: bool
    since: float
    until: float


def stretch(windows: Sequence[Window], there: ZoneInfo, at: float) -> Stretch:
    """The stretch that `at` is in. `windows` is not empty. One whose end comes before its beginning, because the clocks
    were changed in between, is left out."""
    around = list(_around(windows, there, at))
    edges = [edge for one in around for edge in one]
    return Stretch(
        any(since <= at < until for since, until in around),
        max(edge for edge in edges if edge <= at),
        min(edge for edge in edges if edge > at),
    )


def _around(windows: Sequence[Window], there: ZoneInfo, at: float) -> Iterator[tuple[float, float]]:
    today = local_day(at, there)
    for offset in range(-_FURTHEST_DAYS, _FURTHEST_DAYS + 1):
        day = today + timedelta(days=offset)
        for window in windows:
            if WEEKDAYS[day.weekday()] in window.days:
                last = day if window.from_ < window.to else day + timedelta(days=1)
                since, until = instant(day, window.from_, there), instant(last, window.to, there)
                if since < until:
                    yield since, until
