"""Draws a year of a dozen vendors: what happens to whom, when, for how long, and what each then answers.

It knows nothing of how answers are judged, nor of any rule's durations: rates and lengths are of the order of what
vendors' status pages and a team's memory tell.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from exporter.providers.answer import Exchange
from tests.support.year import DAY, HOUR, MINUTE, wording
from tests.support.year.timeline import Answer, Cause, Event, Layer, Spell, Vendor, Year

NAMES = ("mail", "maps", "search", "sms", "pay", "fraud", "chat", "cdn", "geocode", "speech", "tax", "weather")
CARDS = ("office", "office", "office", "office", "travel", "travel", "ads", "ads", "", "", "", "")
LENGTH = 365 * DAY
BARE = 0.3
"""The share of troubles that a vendor refuses with a status and no word."""

ROUTINE = 0.4
"""The share of long refusals that are worded anew on the way, by another part of the vendor."""
CROWDED = 0.15
"""The share of outages after which everybody comes back at once and is throttled."""


@dataclass
class Drawn:
    """A year while it is drawn."""

    draw: Random
    events: list[Event] = field(default_factory=list)
    spells: dict[str, list[Spell]] = field(default_factory=lambda: {name: [] for name in NAMES})
    secrets: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: {name: [(0.0, "first")] for name in NAMES}
    )

    def times(self, a_year: float, length: float = LENGTH) -> Iterator[float]:
        """Moments at a mean rate, not in the first week: Tocsin is set up while all is well."""
        now = 7 * DAY
        while (now := now + self.draw.expovariate(a_year / LENGTH)) < length - 2 * DAY:
            yield now

    def between(self, least: float, most: float) -> float:
        """A duration; short ones are more usual than long ones."""
        return least * math.pow(most / least, self.draw.random())

    def spell(self, name: str, start: float, end: float, answers: tuple[Answer, ...], layer: Layer) -> None:
        self.spells[name].append(Spell(start, end, answers, layer))

    def is_free(self, name: str, start: float, end: float) -> bool:
        """Whether the account of this vendor is in no other trouble then, nor shortly before or after."""
        return self._apart(name, start, end, Layer.ACCOUNT, DAY)

    def is_up(self, name: str, start: float, end: float) -> bool:
        """Whether the vendor itself is in no other trouble then."""
        return self._apart(name, start, end, Layer.VENDOR, 5 * MINUTE)

    def _apart(self, name: str, start: float, end: float, layer: Layer, distance: float) -> bool:
        mine = (spell for spell in self.spells[name] if spell.layer is layer)
        return all(end + distance < spell.start or spell.end + distance < start for spell in mine)


def year(seed: int) -> Year:
    """The year of this seed: always the same."""
    drawn = Drawn(Random(seed))
    for happening in (_dead_cards, _account_troubles, _rotations, _outages, _oddities, _ways_out):
        happening(drawn)
    absences = tuple(_absences(drawn))
    return Year(tuple(_vendors(drawn)), tuple(sorted(drawn.events, key=lambda event: event.start)), LENGTH, absences)


def _vendors(drawn: Drawn) -> Iterator[Vendor]:
    for name, card in zip(NAMES, CARDS, strict=True):
        good = Exchange(200, drawn.draw.choice(wording.GOOD).encode(), {"content-type": "application/json"})
        yield Vendor(name, good, tuple(drawn.spells[name]), tuple(sorted(drawn.secrets[name])), card)


# --- the account


@dataclass(frozen=True)
class Trouble:
    """What can happen to an account: how often a year to a vendor, and for how long."""

    cause: Cause
    a_year: float
    least: float
    most: float


TROUBLES = (
    Trouble(Cause.LAPSE, 0.5, 3 * HOUR, 5 * DAY),
    Trouble(Cause.SUSPENSION, 0.12, 6 * HOUR, 6 * DAY),
    Trouble(Cause.DEAD_KEY, 0.4, 90 * MINUTE, 2 * DAY),
    Trouble(Cause.SPENT_QUOTA, 0.6, 4 * HOUR, 9 * DAY),
)


def _account_troubles(drawn: Drawn) -> None:
    for name in NAMES:
        for trouble in TROUBLES:
            for start in drawn.times(trouble.a_year):
                end = start + drawn.between(trouble.least, trouble.most)
                if drawn.is_free(name, start, end):
                    _trouble(drawn, name, trouble.cause, start, end)


def _trouble(drawn: Drawn, name: str, cause: Cause, start: float, end: float) -> Event:
    says_why = not wording.can_be_bare(cause) or drawn.draw.random() >= BARE
    worded = wording.said if says_why else wording.bare
    event = Event(cause, start, end, name, says_why=says_why)
    drawn.events.append(event)
    _refuse(drawn, name, start, end, lambda: worded(cause, drawn.draw))
    return event


def _refuse(drawn: Drawn, name: str, start: float, end: float, answer: Callable[[], Answer]) -> None:
    """A refusal that spreads over the vendor's machines for some minutes, and may change its wording on the way."""
    first = answer()
    spread = start + drawn.draw.uniform(0, 6 * MINUTE)
    drawn.spell(name, start, spread, (first, Exchange(200, b"{}", {})), Layer.ACCOUNT)
    if end - start > 12 * HOUR and drawn.draw.random() < ROUTINE:
        turn = drawn.draw.uniform(start + 6 * HOUR, end - HOUR)
        drawn.spell(name, spread, turn, (first,), Layer.ACCOUNT)
        drawn.spell(name, turn, end, (answer(),), Layer.ACCOUNT)
    else:
        drawn.spell(name, spread, end, (first,), Layer.ACCOUNT)


