"""What `config/rules/thirdparty.yml` makes of states: (runs of states, now) -> which alerts fire from when to when. Pure.

The rules in a few lines, so that a year takes a second; `tests/unit/test_year_twin.py` holds them to promtool. A fold
of one evaluation at a time, which leaves out those that can't find anything new.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge

from exporter.config import Provider
from exporter.providers.egress import suspected
from exporter.providers.history import State
from exporter.providers.kinds import Certainty, Kind
from tests.support.year import HOUR, MINUTE
from tests.support.year.probing import EVERY, Run

TICK = 15.0
LOOKBACK = 5 * MINUTE
PROBES = 3
CONFIRMED_AFTER = 15 * MINUTE
SUCCESS_MAX_AGE = HOUR
PROBES_STALE = 10 * MINUTE

PAYMENT_ALERTS = {Kind.PAYMENT_REQUIRED: "ThirdPartyPaymentSuspected"}
SPLIT = frozenset({Kind.PAYMENT_REQUIRED})
"""Verdicts that only tell, after an hour, while nothing but the past or the status speaks for them."""
_SURMISED = frozenset({Certainty.HISTORY, Certainty.STATUS})
_NAMES = {
    Kind.PAYMENT_REQUIRED: "ThirdPartyPaymentRequired",
    Kind.ACCOUNT_SUSPENDED: "ThirdPartyAccountSuspended",
    Kind.CREDENTIALS_INVALID: "ThirdPartyCredentialsInvalid",
    Kind.QUOTA_EXHAUSTED: "ThirdPartyQuotaExhausted",
    Kind.RATE_LIMITED: "ThirdPartyRateLimited",
    Kind.PLAN_RESTRICTED: "ThirdPartyPlanRestricted",
}
_WARNINGS = frozenset({Kind.RATE_LIMITED, Kind.PLAN_RESTRICTED})
_CARD_KINDS = frozenset({Kind.PAYMENT_REQUIRED, Kind.ACCOUNT_SUSPENDED})


@dataclass(frozen=True)
class Alert:
    """An alerting rule: it fires once its expression has held for `hold` seconds."""

    name: str
    severity: str
    hold: float = TICK


NO_SUCCESS = Alert("ThirdPartyNoSuccess", "critical", MINUTE)
EGRESS = Alert("ThirdPartyEgressSuspected", "critical", MINUTE)
CARD = Alert("ThirdPartySharedCardFailing", "critical")


@dataclass(frozen=True)
class Firing:
    """An alert of a vendor, a card or (neither) all of them, that fired from `start` until `end`, infinite if it does
    to the last."""

    alert: Alert
    start: float
    end: float
    vendor: str = ""
    card: str = ""


@dataclass(frozen=True)
class Memory:
    """What the rules know of a vendor after an evaluation: the trouble that stands, whether it is surmised, and the
    alerts whose expression holds, each since when."""

    standing: Kind | None = None
    surmised: bool = False
    holds: Mapping[Alert, float] = field(default_factory=dict)


def evaluated(memory: Memory, state: State | None, now: float) -> Memory:
    """The rules once, at `now`; `state` is the one scraped within LOOKBACK, if any."""
    confirmed = state.kind if state is not None and _confirmed(state, now) else None
    standing, surmised = _standing(memory, confirmed, state)
    wanted = {alert for alert in (_told(standing, surmised), _no_success(state, standing, now)) if alert}
    return Memory(standing, surmised, {alert: memory.holds.get(alert, now) for alert in wanted})


def _confirmed(state: State, now: float) -> bool:
    return state.streak >= PROBES and now - state.since >= CONFIRMED_AFTER


def _standing(memory: Memory, confirmed: Kind | None, state: State | None) -> tuple[Kind | None, bool]:
    if state is None or state.kind is Kind.OK:
        return None, False
    if confirmed is None:
        return memory.standing, memory.surmised
    return confirmed, confirmed in SPLIT and state.certainty in _SURMISED


def _told(standing: Kind | None, surmised: bool) -> Alert | None:
    if standing not in _NAMES:
        return None
    if surmised:
        return Alert(PAYMENT_ALERTS.get(standing, _NAMES[standing]), "warning", 45 * MINUTE)
    return Alert(_NAMES[standing], "warning" if standing in _WARNINGS else "critical")


def _no_success(state: State | None, standing: Kind | None, now: float) -> Alert | None:
    if state is None or standing in _NAMES or now - state.last_probe > PROBES_STALE:
        return None
    return NO_SUCCESS if now - _last_good(state) > SUCCESS_MAX_AGE else None


def _last_good(state: State) -> float:
    return state.watched_since if state.last_success is None else state.last_success


# --- a vendor's fold


@dataclass(frozen=True)
class Watch:
    """What Prometheus can see of the exporter: nothing new in its absences, and nothing LOOKBACK after their start."""

    absences: Sequence[tuple[float, float]]
    end: float

    def seen_at(self, now: float) -> float | None:
        """When what is seen at `now` was scraped; None when that is too long ago."""
        position = bisect_right(self.absences, (now, math.inf)) - 1
        if position < 0 or now >= self.absences[position][1]:
            return now
        scraped = floor(self.absences[position][0])
        return scraped if now - scraped < LOOKBACK else None

    def edges(self) -> list[float]:
        """The ticks at which the sight changes."""
        found = ((away, floor(away) + LOOKBACK, back) for away, back in self.absences)
        return sorted(ceil(edge) for edges in found for edge in edges)


def folded(runs: Sequence[Run], watch: Watch, *, step_by_step: bool = False) -> Iterator[tuple[float, Memory]]:
    """(tick, memory) of each evaluation that can change something, or of each at all."""
    edges = watch.edges()
    memory, now, position = Memory(), ceil(runs[0].first), 0
    while now <= watch.end:
        seen = watch.seen_at(now)
        while seen is not None and position + 1 < len(runs) and runs[position + 1].first <= seen:
            position += 1
        state = runs[position].at(seen) if seen is not None else None
        memory = evaluated(memory, state, now)
        yield now, memory
        at = bisect_right(edges, now)
        coming = [*edges[at : at + 1], *_coming(memory, runs, position, now)]
        now = now + TICK if step_by_step else min((tick for tick in coming if tick > now), default=math.inf)


def _coming(memory: Memory, runs: Sequence[Run], position: int, now: float) -> Iterator[float]:
    """The ticks at which something may be new, some of them past."""
    run = runs[position]
    if position + 1 < len(runs):
        yield ceil(runs[position + 1].first)
    yield from (since + alert.hold for alert, since in memory.holds.items())
    third = run.first + max(0, PROBES - run.state.streak) * EVERY
    old = _last_good(run.at(run.last)) + SUCCESS_MAX_AGE
    yield from (ceil(third), ceil(run.state.since + CONFIRMED_AFTER), floor(old) + TICK)


def firings(vendor: str, history: Iterable[tuple[float, Memory]]) -> Iterator[Firing]:
    """When which alert of a vendor fired."""
    begun: dict[Alert, float] = {}
    for now, memory in history:
        firing = {alert for alert, since in memory.holds.items() if now - since >= alert.hold}
        for alert in begun.keys() - firing:
            yield Firing(alert, begun.pop(alert), now, vendor)
        for alert in firing - begun.keys():
            begun[alert] = now
    yield from (Firing(alert, since, math.inf, vendor) for alert, since in begun.items())


def floor(now: float) -> float:
    """The tick at or before `now`."""
    return now // TICK * TICK


def ceil(now: float) -> float:
    """The tick at or after `now`."""
    return -(-now // TICK) * TICK


# --- what concerns several vendors


def egress(histories: Mapping[str, Sequence[Run]], watch: Watch) -> Iterator[Firing]:
    """When our own way out was suspected."""
    providers = {name: Provider(name=name, url=f"https://api.{name}.example/") for name in histories}
    latest: dict[str, State] = {}

    def changes() -> Iterator[tuple[float, bool]]:
        for first, name, state in merge(*(_shifts(name, runs) for name, runs in histories.items())):
            latest[name] = state
            yield first, suspected([(providers[one], state) for one, state in latest.items()])

    return _held(EGRESS, changes(), watch)


def _shifts(name: str, runs: Sequence[Run]) -> Iterator[tuple[float, str, State]]:
    """The runs that bring what the suspicion looks at."""
    before: object = None
    for run in runs:
        state = run.state
        looked_at = (state.failing_since, state.certainty, state.last_success is None)
        if looked_at != before:
            yield run.first, name, state
        before = looked_at


def cards(
    histories: Mapping[str, Sequence[tuple[float, Memory]]], funded: Mapping[str, str], watch: Watch
) -> Iterator[Firing]:
    """When several vendors of a card were unpaid; `funded` is each vendor's card."""
    for card in sorted(set(funded.values()) - {""}):
        unpaid: set[str] = set()

        def changes(card: str = card, unpaid: set[str] = unpaid) -> Iterator[tuple[float, bool]]:
            mine = (_unpaid(name, history) for name, history in histories.items() if funded[name] == card)
            for now, name, stands in merge(*mine):
                (unpaid.add if stands else unpaid.discard)(name)
                yield now, len(unpaid) > 1

        yield from _held(CARD, changes(), watch, card)


