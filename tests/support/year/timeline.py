"""What happens in a year, as values: the truth, and what each vendor answers when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from itertools import pairwise

from exporter.providers.answer import Exchange, Failure

Answer = Exchange | Failure


class Cause(StrEnum):
    """What truly happened."""

    LAPSE = "lapse"  # a subscription or bill is unpaid
    SUSPENSION = "suspension"
    DEAD_KEY = "dead key"
    SPENT_QUOTA = "spent quota"
    OUTAGE = "outage"
    EGRESS = "egress failure"
    DEAD_CARD = "dead card"
    THROTTLING = "throttling"
    ODD = "something odd"  # a blip, a degradation, a login page for minutes: nobody's business


class Layer(IntEnum):
    """Who answers, when more than one thing is wrong: the higher one."""

    ACCOUNT = 1
    VENDOR = 2
    WAY = 3


@dataclass(frozen=True)
class Event:
    """Something that happened to `vendor`, to every vendor on `card`, or (neither) to all of them.

    `says_why`: whether the vendor's answer tells the cause, so that it can be known for certain.
    """

    cause: Cause
    start: float
    end: float
    vendor: str = ""
    card: str = ""
    says_why: bool = True


@dataclass(frozen=True)
class Spell:
    """From `start` to `end`, each probe gets one of `answers`."""

    start: float
    end: float
    answers: tuple[Answer, ...]
    layer: Layer = Layer.VENDOR


@dataclass(frozen=True)
class Vendor:
    """A vendor: what it answers when all is well, its spells in any order, and the secrets we used, each from when."""

    name: str
    good: Answer
    spells: tuple[Spell, ...] = ()
    secrets: tuple[tuple[float, str], ...] = ((0.0, "first"),)
    card: str = ""


@dataclass(frozen=True)
class Year:
    """`absences` are (from, to) in which the exporter doesn't run. It need not last a year."""

    vendors: tuple[Vendor, ...]
    events: tuple[Event, ...]
    end: float
    absences: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Span:
    """A stretch in which one set of answers is given to one secret."""

    start: float
    end: float
    answers: tuple[Answer, ...] = field(compare=False)
    secret: str


def spans(vendor: Vendor, end: float) -> Iterator[Span]:
    """The whole time from 0 to `end`, cut where the answers or the secret change."""
    ordered = sorted(vendor.spells, key=lambda spell: spell.start)
    edges = {0.0, end} | {at for at, _ in vendor.secrets}
    edges |= {edge for spell in ordered for edge in (spell.start, spell.end)}
    under_way: list[Spell] = []
    position = 0
    for start, stop in pairwise(sorted(edge for edge in edges if 0 <= edge <= end)):
        while position < len(ordered) and ordered[position].start <= start:
            under_way.append(ordered[position])
            position += 1
        under_way = [spell for spell in under_way if spell.end > start]
        yield Span(start, stop, _answers(vendor, under_way), _secret(vendor.secrets, start))


def _answers(vendor: Vendor, under_way: Sequence[Spell]) -> tuple[Answer, ...]:
    # of equal layers the later one
    return max(under_way, key=lambda spell: (spell.layer, spell.start)).answers if under_way else (vendor.good,)


def _secret(secrets: Sequence[tuple[float, str]], now: float) -> str:
    return next(secret for at, secret in reversed(secrets) if at <= now)
