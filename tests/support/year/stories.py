"""Years of a few hours, written by hand: what happens, and exactly what has to be told of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.providers.answer import Exchange, Failure
from tests.support.year import DAY, HOUR, MINUTE
from tests.support.year.timeline import Answer, Layer, Spell, Vendor, Year

GOOD = Exchange(200, b'{"id": "acct_1"}', {"content-type": "application/json"})
BARE = Exchange(401, b"", {})
EXPIRED = Exchange(401, b'{"error": {"message": "Your subscription has expired. Please renew it."}}')
UNPAID = Exchange(402, b'{"error": {"code": "invoice_overdue", "message": "Your invoice is overdue."}}')
DEAD = Exchange(401, b'{"error": {"code": "invalid_api_key", "message": "The API key is not valid."}}')
SPENT = Exchange(429, b'{"error": {"code": "monthly_quota_exceeded", "message": "Your monthly quota is used up."}}')
SUSPENDED = Exchange(403, b'{"error": {"code": "account_suspended"}}')
THROTTLED = Exchange(429, b"", {"retry-after": "20"})
GATEWAY = Exchange(504, b"<html><head><title>504 Gateway Time-out</title></head></html>")
SLOW = Failure("timeout", "not within 10 s", 10.0)
NO_NAME = Failure("dns", "the name could not be resolved")
CLOSED = Exchange(503, b"", {"retry-after": "7200"})
BLOCKED = Exchange(403, b"<html><title>Blocked</title><body>The web filter has blocked this site.</body></html>")

HERE = 2 * HOUR
"""When a story begins: by then all has been well for two hours."""


@dataclass(frozen=True)
class Expected:
    """A notification: its alert, "page" or "message", of whom, and when: not before `minutes` after HERE, and within
    SLACK."""

    alert: str
    how: str
    whom: str
    minutes: float


SLACK = 3.0
"""Minutes: a probe, a scrape, an evaluation, and Alertmanager's wait."""


@dataclass(frozen=True)
class Story:
    """What happens, and what is told of it."""

    name: str
    year: Year
    expected: tuple[Expected, ...]


def _spell(start: float, end: float, *answers: Answer, layer: Layer = Layer.VENDOR) -> Spell:
    """Minutes after HERE."""
    return Spell(HERE + start * MINUTE, HERE + end * MINUTE, answers, layer)


def _year(*vendors: Vendor, hours: float = 8, away: Iterable[tuple[float, float]] = ()) -> Year:
    absences = tuple((HERE + start * MINUTE, HERE + end * MINUTE) for start, end in away)
    return Year(vendors, (), HERE + hours * HOUR, absences)


def _one(*spells: Spell, hours: float = 8, away: Iterable[tuple[float, float]] = ()) -> Year:
    return _year(Vendor("mail", GOOD, spells), hours=hours, away=away)


def _twelve(*spells: Spell, more: dict[int, Spell] | None = None) -> Year:
    names = [f"vendor-{number}" for number in range(12)]
    own = more or {}
    return _year(*(Vendor(name, GOOD, (*spells, *([own[at]] if at in own else []))) for at, name in enumerate(names)))


def _rotated(*spells: Spell) -> Year:
    return _year(Vendor("mail", GOOD, spells, ((0.0, "old"), (HERE, "new"))))


NOBODY: tuple[Expected, ...] = ()
_DAYS = 2 * DAY / MINUTE

