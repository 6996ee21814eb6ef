"""What the rules of objectives would record."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tests.support.imagined.making import DAY, DEPLOYED, HOUR, LONG, MINUTE, PLACE, day, level, noise
from tests.support.prometheuses import Past

WINDOWS = {"5m": 5 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "2h": 2 * HOUR, "6h": 6 * HOUR, "1d": DAY, "3d": 3 * DAY}
MONTH = 30 * DAY
NOW = 0.0


@dataclass(frozen=True)
class Objective:
    """`usual` of its requests fail, and `broken` more since the deploy; `left` of its budget was there before."""

    name: str
    ratio: float
    usual: float
    broken: float
    left: float
    requests: float
    """A second, at noon."""

    def errors(self, window: float, ago: float) -> float:
        """The part of its requests that failed in the `window` seconds up to `ago`."""
        hit = max(0.0, min(DEPLOYED, ago + window) - max(ago, -DAY))
        return self.usual * (1 + 0.1 * noise(self.name, ago)) + self.broken * hit / window

    def budget(self, ago: float) -> float:
        """What of a month's budget is left."""
        spent = (self.usual * (LONG - ago) + self.broken * max(0.0, DEPLOYED - ago)) / (MONTH * (1 - self.ratio))
        return self.left - spent


OBJECTIVES = (
    Objective("checkout-availability", 0.999, 0.0004, 0.021, 0.55, 18),
    Objective("checkout-latency", 0.99, 0.004, 0.09, 0.71, 18),
    Objective("mail-delivery", 0.995, 0.0056, 0.0, 0.02, 3),
    Objective("search-freshness", 0.98, 0.002, 0.0, 0.93, 60),
)


def recorded(objective: Objective, epoch: float) -> Iterator[Past]:
    """The series of one; `epoch` is now, in seconds since the epoch."""
    labels, allowed = {"slo": objective.name, **PLACE}, 1 - objective.ratio
    yield level("slo:objective:ratio", objective.ratio, labels, since=LONG)
    yield level("slo:error_budget_left:ratio", objective.budget, labels, since=LONG)
    yield level("slo:burn_rate:1d", lambda ago: objective.errors(DAY, ago) / allowed, labels, since=LONG)
    yield level("slo:requests:rate5m", lambda ago: objective.requests * day(ago), labels, since=LONG)
    for name, window in WINDOWS.items():
        yield level(f"slo:error_ratio:{name}", partial(objective.errors, window), labels, since=LONG)
    burn = objective.errors(DAY, NOW) / allowed
    left = objective.budget(NOW)
    if burn > 1 and left > 0:
        gone = epoch + left * MONTH / burn
        yield level("slo:error_budget_exhausted:timestamp_seconds", gone, labels)


def objectives(epoch: float) -> Iterator[Past]:
    """All of it."""
    for objective in OBJECTIVES:
        yield from recorded(objective, epoch)
