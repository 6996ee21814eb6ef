"""What is known of money in advance: when a plan renews, when a card expires, which providers a card funds. Pure."""

import calendar
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from exporter.config import Card, Provider, Renewal
from exporter.exposition import Family, line, series

RENEWAL = Family("thirdparty_renewal_timestamp_seconds", "gauge", "When the provider's plan renews next, 0:00 UTC.")
CARD_EXPIRY = Family("thirdparty_card_expiry_timestamp_seconds", "gauge", "When the card stops being good.")
CARD_INFO = Family("thirdparty_card_info", "gauge", "A configured card and who looks after it; always 1.")
FUNDED_BY = Family("thirdparty_funded_by", "gauge", "Which card pays which provider; always 1.")


def families(
    providers: Iterable[Provider], cards: Iterable[Card], now: float
) -> Iterator[tuple[Family, Iterable[bytes]]]:
    """The families of renewals and cards at `now`, in seconds since the epoch."""
    today = datetime.fromtimestamp(now, UTC).date()
    billed = [(provider, provider.billing) for provider in providers if provider.billing is not None]
    yield (
        RENEWAL,
        [
            line(
                series(RENEWAL.name, {"provider": provider.name, "plan": billing.plan}),
                _seconds(next_renewal(billing.renews, today)),
            )
            for provider, billing in billed
            if billing.renews is not None
        ],
    )
    known = tuple(cards)
    yield CARD_EXPIRY, [line(series(CARD_EXPIRY.name, {"card": card.name}), _seconds(expiry(card))) for card in known]
    yield CARD_INFO, [line(series(CARD_INFO.name, {"card": card.name, "owner": card.owner}), 1) for card in known]
    yield (
        FUNDED_BY,
        [
            line(series(FUNDED_BY.name, {"provider": provider.name, "card": billing.card}), 1)
            for provider, billing in billed
            if billing.card
        ],
    )


def next_renewal(renewal: Renewal, today: date) -> date:
    """The first renewal from `today` on. A day that a month lacks is its last: the 31st renews on 28 February.

    A single date that is past stays what it is.
    """
    first, step = renewal.date, {"once": 0, "month": 1, "year": 12}[renewal.every]
    if step == 0 or first >= today:
        return first
    months = (today.year - first.year) * 12 + today.month - first.month
    passed = months // step * step
    candidate = _later(first, passed)
    return candidate if candidate >= today else _later(first, passed + step)


def _later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def expiry(card: Card) -> date:
    """The first day on which a card is no longer good: it is good through the month that is printed on it."""
    year, month = (int(part) for part in card.expires.split("-"))
    return date(year, month, 1) + timedelta(days=calendar.monthrange(year, month)[1])


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