STORIES: Sequence[Story] = (
    Story("all is well", _one(), NOBODY),
    # --- the bill
    Story(
        "the 401 that meant an expired subscription",
        _one(_spell(0, 300, EXPIRED)),
        (Expected("PaymentRequired", "page", "mail", 15),),
    ),
    Story(
        "the 401 that meant it without a word is a message, and wakes nobody",
        _one(_spell(0, 300, BARE)),
        (Expected("PaymentSuspected", "message", "mail", 60),),
    ),
    Story(
        "a bare refusal that the vendor explains two hours later is a message, then a page",
        _one(_spell(0, 120, BARE), _spell(120, 300, UNPAID)),
        (Expected("PaymentSuspected", "message", "mail", 60), Expected("PaymentRequired", "page", "mail", 120)),
    ),
    Story(
        "a bill that is named first and refused without a word later is told once",
        _one(_spell(0, 120, UNPAID), _spell(120, 400, BARE)),
        (Expected("PaymentRequired", "page", "mail", 15),),
    ),
    Story("a refusal of ten minutes, while the payment goes through", _one(_spell(0, 10, UNPAID)), NOBODY),
    Story("a login service of the vendor that is broken for 50 minutes", _one(_spell(0, 50, BARE)), NOBODY),
    Story(
        "an unpaid bill over a weekend, with time-outs, an outage of an hour and throttling in between, is told once",
        _one(
            _spell(0, _DAYS, UNPAID, layer=Layer.ACCOUNT),
            *(_spell(at, at + 1, SLOW) for at in range(100, 2500, 400)),
            _spell(600, 660, GATEWAY),
            _spell(1200, 1230, THROTTLED),
            hours=50,
        ),
        (Expected("PaymentRequired", "page", "mail", 15),),
    ),
    Story(
        "an exporter that is away for an hour meanwhile tells it no second time",
        _one(_spell(0, 300, UNPAID), away=[(60, 120), (200, 201)]),
        (Expected("PaymentRequired", "page", "mail", 15),),
    ),
    Story(
        "paid and unpaid again a day later is told twice",
        _one(_spell(0, 100, UNPAID), _spell(1440, 1500, UNPAID), hours=30),
        (Expected("PaymentRequired", "page", "mail", 15), Expected("PaymentRequired", "page", "mail", 1455)),
    ),
    Story(
        "a card that dies with four vendors on it",
        _year(
            *(Vendor(f"on-card-{at}", GOOD, (_spell(at * 60, 470, UNPAID),), card="visa") for at in range(4)),
            Vendor("off-card", GOOD),
        ),
        (
            *(Expected("PaymentRequired", "page", f"on-card-{at}", at * 60 + 15) for at in range(4)),
            Expected("SharedCardFailing", "page", "visa", 75),
        ),
    ),
    # --- the account
    Story(
        "a suspended account",
        _one(_spell(0, 300, SUSPENDED)),
        (Expected("AccountSuspended", "page", "mail", 15),),
    ),
    Story(
        "a quota that is spent until the month ends",
        _one(_spell(0, _DAYS, SPENT), hours=50),
        (Expected("QuotaExhausted", "page", "mail", 15),),
    ),
    Story(
        "a quota that is spent without a word is told once, as the throttling that it looks like",
        _one(_spell(0, _DAYS, THROTTLED), hours=50),
        (Expected("RateLimited", "message", "mail", 15),),
    ),
    Story("throttling for ten minutes", _one(_spell(0, 10, THROTTLED)), NOBODY),
    # --- the key
    Story("a key rotation that works", _rotated(), NOBODY),
    Story("a key rotation that is put right within ten minutes", _rotated(_spell(0, 10, DEAD)), NOBODY),
    Story(
        "a rotation that was forgotten at one service",
        _one(_spell(0, 300, DEAD)),
        (Expected("CredentialsInvalid", "page", "mail", 15),),
    ),
    Story(
        "a rotation to a wrong key, of which the vendor says nothing, blames the key",
        _rotated(_spell(0, 300, BARE)),
        (Expected("CredentialsInvalid", "message", "mail", 60),),
    ),
    # --- the vendor
    Story("59 minutes of gateway time-outs tell nobody", _one(_spell(0, 59, GATEWAY, SLOW)), NOBODY),
    Story(
        "an outage of two hours is one page",
        _one(_spell(0, 120, GATEWAY, SLOW)),
        (Expected("NoSuccess", "page", "mail", 60),),
    ),
    Story("a vendor that fails every other time all night", _one(_spell(0, 400, GATEWAY, GOOD)), NOBODY),
    Story(
        "a maintenance night of three hours is the outage that it is, not throttling",
        _one(_spell(0, 180, CLOSED)),
        (Expected("NoSuccess", "page", "mail", 60),),
    ),
    Story("a maintenance of half an hour", _one(_spell(0, 30, CLOSED)), NOBODY),
    Story(
        "throttling after an outage of 50 minutes is no spent quota",
        _one(_spell(0, 50, GATEWAY), _spell(50, 58, THROTTLED)),
        NOBODY,
    ),
    # --- ourselves
    Story(
        "an egress failure is one page, not twelve",
        _twelve(_spell(0, 90, NO_NAME)),
        (Expected("EgressSuspected", "page", "", 1),),
    ),
    Story(
        "a proxy of ours that refuses everybody is one page too",
        _twelve(_spell(0, 90, BLOCKED)),
        (Expected("EgressSuspected", "page", "", 1),),
    ),
    Story(
        "an egress failure while one vendor has long been down",
        _twelve(_spell(120, 200, NO_NAME), more={3: _spell(0, 300, GATEWAY)}),
        (Expected("NoSuccess", "page", "vendor-3", 60), Expected("EgressSuspected", "page", "", 121)),
    ),
    Story("a process that starts before its resolver does", _twelve(_spell(0, 0.4, NO_NAME)), NOBODY),
    Story(
        "a deploy of the exporter in the middle of an outage",
        _one(_spell(0, 120, GATEWAY), away=[(40, 42)]),
        (Expected("NoSuccess", "page", "mail", 60),),
    ),
    Story("a night with the exporter off, while all is well", _one(away=[(0, 300)]), NOBODY),
)
