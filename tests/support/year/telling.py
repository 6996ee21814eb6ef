"""What Alertmanager makes of firing alerts, by `config/alertmanager.yml`: who is told what, when. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.support.year.twin import EGRESS, Firing

GROUP_WAIT = 5.0
GROUP_INTERVAL = 30.0
HELD_BACK_BY_EGRESS = frozenset(
    {"ThirdPartyNoSuccess", "ThirdPartyPaymentSuspected", "ThirdPartyCredentialsInvalid", "ThirdPartyRateLimited"}
)


@dataclass(frozen=True)
class Told:
    """One notification at `at`: a page when it is critical, a message when not."""

    at: float
    alert: str
    severity: str
    vendor: str = ""
    card: str = ""

    @property
    def page(self) -> bool:
        """Whether it wakes somebody."""
        return self.severity == "critical"


def told(firings: Iterable[Firing]) -> list[Told]:
    """Every first notification, in the order of time. Repeats and resolves are left out."""
    known = sorted(firings, key=lambda firing: firing.start)
    egress = [firing for firing in known if firing.alert == EGRESS]
    found = [_first(firing, egress) for firing in _without_flaps(known)]
    return sorted((one for one in found if one is not None), key=lambda one: one.at)


def _without_flaps(firings: Sequence[Firing]) -> Iterator[Firing]:
    """An alert that was gone for less than GROUP_INTERVAL was not seen to go."""
    latest: dict[tuple[str, str, str, str], Firing] = {}
    for firing in firings:
        key = (firing.alert.name, firing.alert.severity, firing.vendor, firing.card)
        before = latest.get(key)
        if before is not None and firing.start - before.end < GROUP_INTERVAL:
            firing = Firing(firing.alert, before.start, firing.end, firing.vendor, firing.card)  # noqa: PLW2901 - both as one
        elif before is not None:
            yield before
        latest[key] = firing
    yield from latest.values()


def _first(firing: Firing, egress: Sequence[Firing]) -> Told | None:
    """The first flush of its group at which it fires and nothing holds it back."""
    at = firing.start + GROUP_WAIT
    while firing.alert.name in HELD_BACK_BY_EGRESS and (source := _holding(egress, at)) is not None:
        if source.end == math.inf:
            return None
        at += math.ceil((source.end - at) / GROUP_INTERVAL) * GROUP_INTERVAL
    if at >= firing.end:
        return None
    return Told(at, firing.alert.name, firing.alert.severity, firing.vendor, firing.card)


def _holding(egress: Sequence[Firing], now: float) -> Firing | None:
    return next((firing for firing in egress if firing.start <= now < firing.end), None)
