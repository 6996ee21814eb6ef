"""What a vendor tells of our account before anything fails: credit left, quota used, the next renewal. Pure.

Where it stands is named by a place: a path of the JSON answer (`data.balance`, `balance_infos[].total_balance`), or
`header:x-daily-requests-left`.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import pydantic
from pydantic import Field

from exporter.providers.answer import Exchange
from exporter.providers.paths import values_at
from exporter.providers.reading import Reading
from toolkit.configfile import Duration, HttpUrl, Model

Place = Annotated[str, Field(min_length=1, max_length=200)]
_HEADER = "header:"
_AMOUNT = re.compile(
    r"(?:[A-Z]{3}|[$€£¥])? ?"
    r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+)"
    r" ?(?:[A-Z]{3}|[$€£¥%])?"
)
"""A number as vendors write amounts: a sign of currency or its code beside it, commas between thousands."""
_MILLISECONDS_FROM = 1e11
"""A larger number is milliseconds since the epoch, as 1e11 s is the year 5138."""
_SECONDS_FROM = 1e9
"""A smaller one is seconds from now: as many since the epoch were over in 2001."""
_MOST = 1e15
"""A larger number, or none at all (NaN), is no amount and no time; sums of what is left stay finite."""


class Credit(Model):
    """A prepaid balance. `warn_before`: warn when it lasts for less than this at the present burn."""

    remaining: Place
    unit: str = ""
    warn_before: Duration = 7 * 86400.0


class Quota(Model):
    """An allowance: two of used, remaining and limit. `limit` may be a number; `resets` is a time, or seconds until.

    Of all three, what remains goes before what was used, which may have been used of more than one package.
    """

    used: Place | None = None
    remaining: Place | None = None
    limit: Place | Annotated[float, Field(gt=0)] | None = None
    resets: Place | None = None

    @pydantic.model_validator(mode="after")
    def _tells_a_share(self) -> "Quota":
        if sum(part is not None for part in (self.used, self.remaining, self.limit)) < 2:
            raise ValueError("give two of used, remaining and limit: a share needs two of them")
        return self


class AccountReading(Model):
    """Where the vendor tells of the account: in the probe's own answer, or at a `url` asked every `interval`."""

    url: HttpUrl | None = None
    interval: Duration = Field(default=900.0, ge=1)
    credit: Credit | None = None
    quota: Quota | None = None
    renews: Place | None = None

    @pydantic.model_validator(mode="after")
    def _reads_something(self) -> "AccountReading":
        if self.credit is None and self.quota is None and self.renews is None:
            raise ValueError("give at least one of credit, quota and renews")
        return self


@dataclass(frozen=True)
class Account:
    """What was last read, each part None until it was. `spent` adds up every fall of the credit between two readings:
    a top-up is no negative spending. Times are seconds since the epoch."""

    read_at: float
    credit: float | None = None
    spent: float = 0.0
    quota_used_ratio: float | None = None
    quota_resets_at: float | None = None
    renews_at: float | None = None


def read(reading: AccountReading, answer: Exchange, before: Account | None, now: float) -> Account | None:
    """The account after one more answer; None when it tells nothing of it: what was known then stays known."""
    body = Reading(answer)
    if not 200 <= answer.status < 300 or body.envelope:
        return None
    credit = _number(body, reading.credit.remaining) if reading.credit else None
    ratio = _used_ratio(body, reading.quota) if reading.quota else None
    renews = _time(body, reading.renews, now)
    if credit is None and ratio is None and renews is None:
        return None
    known = before or Account(now)
    resets = _time(body, reading.quota.resets, now) if reading.quota else None
    spent = max(known.credit - credit, 0.0) if known.credit is not None and credit is not None else 0.0
    return Account(
        read_at=now,
        credit=known.credit if credit is None else credit,
        spent=known.spent + spent,
        quota_used_ratio=known.quota_used_ratio if ratio is None else ratio,
        quota_resets_at=_still(resets, known.quota_resets_at, now),
        renews_at=_still(renews, known.renews_at, now),
    )


def _still(told: float | None, known: float | None, now: float) -> float | None:
    """What an answer tells; else what was known, as long as it lies ahead."""
    return known if told is None and known is not None and known > now else told


def _used_ratio(body: Reading, quota: Quota) -> float | None:
    """The share that is used: 0 for none, 1 for all of it, more where a vendor lets one overdraw."""
    used, left = _number(body, quota.used), _number(body, quota.remaining)
    left = None if left is not None and left < 0 else left  # -1 is how some say "without limit"
    limit = quota.limit if isinstance(quota.limit, float) else _number(body, quota.limit)
    if limit is None and used is not None and left is not None:
        limit = used + left
    if limit is not None and left is not None:
        used = limit - left
    if used is None or limit is None or limit <= 0:
        return None
    ratio = used / limit
    return max(ratio, 0.0) if math.isfinite(ratio) else None


def _number(body: Reading, place: Place | None) -> float | None:
    """The first number there; of several (a balance in each currency), their first."""
    return next((number for value in _values(body, place) if (number := _as_number(value)) is not None), None)


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(_plain(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= _MOST else None


def _plain(text: str) -> str:
    """`"$1,012.50"` and `"1012.50 USD"` -> `"1012.50"`. Raises ValueError for anything else, such as `1.012,50`."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return found[1].replace(",", "")


def _time(body: Reading, place: Place | None, now: float) -> float | None:
    return next((moment for value in _values(body, place) if (moment := _as_time(value, now)) is not None), None)


def _as_time(value: Any, now: float) -> float | None:
    number = _as_number(value)
    if number is not None:
        if number >= _MILLISECONDS_FROM:
            return number / 1000
        return number if number >= _SECONDS_FROM else now + max(number, 0.0)
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _values(body: Reading, place: Place | None) -> Iterator[Any]:
    if place is None:
        return iter(())
    if place.startswith(_HEADER):
        return iter([body.exchange.headers.get(place.removeprefix(_HEADER).strip().lower())])
    return values_at(body.data, place)
