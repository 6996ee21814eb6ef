"""What is normal for a signal, as numbers: the constants that the generated rules and the local evaluation share.

Two forecasts, the median of the same hour on earlier days and the mean of the last week, are combined by how well each
did in the last two weeks. How far the level may be from that is a quantile of how far it was, up and down apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["count", "gauge"]
Seasonality = Literal["weekly", "daily", "none"]

STEP = 300
"""Seconds between two evaluations of what is now."""
FORECAST_STEP = 1800
"""Seconds between two evaluations of what is expected; five minutes are no better, and cost six times as much."""
FORECAST_KEPT = 3600
"""Seconds that a forecast holds: one missed evaluation is no gap."""
PAST_STEP = 21_600
"""Seconds between two evaluations of what summarises weeks; hourly is no better and costs six times as much."""
PAST_KEPT = 46_800
"""Seconds that a value of that holds: one missed evaluation is no gap."""
LEVEL_SAMPLES, FAST_SAMPLES = 12, 2
DAY, WEEK = 86_400, 604_800
AHEAD = 2400
"""A level is the mean of an hour, so its middle is half an hour ago, and a forecast holds for as long: what is
looked at is the hour around the middle of these."""
WEEKS = (WEEK, 2 * WEEK, 3 * WEEK, 4 * WEEK)
ENOUGH_WEEKS = 3
"""Of so many weeks the median is theirs, whatever two days say."""
LOOKBACKS: Mapping[Seasonality, tuple[int, ...]] = {
    "weekly": (DAY, 2 * DAY, 3 * DAY, *WEEKS),
    "daily": (DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY, 6 * DAY, WEEK),
    "none": (),
}
LEARN, LEARN_LAG = 2 * WEEK, 21_600
"""The deviations that a band is made of, without the newest: an anomaly doesn't widen its band at once."""
LEAST_LEARNT = 2 * DAY
"""Seconds of deviations, before which nothing is told."""
OTHER_SIDE = 0.5
"""A band reaches at least half as far up as down, and the other way round."""
RELATIVE = 0.02
"""Of a forecast, as part of every band."""
FAINT = 1e-9
WEEKLY_SHARE = 0.1
"""What of a week's mean is added to a forecast before its power is taken: a quiet night isn't held to be exact."""
STRAY_POWER = 0.6
"""Counts stray by this power of what is expected: by its root where each event comes by itself (Poisson), by all of it
where days differ."""
FAST_QUANTILE = 0.99
"""For the level over ten minutes: outages and sharp drops of counts. One evaluation is enough: it is smoothed, and
another would cost five minutes."""
STAY = 21_600.0
"""Seconds that an alert is kept firing."""
DRIFT_SPAN = 3 * WEEK
BUDGET = 0.25
"""False alarms per series and week that are held to be bearable."""
WHOLE_WEEK = 6 * DAY // STEP
"""Samples without which a week's mean is no week's: of nights and a weekend alone it is another."""
YOUNG: Mapping[Kind, float] = {"count": 1.5, "gauge": 1.1}
"""How much wider a band is while there is nothing from a week ago. Of a count's weekends nothing is known by then; for
gauges 1.5 would cost 4 points (`make bench-nab`)."""


@dataclass(frozen=True)
class Sensitivity:
    """A band is a `quantile` of past deviations, times `factor`; a level must be outside for `hold` seconds.

    The band of ten minutes is `fast_factor` times the `FAST_QUANTILE` of theirs.
    """

    quantile: float
    factor: float
    hold: float
    fast_factor: float


STANDARD = Sensitivity(0.99, 1.05, 1800.0, 1.4)
QUIET = Sensitivity(0.995, 1.16, 2700.0, 2.1)
"""Ten minutes are the noisiest part: with 1.4 they alone would alarm once a month, with 2.1 once in six years. Outages
are found nearly as soon, half of the events lost after 20 minutes instead of 10."""


def scaled(factor: float) -> Sensitivity:
    """Standard's with another factor, and ten minutes' with its square: they are the noisiest part."""
    fast = round(STANDARD.fast_factor * (factor / STANDARD.factor) ** 2, 4)
    return Sensitivity(STANDARD.quantile, factor, STANDARD.hold, fast)


@dataclass(frozen=True)
class Model:
    """How a signal's normal is found."""

    kind: Kind
    seasonality: Seasonality = "weekly"
    sensitivity: Sensitivity = STANDARD

    @property
    def lookbacks(self) -> Sequence[int]:
        """How far back the hours lie whose median is a forecast (seconds)."""
        return (DAY, 2 * DAY, *WEEKS) if self.weeks_outvote else LOOKBACKS[self.seasonality]

    @property
    def weeks_outvote(self) -> bool:
        """Whether days are looked back to only where at least ENOUGH_WEEKS or no weeks are known: of a count, whose
        weekends are others. A holiday and a gap would else make Monday's normal that of a Sunday."""
        return self.kind == "count" and self.seasonality == "weekly"
