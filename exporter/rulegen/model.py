"""What is normal for a signal, as numbers: the constants that the generated rules and the local evaluation share.

Two forecasts, the median of the same time on seven earlier days and the mean of the last week, are combined by how well
each did in the last two weeks. How far the level may be from that is a quantile of how far it was, up and down apart.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["count", "gauge"]
Seasonality = Literal["weekly", "daily", "none"]

STEP_SECONDS = 300
"""How often the level, what is expected and the score are evaluated."""
PAST_SECONDS = 10_800
"""How often what summarises weeks is evaluated; hourly is no better and costs three times as much."""
PAST_KEPT_SECONDS = 25_200
"""How long a value of that holds: one missed evaluation is no gap."""
LEVEL_SECONDS = 3600
FAST_SECONDS = 600
WEEK_SECONDS = 604_800
MEMORY_SECONDS = 1_209_600
"""The deviations that the band is made of: two weeks. One is worse by 2 points, four by 3 (`make bench-nab`)."""
LAG_SECONDS = 21_600
"""The newest deviations are left out of the band, so that an anomaly doesn't widen it at once."""
LEAST_DEVIATIONS = 576
"""Two days of deviations: before there is no band and nothing is told."""
EARLY_SECONDS = 1800
"""A trailing mean over an hour is centred half an hour ago: the same time of another day is offset by less."""
OTHER_SIDE = 0.5
"""A band reaches at least this much of its other side's reach: a side that never moved says little."""
OF_EXPECTED = 0.02
"""A band reaches at least this much of what is expected."""
LEAST_REACH = 1e-9
OF_WEEK = 0.1
"""How much of the week's mean is added to the season under the root of a count's unit: nights at 0 have noise too."""
LEAST_UNIT = 1e-9

_DAY = 86_400
SEASONS: dict[Seasonality, tuple[int, ...]] = {
    "weekly": tuple(_DAY * days - EARLY_SECONDS for days in (1, 2, 3, 7, 14, 21, 28)),
    "daily": tuple(_DAY * days - EARLY_SECONDS for days in (1, 2, 3, 4, 5, 6, 7)),
    "none": (),
}
"""The offsets (seconds) whose median is the seasonal forecast."""


@dataclass(frozen=True)
class Sensitivity:
    """`quantile` of the past deviations, times `factor`, is the band; the score must be above 1 for `hold` seconds."""

    quantile: float
    factor: float
    hold: float


STANDARD = Sensitivity(quantile=0.99, factor=1.05, hold=1800.0)
QUIET = Sensitivity(quantile=0.995, factor=1.15, hold=2700.0)
FAST = Sensitivity(quantile=0.99, factor=1.25, hold=300.0)
"""For the level over ten minutes: outages and sharp drops of counts."""
KEEP_FIRING_SECONDS = 21_600.0


@dataclass(frozen=True)
class Model:
    """How a signal's normal is found."""

    kind: Kind
    seasonality: Seasonality = "weekly"
    sensitivity: Sensitivity = STANDARD

    @property
    def offsets(self) -> tuple[int, ...]:
        """The earlier times (seconds ago) whose median is the seasonal forecast; none without a season."""
        return SEASONS[self.seasonality]
