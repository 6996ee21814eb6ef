"""What the calendar's rules say of each evaluation, computed here. Pure.

`exporter.rulegen.calendar` writes the same as PromQL; both take the changes of a zone's clocks from there.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.rulegen import calendar
from exporter.rulegen.settings import DAYS, Dates, Hours, Maintenance, Signals

DAY_SECONDS = 86_400
EPOCH_WEEKDAY = DAYS.index("thu")
EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
Times = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Moments:
    """Evaluations at `times` (Unix seconds, ascending), and the local time of each, as seconds that read like UTC.

    `shifted`: whether the clocks changed in the four weeks before; None where they never change.
    """

    times: Times
    local: Times
    holiday: Mask
    shifted: Mask | None

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
    changes = bool(calendar.changes(file.timezone))
    return Moments(times, local, _on(local, file.holidays), _shifted(file.timezone, times) if changes else None)


def _offset(timezone: str, times: Times) -> Times:
    """Seconds from UTC."""
    found = np.full(len(times), float(calendar.first_offset(timezone)))
    for at, by in calendar.changes(timezone):
        found += np.where(times >= at, by, 0)
    return found


def _shifted(timezone: str, times: Times) -> Mask:
    then: Times = times - calendar.LOOKBACK_SECONDS
    found: Mask = _offset(timezone, times) != _offset(timezone, then)
    return found


def _on(local: Times, holidays: Sequence[Dates]) -> Mask:
    day = local // DAY_SECONDS + EPOCH_ORDINAL
    found = np.zeros(len(local), dtype=np.bool_)
    for one in holidays:
        found |= (day >= one.first.toordinal()) & (day <= one.last.toordinal())
    return found