def _dead_cards(drawn: Drawn) -> None:
    """A card that is refused: its vendors stop one after another, each when it next charges."""
    for card in sorted(set(CARDS) - {""}):
        names = [name for name, its in zip(NAMES, CARDS, strict=True) if its == card]
        for start in drawn.times(0.4):
            end = start + drawn.between(2 * DAY, 6 * DAY)
            if all(drawn.is_free(name, start, end) for name in names):
                stops = [
                    _trouble(drawn, name, Cause.LAPSE, drawn.draw.uniform(start, end - DAY), end) for name in names
                ]
                drawn.events.append(_of_the_card(card, stops))


def _of_the_card(card: str, stops: Sequence[Event]) -> Event:
    """It can be seen from the second vendor on that stops, and be known once one of them says why."""
    starts = sorted(stop.start for stop in stops)
    said = [stop.start for stop in stops if stop.says_why]
    return Event(
        Cause.DEAD_CARD,
        max(starts[1], min(said, default=0.0)),
        max(stop.end for stop in stops),
        card=card,
        says_why=bool(said),
    )


def _rotations(drawn: Drawn) -> None:
    """A key is changed: mostly well, sometimes before the vendor knows the new one, sometimes to a wrong one."""
    for name in NAMES:
        for number, start in enumerate(drawn.times(3)):
            length = _until_it_works(drawn)
            if not drawn.is_free(name, start, start + length):
                continue
            drawn.secrets[name].append((start, f"rotated-{number}"))
            if length > 10 * MINUTE:
                _trouble(drawn, name, Cause.DEAD_KEY, start, start + length)
            elif length:
                drawn.spell(name, start, start + length, (wording.said(Cause.DEAD_KEY, drawn.draw),), Layer.ACCOUNT)
                drawn.events.append(Event(Cause.ODD, start, start + length, name))


def _until_it_works(drawn: Drawn) -> float:
    luck = drawn.draw.random()
    if luck < 0.7:
        return 0.0
    return drawn.between(1 * MINUTE, 9 * MINUTE) if luck < 0.85 else drawn.between(30 * MINUTE, 8 * HOUR)


