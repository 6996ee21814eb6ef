import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.providers.account import Account, AccountReading, read
from exporter.providers.answer import Exchange

NOW = 1_795_220_000.0


def answer(body: Any, headers: dict[str, str] | None = None, status: int = 200) -> Exchange:
    return Exchange(status, json.dumps(body).encode(), headers or {})


CREDIT = {"credit": {"remaining": "data.balance"}}
READINGS: list[tuple[str, dict[str, Any], Exchange, dict[str, Any] | None]] = [
    ("a balance", CREDIT, answer({"data": {"balance": 12.5}}), {"credit": 12.5}),
    ("a balance as text", CREDIT, answer({"data": {"balance": "1,012.50"}}), {"credit": 1012.5}),
    ("the first of several", {"credit": {"remaining": "infos[].total"}}, answer({"infos": [{"total": "3"}, {"total": "4"}]}), {"credit": 3}),
    ("an amount with its sign", CREDIT, answer({"data": {"balance": "$12.50"}}), {"credit": 12.5}),
    ("an amount with its currency", CREDIT, answer({"data": {"balance": "1,012.50 USD"}}), {"credit": 1012.5}),
    ("an amount that can be read in two ways", CREDIT, answer({"data": {"balance": "1.012,50"}}), None),
    ("a good status with an error inside", CREDIT, answer({"ok": False, "data": {"balance": 0}}), None),
    ("without limit, as some write it", {"quota": {"remaining": "r", "limit": 100}}, answer({"r": -1}), None),
    ("none: unlimited", CREDIT, answer({"data": {"balance": None}}), None),
    ("a truth is no number", CREDIT, answer({"data": {"balance": True}}), None),
    ("more than there is", CREDIT, answer({"data": {"balance": 1e308}}), None),
    ("a share of next to nothing", {"quota": {"used": "u", "limit": "l"}}, answer({"u": 1e15, "l": 1e-308}), None),
    ("not a number", CREDIT, answer({"data": {"balance": "NaN"}}), None),
    ("a refusal tells nothing", CREDIT, answer({"data": {"balance": 1}}, status=401), None),
    ("no JSON", CREDIT, Exchange(200, b"<html>"), None),
    ("used of a limit", {"quota": {"used": "u", "limit": "l"}}, answer({"u": 50, "l": 200}), {"quota_used_ratio": 0.25}),
    ("left of a limit that is known", {"quota": {"remaining": "r", "limit": 100}}, answer({"r": 25}), {"quota_used_ratio": 0.75}),
    ("used and left", {"quota": {"used": "u", "remaining": "r"}}, answer({"u": 30, "r": 10}), {"quota_used_ratio": 0.75}),
    ("of all three what is left counts, as the rest may be of several packages", {"quota": {"used": "u", "remaining": "r", "limit": "l"}}, answer({"u": 1349, "r": 25, "l": 500}), {"quota_used_ratio": 0.95}),
    ("of all three, if what is left is not told", {"quota": {"used": "u", "remaining": "r", "limit": "l"}}, answer({"u": 10, "l": 500}), {"quota_used_ratio": 0.02}),
    ("a share in percent", {"quota": {"used": "percent", "limit": 100}}, answer({"percent": 62.5}), {"quota_used_ratio": 0.625}),
    ("overdrawn", {"quota": {"used": "u", "limit": "l"}}, answer({"u": 300, "l": 200}), {"quota_used_ratio": 1.5}),
    ("a limit of null: unlimited", {"quota": {"remaining": "r", "limit": "l"}}, answer({"r": None, "l": None}), None),
    ("-1 of both: unlimited", {"quota": {"used": "u", "remaining": "r"}}, answer({"u": -1, "r": -1}), None),
    ("a limit of nothing", {"quota": {"used": "u", "limit": "l"}}, answer({"u": 0, "l": 0}), None),
    ("in headers", {"quota": {"remaining": "header:X-Left", "limit": 100}}, answer({}, {"x-left": "40"}), {"quota_used_ratio": 0.6}),
    ("a reset in seconds since the epoch", {"quota": {"used": "u", "limit": 2, "resets": "t"}}, answer({"u": 1, "t": 1_795_300_000}), {"quota_resets_at": 1_795_300_000}),
    ("a reset in milliseconds", {"quota": {"used": "u", "limit": 2, "resets": "t"}}, answer({"u": 1, "t": 1_795_300_000_000}), {"quota_resets_at": 1_795_300_000}),
    ("a reset in seconds from now", {"quota": {"used": "u", "limit": 2, "resets": "t"}}, answer({"u": 1, "t": "60"}), {"quota_resets_at": NOW + 60}),
    ("a renewal as a date", {"renews": "at"}, answer({"at": "2026-12-01"}), {"renews_at": 1_796_083_200}),
    ("a renewal with its zone", {"renews": "at"}, answer({"at": "2026-12-01T01:00:00+01:00"}), {"renews_at": 1_796_083_200}),
    ("a date that is none", {"renews": "at"}, answer({"at": "soon"}), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "exchange", "expected"), [row[1:] for row in READINGS], ids=[row[0] for row in READINGS]
)
def test_what_a_vendor_tells_is_read(
    reading: dict[str, Any], exchange: Exchange, expected: dict[str, Any] | None
) -> None:
    account = read(AccountReading.model_validate(reading), exchange, None, NOW)
    found = None if account is None else {name: getattr(account, name) for name in expected or {"credit": None}}
    assert found == expected


