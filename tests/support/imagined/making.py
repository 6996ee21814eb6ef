"""Series from what stays, what grows and what has a course."""

import hashlib
import math
from collections.abc import Callable, Mapping
from itertools import accumulate

from tests.support.prometheuses import AHEAD_SECONDS, Past

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SHORT = 7 * HOUR
"""How far back what no dashboard compares with yesterday goes."""
LONG = 26 * HOUR
DEPLOYED = 75 * MINUTE
"""How long ago the deploy was that broke checkouts."""
UNPAID = 50 * MINUTE
PLACE = {"environment": "prod"}
"""What the operator's targets are labelled with."""
Labels = Mapping[str, str]
Course = Callable[[float], float]
"""Seconds before now (negative: to come) -> a value."""


def noise(key: str, ago: float) -> float:
    """Between -1 and 1, the same in each run, another every two minutes."""
    digest = hashlib.blake2b(f"{key} {int((ago + AHEAD_SECONDS) // 120)}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**31 - 1


def day(ago: float) -> float:
    """How busy it is, 0.25 at night to 1 at noon; it is noon now."""
    return 0.625 + 0.375 * math.cos(2 * math.pi * ago / DAY)


def level(name: str, value: float | Course, labels: Labels, since: float = SHORT) -> Past:
    """A gauge that stays at a value or follows a course."""
    course = value if callable(value) else lambda _: value
    return Past(name, labels, course, since=since, every=MINUTE if since <= SHORT else 240.0)


def counter(name: str, rate: float | Course, labels: Labels, since: float = SHORT) -> Past:
    """A counter that grows by `rate` a second, which may follow a course."""
    every = MINUTE if since <= SHORT else 120.0
    course = rate if callable(rate) else lambda _: rate
    steps = range(int((since + AHEAD_SECONDS) / every) + 1)
    grown = list(accumulate(max(0.0, course(since - step * every)) * every for step in steps))
    return Past(name, labels, lambda ago: grown[round((since - ago) / every)], since=since, every=every)


def histogram(name: str, rate: float, seconds: Course, bounds: tuple[float, ...], labels: Labels) -> list[Past]:
    """Buckets of a histogram whose values spread about `seconds`, `rate` of them a second."""

    def below(bound: float) -> Course:
        return lambda ago: rate * (1 - math.exp(-((bound / seconds(ago)) ** 1.5)))

    made = [counter(f"{name}_bucket", below(bound), {**labels, "le": f"{bound:g}"}) for bound in bounds]
    return [*made, counter(f"{name}_bucket", rate, {**labels, "le": "+Inf"})]


def during(first: float, last: float, ago: float, there: float = 1.0, elsewhere: float = 0.0) -> float:
    """`there` from `first` to `last` seconds before now, `elsewhere` otherwise."""
    return there if last <= ago <= first else elsewhere
