"""What is known of money in advance: renewals, cards and what they fund, credits and quotas. Pure."""

import calendar
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from exporter.config import Card, Provider, Renewal
from exporter.exposition import Families, Family, line, series
from exporter.providers.account import Account, AccountReading

RENEWAL = Family("thirdparty_renewal_timestamp_seconds", "gauge", "When the provider's plan renews next, 0:00 UTC.")
CARD_EXPIRY = Family("thirdparty_card_expiry_timestamp_seconds", "gauge", "When the card stops being good.")
CARD_INFO = Family("thirdparty_card_info", "gauge", "A configured card and who looks after it; always 1.")
FUNDED_BY = Family("thirdparty_funded_by", "gauge", "Which card pays which provider; always 1.")


CREDIT = Family("thirdparty_credit_remaining", "gauge", "Prepaid credit left, in the vendor's unit.")
SPENT = Family(
    "thirdparty_credit_spent_total", "counter", "Credit spent since it is watched; a top-up changes nothing."
)
WARN_BEFORE = Family("thirdparty_credit_warning_seconds", "gauge", "Credit that lasts for less is worth an alert.")
QUOTA = Family("thirdparty_quota_used_ratio", "gauge", "The share of an allowance that is used.")
QUOTA_RESET = Family("thirdparty_quota_reset_timestamp_seconds", "gauge", "When the allowance begins anew.")
ACCOUNT_READ = Family("thirdparty_account_last_read_timestamp_seconds", "gauge", "When the vendor last told of these.")


def families(
    providers: Iterable[Provider], cards: Iterable[Card], accounts: Mapping[str, Account], now: float
) -> Families:
    """The families of renewals, cards, credits and quotas at `now`, in seconds since the epoch."""
    watched, known = tuple(providers), tuple(cards)
    yield RENEWAL, list(_renewals(watched, accounts, now))
    yield CARD_EXPIRY, [line(series(CARD_EXPIRY.name, {"card": card.name}), _seconds(expiry(card))) for card in known]
    yield CARD_INFO, [line(series(CARD_INFO.name, {"card": card.name, "owner": card.owner}), 1) for card in known]
    charged = [(provider.name, provider.billing.card) for provider in watched if provider.billing]
    yield (
        FUNDED_BY,
        [line(series(FUNDED_BY.name, {"provider": name, "card": card}), 1) for name, card in charged if card],
    )
    read = [(one, one.account, accounts[one.name]) for one in watched if one.account and one.name in accounts]
    yield from _accounts(read)


def _accounts(read: Iterable[tuple[Provider, AccountReading, Account]]) -> Families:
    found: dict[Family, list[bytes]] = {
        family: [] for family in (CREDIT, SPENT, WARN_BEFORE, QUOTA, QUOTA_RESET, ACCOUNT_READ)
    }

    def add(family: Family, labels: Mapping[str, str], value: float | None) -> None:
        if value is not None:
            found[family].append(line(series(family.name, labels), value))

    for provider, reading, account in read:
        labels = {"provider": provider.name}
        if reading.credit is not None and account.credit is not None:
            unit = {**labels, "unit": reading.credit.unit}
            add(CREDIT, unit, account.credit)
            add(SPENT, unit, account.spent)
            add(WARN_BEFORE, labels, reading.credit.warn_before)
        if reading.quota is not None:
            add(QUOTA, labels, account.quota_used_ratio)
            add(QUOTA_RESET, labels, account.quota_resets_at)
        add(ACCOUNT_READ, labels, account.read_at)
    yield from found.items()


def _renewals(providers: Iterable[Provider], accounts: Mapping[str, Account], now: float) -> Iterator[bytes]:
    """What the vendor tells goes before what the configuration says."""
    today = datetime.fromtimestamp(now, UTC).date()
    for provider in providers:
        plan, renews = (provider.billing.plan, provider.billing.renews) if provider.billing else ("", None)
        account = accounts.get(provider.name)
        told = account.renews_at if account and provider.account and provider.account.renews else None
        at = _seconds(next_renewal(renews, today)) if told is None and renews else told
        if at is not None:
            yield line(series(RENEWAL.name, {"provider": provider.name, "plan": plan}), at)


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
