"""The company's replicas of Tocsin, and what several of its series need."""

from tests.support.imagined.making import DEPLOYED, HOUR, MINUTE, PLACE, Course, Labels, day, noise

EXPORTERS: list[Labels] = [{"job": "tocsin-exporter", "instance": f"exporter-{n}:9970", **PLACE} for n in (1, 2)]
RECEIVERS: list[Labels] = [{"job": "tocsin-receiver", "instance": f"receiver-{n}:9971", **PLACE} for n in (1, 2)]
FIRST_EXPORTER, FIRST_RECEIVER = EXPORTERS[0], RECEIVERS[0]
RESTARTED = 3 * HOUR
"""How long ago the second exporter was restarted."""
AWAY = (110 * MINUTE, 65 * MINUTE)
"""From when to when the channel slack-ops could not be reached, in seconds before now."""
DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def busy(rate: float, broken: float = 1.0) -> Course:
    """A rate that follows the day, and what the deploy left of it."""
    return lambda ago: rate * day(ago) * (broken if ago < DEPLOYED else 1) * (1 + 0.08 * noise(str(rate), ago))


def about(value: float, key: str, spread: float = 0.2) -> Course:
    """Near a value."""
    return lambda ago: value * (1 + spread * noise(key, ago))


def behind_now(epoch: float, key: str, behind: float = 30) -> Course:
    """A time that goes along with the clock, about `behind` seconds late."""
    return lambda ago: epoch - ago - behind * (1 + 0.8 * noise(key, ago))
