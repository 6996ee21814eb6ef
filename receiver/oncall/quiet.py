"""When somebody is told of nothing that can wait. Pure."""

from collections.abc import Iterator
from datetime import time, timedelta

from receiver.oncall.settings import Rest
from receiver.oncall.windows import stretch
from receiver.oncall.zones import instant, local_day

LONGEST_SECONDS = 60 * 86400.0
"""Nothing is put off for longer: after this it is told in the quiet."""


def quiet_until(rest: Rest, severity: str, now: float) -> float | None:
    """Until when a person or a team is left alone (seconds since the epoch); None when they are told now.

    What is `critical` is always told. Quiet hours that run into a holiday, or into one another, are one quiet time.
    """
    if severity == "critical":
        return None
    until = now
    while until < now + LONGEST_SECONDS:
        ends = max(_ends(rest, until), default=None)
        if ends is None:
            break
        until = ends
    return until if until > now else None


def _ends(rest: Rest, at: float) -> Iterator[float]:
    """The ends of all that makes `at` a quiet time."""
    today = local_day(at, rest.timezone)
    for holiday in rest.holidays:
        if holiday.from_ <= today <= holiday.to:
            yield instant(holiday.to + timedelta(days=1), time(), rest.timezone)
    if rest.quiet_hours:
        hours = stretch(rest.quiet_hours, rest.timezone, at)
        if hours.inside:
            yield hours.until
