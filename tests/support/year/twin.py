"""What `config/rules/thirdparty.yml` makes of states: (runs of states, now) -> which alerts fire from when to when. Pure.

The rules in a few lines, so that a year takes a second; `tests/unit/test_year_twin.py` holds them to promtool. A fold
of one evaluation at a time, which leaves out those that can't find anything new.
"""

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

SPLIT = frozenset(
    {Kind.PAYMENT_REQUIRED, Kind.ACCOUNT_SUSPENDED, Kind.CREDENTIALS_INVALID, Kind.QUOTA_EXHAUSTED},
)
"""Verdicts that page when the vendor says so itself, and are a message after an hour when it does not."""
_ACCOUNT = SPLIT | {Kind.PLAN_RESTRICTED}
_CARD_KINDS = frozenset({Kind.PAYMENT_REQUIRED, Kind.ACCOUNT_SUSPENDED})
_SAID = frozenset({Certainty.CODE, Certainty.WORDS})


@dataclass(frozen=True)
class Alert:
    """An alerting rule: it fires once its expression has held for `hold` seconds, and `keep` seconds longer."""

    name: str
    severity: str
    hold: float = TICK
    keep: float = 0.0


PAGES = {
    Kind.PAYMENT_REQUIRED: Alert("ThirdPartyPaymentRequired", "critical"),
    Kind.ACCOUNT_SUSPENDED: Alert("ThirdPartyAccountSuspended", "critical"),
    Kind.CREDENTIALS_INVALID: Alert("ThirdPartyCredentialsInvalid", "critical"),
    Kind.QUOTA_EXHAUSTED: Alert("ThirdPartyQuotaExhausted", "critical"),
}
SUSPICIONS = {
    Kind.PAYMENT_REQUIRED: Alert("ThirdPartyPaymentSuspected", "warning", 45 * MINUTE, MINUTE),
    Kind.ACCOUNT_SUSPENDED: Alert("ThirdPartyAccountSuspended", "warning", 45 * MINUTE, MINUTE),
    Kind.CREDENTIALS_INVALID: Alert("ThirdPartyCredentialsInvalid", "warning", 45 * MINUTE, MINUTE),
    Kind.QUOTA_EXHAUSTED: Alert("ThirdPartyQuotaExhausted", "warning", 45 * MINUTE, MINUTE),
}
RATE_LIMITED = Alert("ThirdPartyRateLimited", "warning")
PLAN_RESTRICTED = Alert("ThirdPartyPlanRestricted", "warning")
NO_SUCCESS = Alert("ThirdPartyNoSuccess", "critical", MINUTE)
EGRESS = Alert("ThirdPartyEgressSuspected", "critical", MINUTE, 5 * MINUTE)
CARD = Alert("ThirdPartySharedCardFailing", "critical")
_CARD_SUSPICIONS = frozenset(SUSPICIONS[kind] for kind in _CARD_KINDS)
_RAISED = frozenset({*SUSPICIONS.values(), RATE_LIMITED, PLAN_RESTRICTED})
"""What keeps a surmised trouble standing: somebody was told of it."""


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
class Hold:
    """An alert's expression holds since `since`; or has not since `lost`, and the alert is kept."""

    since: float
    lost: float | None = None


@dataclass(frozen=True)
class Memory:
    """What the rules know of a vendor after an evaluation: the trouble that stands, whether the vendor said so itself,
    whether a good answer is overdue, what holds, and what fires."""

    standing: Kind | None = None
    told: bool = False
    overdue: bool = False
    holds: Mapping[Alert, Hold] = field(default_factory=dict)
    firing: frozenset[Alert] = frozenset()


def evaluated(memory: Memory, state: State | None, now: float) -> Memory:
    """The rules once, at `now`; `state` is the one scraped within LOOKBACK. None when the exporter is out of sight: then
    everything stays as it was."""
    standing, told, overdue = memory.standing, memory.told, memory.overdue
    if state is not None:
        standing, told = _standing(memory, state, now)
        fresh = now - state.last_probe <= PROBES_STALE
        overdue = now - _last_good(state) > SUCCESS_MAX_AGE and (fresh or overdue)
    wanted = set(_account(standing, told, memory.firing))
    if overdue and _unexplained(standing, told, memory.firing):
        wanted.add(NO_SUCCESS)
    holds = {**dict(_kept(memory, wanted, now)), **{alert: _held_since(memory, alert, now) for alert in wanted}}
    firing = frozenset(alert for alert, hold in holds.items() if now - hold.since >= alert.hold)
    return Memory(standing, told, overdue, holds, firing)


def _standing(memory: Memory, state: State, now: float) -> tuple[Kind | None, bool]:
    """The trouble that stands, and whether the vendor said so: the best founded one."""
    if state.kind is Kind.OK:
        return None, False
    confirmed = state.kind if state.streak >= PROBES and now - state.since >= CONFIRMED_AFTER else None
    if confirmed in _ACCOUNT and state.certainty in _SAID:
        return confirmed, confirmed in SPLIT
    if memory.told:
        return memory.standing, True
    raised = memory.standing in _ACCOUNT and not _RAISED.isdisjoint(memory.firing)
    return (memory.standing if raised or confirmed is None else confirmed), False