BALANCES = [
    ("spending adds up", [10, 8, 5], 5, 5),
    ("a top-up is no negative spending", [10, 4, 100, 90], 16, 90),
    ("an answer without the balance changes nothing", [10, None, 8], 2, 8),
    ("the first reading is no spending", [10], 0, 10),
]


@pytest.mark.parametrize(
    ("balances", "spent", "credit"), [row[1:] for row in BALANCES], ids=[row[0] for row in BALANCES]
)
def test_what_was_spent_is_every_fall_of_the_credit(balances: list[float | None], spent: float, credit: float) -> None:
    account: Account | None = None
    for balance in balances:
        found = read(AccountReading.model_validate(CREDIT), answer({"data": {"balance": balance}}), account, NOW)
        account = found or account
    assert account is not None
    assert (account.spent, account.credit) == (spent, credit)


def test_what_an_answer_leaves_out_stays_known_as_long_as_it_lies_ahead() -> None:
    reading = AccountReading.model_validate({"quota": {"used": "u", "limit": 2, "resets": "t"}, "renews": "r"})
    first = read(reading, answer({"u": 1, "t": 60, "r": 600}), None, NOW)
    second = read(reading, answer({"u": 2}), first, NOW + 30)
    assert second is not None
    assert (second.quota_used_ratio, second.quota_resets_at, second.renews_at) == (1, NOW + 60, NOW + 600)
    third = read(reading, answer({"u": 0}), second, NOW + 90)
    assert third is not None
    assert (third.quota_resets_at, third.renews_at) == (None, NOW + 600)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give at least one of credit, quota and renews"),
        ({"quota": {"used": "u"}}, "give two of used, remaining and limit"),
    ],
)
def test_a_reading_of_nothing_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AccountReading.model_validate(given)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, st.sampled_from(["a", "a.b", "a[].b", "[]", "header:x"]))
def test_whatever_a_vendor_tells_what_is_read_is_a_number(body: Any, place: str) -> None:
    reading = AccountReading.model_validate(
        {"credit": {"remaining": place}, "quota": {"used": place, "limit": 3, "resets": place}, "renews": place}
    )
    account = read(reading, Exchange(200, json.dumps(body).encode(), {"x": str(body)}), None, NOW)
    if account is not None:
        values = (account.credit, account.quota_used_ratio, account.quota_resets_at, account.renews_at)
        assert all(value is None or math.isfinite(value) for value in values)


FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1e308, 1e-308, -1e308])
NUMBERS = st.none() | FINITE | st.integers() | FINITE.map(str)
QUOTAS = st.sampled_from(
    [("used", "limit"), ("remaining", "limit"), ("used", "remaining"), ("used", "remaining", "limit")]
)


@given(QUOTAS, st.fixed_dictionaries({"used": NUMBERS, "remaining": NUMBERS, "limit": NUMBERS}))
def test_whatever_numbers_a_vendor_tells_the_share_is_one_or_absent(parts: tuple[str, ...], body: Any) -> None:
    reading = AccountReading.model_validate({"quota": {part: part for part in parts}})
    account = read(reading, Exchange(200, json.dumps(body).encode(), {}), None, NOW)
    if account is not None:
        assert account.quota_used_ratio is not None
        assert math.isfinite(account.quota_used_ratio)
        assert account.quota_used_ratio >= 0
