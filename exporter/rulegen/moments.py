"""What the calendar's rules say of each evaluation, computed here. Pure.

`exporter.rulegen.calendar` writes the same as PromQL; both take the changes of a zone's clocks from there.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen import calendar
from exporter.rulegen.evaluate import Clock
from exporter.rulegen.settings import DAYS, Dates, Hours, Maintenance, Signals

DAY_SECONDS = 86_400
EPOCH_WEEKDAY = DAYS.index("thu")
EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
Times = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Moments:
    """Evaluations at `times` (Unix seconds, ascending), and the local time of each, as seconds that read like UTC.

    `clock`: how they changed; None where they never do.
    """

    times: Times
    local: Times
    holiday: Mask
    clock: Clock | None

    def learnt(self, planned: Sequence[Maintenance]) -> Mask:
        """Whether a band is learnt from that moment: neither from holidays nor from planned work."""
        return ~self.holiday & ~self.at_work(planned)

    def at_work(self, planned: Sequence[Maintenance], settle: float = 0.0) -> Mask:
        """Whether any of these is going on, or ended less than `settle` seconds ago."""
        found = np.zeros(len(self.times), dtype=np.bool_)
        for one in planned:
            found |= (self.times >= one.begins) & (self.times < one.ends + settle)
        return found

    def during(self, hours: Hours | None) -> Mask:
        """Whether it is worth telling then."""
        if hours is None:
            return np.ones(len(self.times), dtype=np.bool_)
        second, day = self.local % DAY_SECONDS, (self.local // DAY_SECONDS + EPOCH_WEEKDAY) % len(DAYS)
        on_day = np.isin(day, [DAYS.index(one) for one in hours.days])
        return on_day & (second >= hours.opens * 60) & (second < hours.closes * 60)


def moments(file: Signals, times: Times) -> Moments:
    """The calendar of a file of signals at these times."""
    local = times + _offset(file.timezone, times)
    return Moments(times, local, _on(local, file.holidays), _clock(file.timezone, times))


def _offset(timezone: str, times: Times) -> Times:
    """Seconds from UTC."""
    found = np.full(len(times), float(calendar.first_offset(timezone)))
    for at, by in calendar.changes(timezone):
        found += np.where(times >= at, by, 0)
    return found


def _clock(timezone: str, times: Times) -> Clock | None:
    """When the clocks had last changed, and by how much."""
    changes = calendar.changes(timezone)
    if not changes:
        return None
    newest = np.searchsorted([at for at, _ in changes], times, side="right")
    ago = times - np.array([0, *(at for at, _ in changes)], dtype=np.float64)[newest]
    return Clock(ago, np.array([0, *(by for _, by in changes)])[newest])


def _on(local: Times, holidays: Sequence[Dates]) -> Mask:
    day = local // DAY_SECONDS + EPOCH_ORDINAL
    found = np.zeros(len(local), dtype=np.bool_)
    for one in holidays:
        found |= (day >= one.first.toordinal()) & (day <= one.last.toordinal())
    return found