def _account(standing: Kind | None, told: bool, firing: Collection[Alert]) -> Iterator[Alert]:
    """What is raised of an account's trouble. Throttling that has been told is not told anew as a spent quota."""
    throttled = RATE_LIMITED in firing
    if standing is Kind.PLAN_RESTRICTED:
        yield PLAN_RESTRICTED
    elif standing is Kind.RATE_LIMITED or (standing is Kind.QUOTA_EXHAUSTED and not told and throttled):
        yield RATE_LIMITED
    elif standing in SPLIT:
        yield (PAGES if told else SUSPICIONS)[standing]


def _unexplained(standing: Kind | None, told: bool, firing: Collection[Alert]) -> bool:
    """Whether no account's trouble says why; a page that is out is not taken back for a suspicion."""
    if told or standing in {Kind.RATE_LIMITED, Kind.PLAN_RESTRICTED}:
        return False
    return standing not in SPLIT or NO_SUCCESS in firing


def _kept(memory: Memory, wanted: Collection[Alert], now: float) -> Iterator[tuple[Alert, Hold]]:
    for alert in memory.firing - set(wanted):
        lost = memory.holds[alert].lost
        hold = Hold(memory.holds[alert].since, now if lost is None else lost)
        if now - (hold.lost or now) < alert.keep:
            yield alert, hold


def _held_since(memory: Memory, alert: Alert, now: float) -> Hold:
    return Hold(memory.holds[alert].since if alert in memory.holds else now)


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
        before, memory = memory, evaluated(memory, state, now)
        yield now, memory
        at = bisect_right(edges, now)
        coming = [*edges[at : at + 1], *_coming(memory, runs[position], now)]
        coming += [ceil(run.first) for run in runs[position + 1 : position + 2]]
        coming += [now + TICK] if memory != before else []
        now = now + TICK if step_by_step else min((tick for tick in coming if tick > now), default=math.inf)


def _coming(memory: Memory, run: Run, now: float) -> Iterator[float]:
    """The ticks at which time alone may bring something new, some of them past."""
    for alert, hold in memory.holds.items():
        yield hold.since + alert.hold
        yield (hold.lost or now) + alert.keep
    third = run.first + max(0, PROBES - run.state.streak) * EVERY
    old = _last_good(run.at(run.last)) + SUCCESS_MAX_AGE
    yield from (ceil(third), ceil(run.state.since + CONFIRMED_AFTER), floor(old) + TICK)


def firings(vendor: str, history: Iterable[tuple[float, Memory]]) -> Iterator[Firing]:
    """When which alert of a vendor fired."""
    begun: dict[Alert, float] = {}
    for now, memory in history:
        for alert in begun.keys() - memory.firing:
            yield Firing(alert, begun.pop(alert), now, vendor)
        for alert in memory.firing - begun.keys():
            begun[alert] = now
    yield from (Firing(alert, since, math.inf, vendor) for alert, since in begun.items())


def floor(now: float) -> float:
    """The tick at or before `now`."""
    return now // TICK * TICK


def ceil(now: float) -> float:
    """The tick at or after `now`."""
    return -(-now // TICK) * TICK


# --- what concerns several vendors


def provider(name: str) -> Provider:
    """A vendor as the exporter's configuration has it: each at a host of its own."""
    return Provider(name=name, url=f"https://api.{name}.example/")


def egress(histories: Mapping[str, Sequence[Run]], watch: Watch) -> Iterator[Firing]:
    """When our own way out was suspected."""
    providers = {name: provider(name) for name in histories}
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
    """When several vendors of a card were unpaid, said to be or suspected for an hour, and one at least said so; `funded`
    is each vendor's card."""
    for card in sorted(set(funded.values()) - {""}):
        mine = [_unpaid(name, history) for name, history in histories.items() if funded[name] == card]
        yield from _held(CARD, _failing(mine), watch, card)


Unpaid = tuple[float, str, tuple[bool, bool]]


def _failing(vendors: Iterable[Iterator[Unpaid]]) -> Iterator[tuple[float, bool]]:
    latest: dict[str, tuple[bool, bool]] = {}
    for now, name, one in merge(*vendors):
        latest[name] = one
        yield now, sum(unpaid for unpaid, _ in latest.values()) > 1 and any(said for _, said in latest.values())


def _unpaid(name: str, history: Sequence[tuple[float, Memory]]) -> Iterator[Unpaid]:
    """When it changes whether a vendor is unpaid, and whether it says so."""
    before = (False, False)
    for now, memory in history:
        said = memory.told and memory.standing in _CARD_KINDS
        unpaid = said or not _CARD_SUSPICIONS.isdisjoint(memory.firing)
        if before != (found := (unpaid, said)):
            yield now, name, found
        before = found


def _held(alert: Alert, changes: Iterable[tuple[float, bool]], watch: Watch, card: str = "") -> Iterator[Firing]:
    """Firings of an alert whose expression changes at these times, each seen at the next evaluation."""
    firing: Firing | None = None
    for start, end in _stretches(_seen(changes, watch)):
        if firing is not None and start < firing.end:
            firing = replace(firing, end=end + alert.keep)
        elif end - start > alert.hold:
            if firing is not None:
                yield firing
            firing = Firing(alert, start + alert.hold, end + alert.keep, card=card)
    if firing is not None and firing.start <= watch.end:
        yield firing


def _stretches(changes: Iterable[tuple[float, bool]]) -> Iterator[tuple[float, float]]:
    since: float | None = None
    for now, holds in changes:
        if holds and since is None:
            since = now
        elif not holds and since is not None:
            yield since, now
            since = None
    if since is not None:
        yield since, math.inf


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