def _unpaid(name: str, history: Sequence[tuple[float, Memory]]) -> Iterator[tuple[float, str, bool]]:
    before = False
    for now, memory in history:
        stands = memory.standing in _CARD_KINDS
        if stands is not before:
            yield now, name, stands
        before = stands


def _held(alert: Alert, changes: Iterable[tuple[float, bool]], watch: Watch, card: str = "") -> Iterator[Firing]:
    """Firings of an alert whose expression changes at these times, each seen at the next evaluation."""
    since: float | None = None
    for now, holds in _seen(changes, watch):
        if holds and since is None:
            since = now
        elif not holds and since is not None:
            if now - since > alert.hold:
                yield Firing(alert, since + alert.hold, now, card=card)
            since = None
    if since is not None and since + alert.hold <= watch.end:
        yield Firing(alert, since + alert.hold, math.inf, card=card)


def _seen(changes: Iterable[tuple[float, bool]], watch: Watch) -> Iterator[tuple[float, bool]]:
    """The last change before each evaluation, and nothing while the exporter is out of sight."""
    found: dict[float, bool] = {}
    for now, holds in changes:
        found[ceil(now)] = holds
    for away, back in watch.absences:
        unseen = floor(away) + LOOKBACK
        if unseen < back:
            value = [holds for tick, holds in found.items() if tick <= away][-1:] or [False]
            found[unseen] = False
            found[ceil(back)] = found.get(ceil(back), value[0])
    return iter(sorted(found.items()))
