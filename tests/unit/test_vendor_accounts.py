"""What the catalogue knows of requests and accounts: how a secret is sent, and what an answer tells of our money."""

import base64
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter import classify
from exporter.config import Provider
from exporter.providers import catalogue
from exporter.providers.account import Account, read
from exporter.providers.answer import Exchange
from exporter.providers.catalogue import KnownAuth, Vendor
from exporter.providers.probe import Call, call, credential

NOW = 1_795_220_000.0
ROOT = Path(__file__).resolve().parents[2]
VENDORS = list(catalogue.every())
WITH_AUTH = [vendor for vendor in VENDORS if vendor.probe and vendor.probe.auth]
SEVERAL_SECRETS = {"algolia", "aws", "docker-hub", "ipqualityscore"}
"""A signature, more than one secret, or one in the path: told in words, as no `auth` can say it."""
WITHOUT_REQUEST = {"marketdata-app", "rapidapi", "spoonacular"}
"""Their answers tell of the account whatever is asked, so the request is the user's."""

Configured = Callable[[Vendor], Provider]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """A provider as an operator writes it: name, vendor, secret_file, and the values that the URL asks for."""

    def of(vendor: Vendor) -> Provider:
        auth = vendor.probe.auth if vendor.probe else None
        (tmp_path / "key").write_text(auth.holds if auth else "SECRET")
        values = dict.fromkeys(vendor.placeholders, "x1")
        given = {"name": "p", "vendor": vendor.vendor, "secret_file": str(tmp_path / "key"), "values": values}
        return Provider.model_validate(given if vendor.probe else {**given, "url": "https://api.example/v1"})

    return of


@pytest.mark.parametrize("vendor", WITH_AUTH, ids=lambda vendor: vendor.vendor)
def test_a_vendor_with_a_known_request_needs_a_name_a_secret_and_values_only(
    configured: Configured, vendor: Vendor
) -> None:
    provider = configured(vendor)
    request = call(provider, credential(provider), 1.0)
    assert "<" not in request.url
    assert vendor.probe is not None
    assert vendor.probe.auth is not None
    assert vendor.probe.headers.items() <= dict(request.headers).items()
    assert f"      secret: {sent(request, vendor.probe.auth)}" in classify.explained(vendor)


def sent(request: Call, auth: KnownAuth) -> str:
    """How the secret is sent, as `vendors show` tells it, read off the request itself."""
    if auth.query:
        return f"?{auth.query}={parse_qs(urlsplit(request.url).query)[auth.query][0]}"
    value = request.headers[auth.header]
    if auth.scheme == "Basic":
        value = f"Basic base64({base64.b64decode(value.removeprefix('Basic ')).decode()})"
    return f"{auth.header}: {value}"


def test_only_what_takes_several_secrets_is_told_in_words() -> None:
    words = {vendor.vendor: vendor.probe.auth_note for vendor in VENDORS if vendor.probe and not vendor.probe.auth}
    assert set(words) == SEVERAL_SECRETS
    assert all(words.values())


def test_no_secret_is_asked_for_as_a_value() -> None:
    asked = {name for vendor in WITH_AUTH if vendor.probe for name in vendor.probe.placeholders}
    assert asked.isdisjoint({"key", "token", "secret", "k", "s", "t"})


def test_the_values_that_a_request_needs_are_those_in_its_address() -> None:
    probes = [(vendor, vendor.probe) for vendor in VENDORS if vendor.probe]
    assert [vendor.vendor for vendor, probe in probes if not vendor.placeholders >= set(probe.placeholders)] == []
    assert [probe.url for _, probe in probes if probe.url.count("<") != len(probe.placeholders)] == []


def test_a_value_that_the_vendor_has_no_place_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    given = {"name": "t", "vendor": "twilio", "secret_file": str(tmp_path / "key")}
    with pytest.raises(ValueError, match=r"twilio has no place for 'token' \(it asks for sid\)"):
        Provider.model_validate({**given, "values": {"sid": "AC1", "token": "t"}})


def test_a_header_of_ones_own_goes_before_the_vendors_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    given = {"name": "a", "vendor": "anthropic", "secret_file": str(tmp_path / "key")}
    mine = Provider.model_validate({**given, "headers": {"Anthropic-Version": "2027-01-01", "X-Own": "1"}})
    assert mine.headers == {"Anthropic-Version": "2027-01-01", "X-Own": "1"}
    with pytest.raises(ValueError, match="headers"):
        Provider.model_validate({**given, "headers": "none"})


