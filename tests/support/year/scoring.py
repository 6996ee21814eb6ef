"""What was told against what was true: (year, notifications) -> what was missed, told twice or told wrongly. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from tests.support.year import HOUR, MINUTE
from tests.support.year.telling import Told, Way
from tests.support.year.timeline import Cause, Event, Year

AFTERWARDS = 2 * MINUTE
"""What is told this shortly after an event is told of it: the last bad answer stands until the next probe."""
_PREFIX = "ThirdParty"
_RIGHT = {
    Cause.LAPSE: {"PaymentRequired", "PaymentSuspected"},
    Cause.SUSPENSION: {"AccountSuspended"},
    Cause.DEAD_KEY: {"CredentialsInvalid"},
    Cause.SPENT_QUOTA: {"QuotaExhausted"},
    Cause.OUTAGE: {"NoSuccess"},
    Cause.EGRESS: {"EgressSuspected"},
    Cause.DEAD_CARD: {"SharedCardFailing"},
    Cause.THROTTLING: {"RateLimited"},
    Cause.ODD: set[str](),
}
_NOT_WRONG = {
    Cause.LAPSE: {"CredentialsInvalid"},
    Cause.DEAD_KEY: {"PaymentSuspected"},
    Cause.SPENT_QUOTA: {"RateLimited"},
}
"""What may also be told where the vendor says nothing, as long as nobody is woken for it."""
_MUST_AFTER = {Cause.OUTAGE: 70 * MINUTE, Cause.EGRESS: 5 * MINUTE, Cause.DEAD_CARD: 40 * MINUTE}
_SAID_AFTER, _BARE_AFTER = 30 * MINUTE, 90 * MINUTE


@dataclass(frozen=True)
class Verdicts:
    """A year's score. `tells` holds each event that has to be told, with what was told of it; delays are seconds from
    the event's start. `strays` are messages, not pages, of nothing that was true."""

    tells: Sequence[tuple[Event, tuple[Told, ...]]]
    pages: int
    messages: int
    false_pages: Sequence[Told]
    strays: Sequence[Told]

    @property
    def missed(self) -> list[Event]:
        """Events of which nobody heard."""
        return [event for event, told in self.tells if not told]

    @property
    def doubled(self) -> list[tuple[Event, tuple[Told, ...]]]:
        """Events told again. A page that follows a message is none: what was suspected has become certain."""
        return [(event, told) for event, told in self.tells if len(told) > 1 and not _escalated(told)]

    @property
    def escalated(self) -> int:
        """Events of which a message told first, and a page when the vendor said why."""
        return sum(_escalated(told) for _, told in self.tells)

    def delays(self, way: Way) -> list[float]:
        """How long the events that were told in this way took to be told."""
        return [told[0].at - event.start for event, told in self.tells if told and told[0].way is way]


def _escalated(told: Sequence[Told]) -> bool:
    return [one.page for one in told] == [False, True]


def score(year: Year, notifications: Sequence[Told]) -> Verdicts:
    """Each notification is put to the event that it is true of."""
    events = [*_joined(year.events), *_coincidences(year)]
    found: dict[Event, list[Told]] = {event: [] for event in events}
    wrong: list[Told] = []
    for told in notifications:
        event = _meant(told, events, year)
        (wrong if event is None else found[event]).append(told)
    return Verdicts(
        [(event, tuple(told)) for event, told in found.items() if _must_be_told(event, events, year) or len(told) > 1],
        sum(told.page for told in notifications),
        sum(not told.page for told in notifications),
        [told for told in wrong if told.page],
        [told for told in wrong if not told.page],
    )


def _joined(events: Iterable[Event]) -> Iterator[Event]:
    """Outages of a vendor that meet are one."""
    open_: dict[str, Event] = {}
    for event in events:
        if event.cause is not Cause.OUTAGE:
            yield event
            continue
        before = open_.get(event.vendor)
        if before is not None and event.start <= before.end + 5 * MINUTE:
            open_[event.vendor] = replace(before, end=max(before.end, event.end))
            continue
        if before is not None:
            yield before
        open_[event.vendor] = event
    yield from open_.values()


def _coincidences(year: Year) -> Iterator[Event]:
    """Two bills on a card that happen to be unpaid at once: it may be told of the card, and need not."""
    cards = {vendor.name: vendor.card for vendor in year.vendors if vendor.card}
    unpaid = [
        event for event in year.events if event.cause in {Cause.LAPSE, Cause.SUSPENSION} and event.vendor in cards
    ]
    for first, second in combinations(unpaid, 2):
        start, end, card = max(first.start, second.start), min(first.end, second.end), cards[first.vendor]
        if first.vendor != second.vendor and card == cards[second.vendor] and start < end:
            yield Event(Cause.DEAD_CARD, start, end, card=card, says_why=False)


def _meant(told: Told, events: Sequence[Event], year: Year) -> Event | None:
    if told.card:
        return _of_a_card(told.card, told.at, events)
    mine = [event for event in events if event.vendor == told.vendor and not event.card]
    now = [event for event in mine if event.start <= told.at <= event.end + AFTERWARDS]
    name = told.alert.removeprefix(_PREFIX)
    for event in now:
        if name in _RIGHT[event.cause]:
            return event
    for event in now:
        if not event.says_why and not told.page and name in _NOT_WRONG.get(event.cause, ()):
            return event
    if name == "NoSuccess" and now and _covers(told.at - HOUR, told.at, _all_of(told.vendor, events), year.absences):
        lately = [event for event in mine if event.start <= told.at and told.at - HOUR <= event.end]
        return min(lately, key=lambda event: event.start)
    return None


def _of_a_card(card: str, at: float, events: Sequence[Event]) -> Event | None:
    return next((one for one in events if one.card == card and one.start <= at <= one.end + AFTERWARDS), None)


def _all_of(vendor: str, events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.vendor == vendor or event.cause is Cause.EGRESS]


def _covers(start: float, end: float, events: Iterable[Event], absences: Sequence[tuple[float, float]]) -> bool:
    """Whether nothing was well from `start` to `end`, but for what lies between two probes."""
    known = sorted([*((event.start, event.end) for event in events), *absences])
    for begun, over in known:
        if begun <= start + AFTERWARDS:
            start = max(start, over)
    return start + AFTERWARDS >= end


def _must_be_told(event: Event, events: Sequence[Event], year: Year) -> bool:
    """Whether it lasts long enough, without another trouble before it, to matter and to be seen."""
    if event.cause in {Cause.ODD, Cause.THROTTLING} or (event.cause is Cause.DEAD_CARD and not event.says_why):
        return False
    of_an_account = _SAID_AFTER if event.says_why else _BARE_AFTER
    return _clear(event, events, year) >= _MUST_AFTER.get(event.cause, of_an_account)


def _clear(event: Event, events: Sequence[Event], year: Year) -> float:
    """The longest stretch of the event that nothing else hides, in seconds. An outage that begins in another trouble is
    hidden whole: until a good answer comes, what was told of that one stands."""
    others = [other for other in _all_of(event.vendor, events) if event.vendor and other is not event]
    hidden = sorted([*((other.start, other.end) for other in others), *year.absences])
    longest, since = 0.0, event.start
    for start, end in hidden:
        if event.cause is Cause.OUTAGE and start <= event.start < end + AFTERWARDS:
            return 0.0
        if start < event.end and end > since:
            longest, since = max(longest, start - since), end
    return max(longest, event.end - since)
