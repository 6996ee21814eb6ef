from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import Card, Provider, Renewal
from exporter.exposition import render
from exporter.providers.billing import expiry, families, next_renewal

RENEWALS = [
    ("a date to come", "2026-12-01", "once", "2026-12-01"),
    ("a date that is past stays", "2026-01-01", "once", "2026-01-01"),
    ("today", "2026-11-21", "month", "2026-11-21"),
    ("later this month", "2026-01-25", "month", "2026-11-25"),
    ("next month", "2026-01-05", "month", "2026-12-05"),
    ("over the new year", "2025-12-05", "year", "2026-12-05"),
    ("next year", "2025-03-05", "year", "2027-03-05"),
    ("the 31st, in a month without one", "2026-08-31", "month", "2026-11-30"),
    ("29 February, yearly", "2024-02-29", "year", "2027-02-28"),
]


@pytest.mark.parametrize(
    ("first", "every", "expected"), [row[1:] for row in RENEWALS], ids=[row[0] for row in RENEWALS]
)
def test_a_plan_renews_next(first: str, every: str, expected: str) -> None:
    renewal = Renewal.model_validate({"date": date.fromisoformat(first), "every": every})
    assert next_renewal(renewal, date(2026, 11, 21)) == date.fromisoformat(expected)


@given(
    first=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    today=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    every=st.sampled_from(["month", "year"]),
)
def test_a_renewal_is_never_past_and_never_further_than_its_period(first: date, today: date, every: str) -> None:
    found = next_renewal(Renewal.model_validate({"date": first, "every": every}), today)
    assert found >= max(first, today) or found == first >= today
    if first < today:
        assert (found - today).days <= (31 if every == "month" else 366)


def test_a_card_is_good_through_its_month() -> None:
    assert expiry(Card(name="visa", expires="2026-12")) == date(2027, 1, 1)


def test_cards_and_renewals_are_series() -> None:
    billing = {"card": "visa", "plan": "pro", "renews": {"date": date(2026, 12, 1), "every": "month"}}
    provider = Provider.model_validate({"name": "mail", "url": "http://x/", "billing": billing})
    found = render(
        families([provider], [Card(name="visa", expires="2026-12", owner="finance")], {}, 1795220000.0),
        openmetrics=False,
    )
    for text in (
        b'thirdparty_renewal_timestamp_seconds{provider="mail",plan="pro"} 1796083200\n',
        b'thirdparty_card_expiry_timestamp_seconds{card="visa"} 1798761600\n',
        b'thirdparty_card_info{card="visa",owner="finance"} 1\n',
        b'thirdparty_funded_by{provider="mail",card="visa"} 1\n',
    ):
        assert text in found