# vendor, the answer that it documents (shortened), its headers, and what that says of our account: nothing where an
# allowance has no end or there is none
ANSWERS: list[tuple[str, str, dict[str, str], dict[str, Any]]] = [
    ("apify", '{"data": {"monthlyUsageCycle": {"startAt": "2022-10-02T00:00:00.000Z", "endAt": "2022-11-01T23:59:59.999Z"}, "limits": {"maxMonthlyUsageUsd": 300, "maxActorCount": 100}, "current": {"monthlyUsageUsd": 43, "actorCount": 31}}}', {}, {"used": 43 / 300, "resets": "2022-11-01T23:59:59.999Z"}),
    ("brevo", '{"plan": [{"type": "subscription", "credits": 8755, "creditsType": "sendLimit", "startDate": "2026-11-30", "endDate": "2026-12-31"}, {"type": "sms", "credits": 15, "creditsType": "sendLimit"}]}', {}, {"renews": "2026-12-31T00:00:00Z"}),
    ("brevo", '{"plan": [{"credits": "250", "creditsType": "sendLimit", "type": "free"}]}', {}, {}),
    ("coingecko", '{"plan": "Other", "rate_limit_request_per_minute": 1000, "monthly_call_credit": 1000000, "current_total_monthly_calls": 307, "current_remaining_monthly_calls": 999693}', {}, {"used": 0.000307}),
    ("coinmarketcap", '{"data": {"plan": {"credit_limit_monthly": 120000, "credit_limit_monthly_reset": "In 3 days, 19 hours, 56 minutes", "credit_limit_monthly_reset_timestamp": "2019-09-01T00:00:00.000Z", "rate_limit_minute": 60}, "usage": {"current_minute": {"requests_made": 1, "requests_left": 59}, "current_day": {"credits_used": 1, "credits_left": 3999}, "current_month": {"credits_used": 30000, "credits_left": 90000}}}}', {}, {"used": 0.25, "resets": "2019-09-01T00:00:00Z"}),
    ("coinpaprika", '{"plan": "pro", "plan_started_at": "2022-09-16T10:17:24Z", "plan_status": "active", "usage": {"message": "limited plan", "current_month": {"requests_made": 18, "requests_left": 499982}}}', {}, {"used": 18 / 500000}),
    ("coinpaprika", '{"plan": "enterprise", "usage": {"message": "unlimited plan", "current_month": {"requests_made": -1, "requests_left": -1}}}', {}, {}),
    ("deepgram", '{"balances": [{"balance_id": "b1", "amount": 187.5, "units": "USD", "purchase_order_id": "p1"}]}', {}, {"credit": 187.5}),
    ("deepl", '{"character_count": 180118, "character_limit": 1250000}', {}, {"used": 180118 / 1250000}),
    ("deepl", '{"products": [{"product_type": "write", "api_key_character_count": 1000000, "character_count": 1250000}], "api_key_character_count": 1880000, "api_key_character_limit": 0, "start_time": "2025-04-24T14:58:02Z", "end_time": "2025-05-24T14:58:02Z", "character_count": 2150000, "character_limit": 20000000}', {}, {"used": 0.1075, "resets": "2025-05-24T14:58:02Z"}),
    ("deepseek", '{"is_available": true, "balance_infos": [{"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00", "topped_up_balance": "100.00"}]}', {}, {"credit": 110.0}),
    ("didww", '{"data": {"id": "94441ce5-86fa-47bd-8ce7-b5e267d0603a", "type": "balances", "attributes": {"balance": "50.00", "credit": "10.00", "total_balance": "60.00"}}}', {}, {"credit": 60.0}),
    ("elevenlabs", '{"user_id": "u", "subscription": {"tier": "trial", "character_count": 17231, "character_limit": 100000, "next_character_count_reset_unix": 1738356858, "currency": "usd", "status": "free"}}', {}, {"used": 0.17231, "resets": "2025-01-31T20:54:18Z"}),
    ("hubspot", '{"results": [{"collectedAt": "2020-04-10T06:46:40.789Z", "currentUsage": 1, "fetchStatus": "SUCCESS", "name": "private-apps-api-calls-daily", "resetsAt": "2020-04-10T04:00:00Z", "usageLimit": 500000}]}', {}, {"used": 1 / 500000, "resets": "2020-04-10T04:00:00Z"}),
    ("hunter", '{"data": {"plan_name": "Starter", "reset_date": "2026-01-15", "requests": {"searches": {"used": 10, "available": 500}, "verifications": {"used": 0, "available": 1000}}}}', {}, {"used": 0.02, "resets": "2026-01-15T00:00:00Z"}),
    ("hunter", '{"data": {"reset_date": "2026-09-15", "requests": {"searches": {"used": 1349, "available": 500, "remaining": 25}}}}', {}, {"used": 0.95, "resets": "2026-09-15T00:00:00Z"}),
    ("ipinfo", '{"token": "TOKEN", "requests": {"day": 0, "month": 69, "limit": 50000, "remaining": 2147483578}}', {}, {"used": 69 / 50000}),
    ("lusha", '{"credits": {"total": 10000, "used": 1500, "remaining": 8500}, "rateLimits": {"daily": {"limit": 5000, "used": 120, "remaining": 4880, "resetsAt": "2026-03-31T00:00:00.000Z"}}}', {}, {"used": 0.15}),
    ("marketdata-app", "{}", {"x-api-ratelimit-limit": "100", "x-api-ratelimit-remaining": "99", "x-api-ratelimit-consumed": "1", "x-api-ratelimit-reset": "1737072000"}, {"used": 0.01, "resets": "2025-01-17T00:00:00Z"}),
    ("maxmind", '{"country": {"iso_code": "GB"}, "maxmind": {"queries_remaining": 54321}}', {}, {"credit": 54321.0}),
    ("messagebird", '{"payment": "prepaid", "type": "credits", "amount": 9.2}', {}, {"credit": 9.2}),
    ("opencage", '{"rate": {"limit": 2500, "remaining": 2487, "reset": 1796083200}, "results": [], "status": {"code": 200, "message": "OK"}}', {}, {"used": 13 / 2500, "resets": "2026-12-01T00:00:00Z"}),
    ("opencage", '{"results": [], "status": {"code": 200, "message": "OK"}}', {}, {}),
    ("openrouter", '{"data": {"label": "sk-or-v1-au7...890", "limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly", "usage": 25.5, "usage_monthly": 25.5, "is_free_tier": false}}', {}, {"used": 0.255}),
    ("openrouter", '{"data": {"limit": null, "limit_remaining": null, "limit_reset": null, "usage": 25.5}}', {}, {}),
    ("rapidapi", "[]", {"x-ratelimit-requests-limit": "240000", "x-ratelimit-requests-remaining": "205676", "x-ratelimit-requests-reset": "86400"}, {"used": 34324 / 240000, "resets": NOW + 86400}),
    ("salesforce", '{"DailyApiRequests": {"Max": 15000, "Remaining": 14850}, "DailyBulkApiRequests": {"Max": 10000, "Remaining": 10000}}', {}, {"used": 0.01}),
    ("scrape-do", '{"IsActive": true, "ConcurrentRequest": 40, "MaxMonthlyRequest": 3500000, "RemainingConcurrentRequest": 15, "RemainingMonthlyRequest": 2565023}', {}, {"used": 934977 / 3500000}),
    ("scrapeops", '{"plan_api_credits": 1000000, "used_api_credits": 455332, "plan_max_concurrency": 100, "active_concurrency": 15, "plan_renewal_date": "2024-08-24T10:41:04.000Z"}', {}, {"used": 0.455332, "resets": "2024-08-24T10:41:04Z"}),
    ("scrapingant", '{"plan_name": "Enthusiast", "start_date": "2022-01-11T00:00:00", "end_date": "2022-02-11T00:00:00", "plan_total_credits": 100000, "remained_credits": 96740}', {}, {"used": 0.0326, "resets": "2022-02-11T00:00:00Z"}),
    ("scrapingbee", '{"max_api_credit": 1000, "used_api_credit": 1000, "max_concurrency": 5, "current_concurrency": 0, "renewal_subscription_date": "2025-12-17T15:32:52"}', {}, {"used": 1.0, "resets": "2025-12-17T15:32:52Z"}),
    ("sendgrid", '{"remain": 150, "total": 200, "overage": 0, "used": 50, "last_reset": "2013-01-01", "next_reset": "2013-02-01", "reset_frequency": "monthly"}', {}, {"used": 0.25, "resets": "2013-02-01T00:00:00Z"}),
    ("sendgrid", '{"type": "unlimited", "reset_frequency": null, "remain": null, "total": null, "used": 50}', {}, {}),
    ("serpapi", '{"plan_id": "bigdata", "plan_monthly_price": 250.0, "searches_per_month": 30000, "plan_searches_left": 5958, "extra_credits": 0, "total_searches_left": 5958, "this_month_usage": 24042}', {}, {"used": 0.8014}),
    ("serpapi", '{"plan_id": "", "searches_per_month": 0, "plan_searches_left": 0, "extra_credits": 400, "total_searches_left": 400}', {}, {}),
    ("spoonacular", "{}", {"x-api-quota-request": "1.06", "x-api-quota-used": "1.06", "x-api-quota-left": "48.94"}, {"used": 0.0212}),
    ("telnyx", '{"data": {"record_type": "balance", "pending": "10.00", "balance": "300.00", "credit_limit": "100.00", "available_credit": "400.00", "currency": "USD"}}', {}, {"credit": 400.0}),
    ("twilio", '{"account_sid": "AC1", "balance": "37.4216", "currency": "USD"}', {}, {"credit": 37.4216}),
    ("twilio", '{"account_sid": "AC2", "balance": null, "currency": null}', {}, {}),
    ("vonage", '{"value": 10.28, "autoReload": false}', {}, {"credit": 10.28}),
    ("zenrows", '{"status": "active", "usage": 12.5, "usage_percent": 62.5, "period_ends_at": "2026-12-01T00:00:00Z"}', {}, {"used": 0.625, "resets": "2026-12-01T00:00:00Z"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("vendor", "body", "headers", "told"),
    ANSWERS,
    ids=[f"{row[0]} {'tells ' + ', '.join(row[3]) if row[3] else 'tells nothing'}" for row in ANSWERS],
)
def test_a_vendors_answer_tells_of_the_account(
    configured: Configured, vendor: str, body: str, headers: dict[str, str], told: dict[str, Any]
) -> None:
    reading = configured(catalogue.load(vendor)).account
    assert reading is not None
    account = read(reading, Exchange(200, body.encode(), headers), None, NOW)
    assert ({} if account is None else shown(account)) == pytest.approx(
        {name: moment(is_) for name, is_ in told.items()}, rel=1e-12
    )


def shown(account: Account) -> dict[str, float]:
    parts = {
        "credit": account.credit,
        "used": account.quota_used_ratio,
        "resets": account.quota_resets_at,
        "renews": account.renews_at,
    }
    return {name: part for name, part in parts.items() if part is not None}


def moment(value: float | str) -> float:
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value


def test_each_account_that_the_catalogue_can_read_has_such_an_answer() -> None:
    assert {vendor.vendor for vendor in VENDORS if vendor.account} == {row[0] for row in ANSWERS if row[3]}


def test_an_account_is_read_off_a_request_that_is_known_or_off_any_answer() -> None:
    readable = {vendor.vendor for vendor in VENDORS if vendor.account}
    assert {name for name in readable if catalogue.load(name).probe is None} == WITHOUT_REQUEST


def test_an_account_whose_address_needs_a_value_is_read_once_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    given = {"name": "d", "vendor": "deepgram", "secret_file": str(tmp_path / "key")}
    assert Provider.model_validate(given).account is None
    account = Provider.model_validate({**given, "values": {"project": "a/b"}}).account
    assert account is not None
    assert account.url == "https://api.deepgram.com/v1/projects/a%2Fb/balances"


def test_a_secret_for_a_gateway_is_not_sent_to_the_vendor(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    given = {"name": "m", "secret_file": str(tmp_path / "key"), "url": "https://gateway.example/v1"}
    assert Provider.model_validate({**given, "vendor": "apify"}).account is None
    in_the_answer = Provider.model_validate({**given, "vendor": "deepl"}).account
    assert in_the_answer is not None
    assert in_the_answer.url is None


@pytest.mark.parametrize(
    ("vendor", "lines"),
    [
        (
            "deepl",
            [
                "  account: in the answer to the probe",
                "      quota: used character_count, limit character_limit, resets end_time",
            ],
        ),
        ("vonage", ["      secret: Authorization: Basic base64(API_KEY:API_SECRET)", "      credit: value EUR"]),
        ("apify", ["  account: GET https://api.apify.com/v2/users/me/limits"]),
        ("brevo", ["      renews: plan[].endDate"]),
        ("aws", ["      secret: SigV4"]),
    ],
)
def test_vendors_show_tells_where_the_account_stands(vendor: str, lines: list[str]) -> None:
    explained = list(classify.explained(catalogue.load(vendor)))
    assert [line for line in lines if line not in explained] == []


@pytest.mark.parametrize(
    ("vendor", "told"),
    [("deepl", "probe  quota"), ("twilio", "probe  credit"), ("stripe", "probe"), ("rapidapi", "quota")],
)
def test_the_list_of_vendors_shows_which_tell_of_credit_and_quota(vendor: str, told: str) -> None:
    name, *words, _, signatures = classify.listed(catalogue.load(vendor)).split()
    assert (name, words, signatures) == (vendor, told.split(), "signatures")


def test_the_documentation_counts_as_the_catalogue_does() -> None:
    auths = [vendor.probe.auth for vendor in VENDORS if vendor.probe]
    tells = [told for vendor in VENDORS if vendor.account for told in vendor.account.tells]
    counted = {
        "known at all": len(VENDORS),
        "with a request (`probe`)": len(auths),
        "of these: the secret in a header": sum(auth is not None and not auth.query for auth in auths),
        "of these: the secret in the query": sum(auth is not None and bool(auth.query) for auth in auths),
        "of these: several secrets, a signature, a key in the path": auths.count(None),
        "tell prepaid credit": tells.count("credit"),
        "tell an allowance": tells.count("quota"),
        "tell a renewal": tells.count("renews"),
    }
    text = (ROOT / "docs" / "vendors.md").read_text()
    assert [f"| {what} | {count} |" for what, count in counted.items() if f"| {what} | {count} |" not in text] == []