# --- the vendor


def _outages(drawn: Drawn) -> None:
    for name in NAMES:
        for start in drawn.times(14):
            _outage(drawn, name, start, drawn.between(4 * MINUTE, 6 * HOUR), wording.down(drawn.draw))
        for start in drawn.times(4):
            night = start // DAY * DAY + 2 * HOUR
            _outage(drawn, name, night, drawn.between(20 * MINUTE, 5 * HOUR), wording.maintenance(drawn.draw))


def _outage(drawn: Drawn, name: str, start: float, length: float, answers: tuple[Answer, ...]) -> None:
    end = start + length
    if not drawn.is_up(name, start, end):
        return
    drawn.spell(name, start, end, answers, Layer.VENDOR)
    drawn.events.append(Event(Cause.OUTAGE, start, end, name))
    if drawn.draw.random() < CROWDED:
        _throttled(drawn, name, end, end + drawn.between(2 * MINUTE, 40 * MINUTE))


def _throttled(drawn: Drawn, name: str, start: float, end: float) -> None:
    worded = wording.bare if drawn.draw.random() < BARE else wording.said
    drawn.spell(name, start, end, (worded(Cause.THROTTLING, drawn.draw),), Layer.VENDOR)
    drawn.events.append(Event(Cause.THROTTLING, start, end, name))


def _oddities(drawn: Drawn) -> None:
    for name in NAMES:
        _odd(drawn, name, 150, (MINUTE, MINUTE), wording.down)
        _odd(drawn, name, 4, (5 * MINUTE, 45 * MINUTE), wording.odd_refusal)
        _odd(drawn, name, 4, (20 * MINUTE, 8 * HOUR), wording.half_down, account=True)
        for start in drawn.times(12):
            end = start + drawn.between(MINUTE, 40 * MINUTE)
            if drawn.is_up(name, start, end):
                _throttled(drawn, name, start, end)


def _odd(
    drawn: Drawn,
    name: str,
    a_year: float,
    lengths: tuple[float, float],
    answers: Callable[[Random], tuple[Answer, ...]],
    *,
    account: bool = False,
) -> None:
    """What is strange and passes; `account`: only while the account is well, for some of the answers are good."""
    for start in drawn.times(a_year):
        end = start + drawn.between(*lengths)
        if drawn.is_up(name, start, end) and (not account or drawn.is_free(name, start, end)):
            drawn.spell(name, start, end, answers(drawn.draw), Layer.VENDOR)
            drawn.events.append(Event(Cause.ODD, start, end, name))


# --- ourselves


def _ways_out(drawn: Drawn) -> None:
    """Our own network: failures of a quarter of an hour and more, and hiccups that are over before anybody could look."""
    for start in drawn.times(4):
        _no_way_out(drawn, start, drawn.between(10 * MINUTE, 90 * MINUTE), wording.no_way_out(drawn.draw))
    for start in drawn.times(12):
        _no_way_out(drawn, start, drawn.between(5, 50), wording.no_name())


def _no_way_out(drawn: Drawn, start: float, length: float, answers: tuple[Answer, ...]) -> None:
    for name in NAMES:
        drawn.spell(name, start, start + length, answers, Layer.WAY)
    drawn.events.append(Event(Cause.EGRESS, start, start + length))


def _absences(drawn: Drawn) -> Iterator[tuple[float, float]]:
    """Deploys of the exporter, some of which start before the resolver does, and now and then a host that is down."""
    back = 0.0
    for away in sorted([*drawn.times(40), *drawn.times(2)]):
        if away < back + HOUR:
            continue
        long = drawn.draw.random() < 0.05
        back = away + (drawn.between(8 * MINUTE, 50 * MINUTE) if long else drawn.between(3, 2 * MINUTE))
        yield away, back
        if drawn.draw.random() < 0.15:
            _no_way_out(drawn, back, drawn.between(2, 30), wording.no_name())
