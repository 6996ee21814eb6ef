"""How vendors word their answers, by cause. Written from what vendors generally say, for no particular one of them."""

import json
from collections.abc import Mapping
from random import Random

from exporter.providers.answer import Exchange, Failure
from tests.support.year.timeline import Answer, Cause

GOOD = (
    '{"data": [{"id": 1, "name": "first"}], "has_more": false}',
    '{"status": "ok", "result": {"balance": 12, "currency": "EUR"}}',
    '{"id": "acct_1", "object": "account", "email": "ops@shop.example"}',
    '{"success": true, "message": "pong"}',
    "[]",
    '{"items": [], "total": 0, "page": 1}',
)
"""What is asked for, when all is well."""

_SAID: Mapping[Cause, tuple[tuple[int, str, str], ...]] = {
    Cause.LAPSE: (
        (402, "subscription_expired", "Your subscription has expired. Renew it to keep using the API."),
        (402, "payment_required", "Your last invoice is past due. Please settle it in the billing portal."),
        (403, "subscription_inactive", "Your subscription is not active."),
        (401, "trial_ended", "Your free trial has ended. Add a payment method to continue."),
        (403, "past_due", "API access is blocked because of an overdue invoice."),
        (400, "plan_expired", "Your plan expired on March 3. Please renew your plan."),
        (401, "subscription_expired", "The subscription of this account has expired."),
        (403, "unpaid", "We could not charge your card. Update your payment method to restore access."),
        (200, "SUBSCRIPTION_CANCELED", "Your subscription was canceled because of an unpaid invoice."),
    ),
    Cause.SUSPENSION: (
        (403, "account_suspended", "Your account has been suspended. Please contact support."),
        (401, "ACCOUNT_DISABLED", "This account has been disabled."),
        (403, "account_locked", "Your account is suspended pending review by our trust and safety team."),
        (423, "suspended", "Account suspended."),
        (400, "AccountDeactivated", "The account you use was deactivated."),
    ),
    Cause.DEAD_KEY: (
        (401, "invalid_api_key", "The API key you provided is invalid."),
        (401, "token_revoked", "This token has been revoked."),
        (403, "INVALID_CREDENTIALS", "Invalid API key."),
        (401, "authentication_failed", "Authentication failed: the access token is not valid."),
        (400, "BadCredentials", "Bad credentials"),
        (200, "invalid_auth", "The token is invalid or has expired."),
    ),
    Cause.SPENT_QUOTA: (
        (429, "quota_exceeded", "You have exceeded your monthly quota of 50,000 requests."),
        (403, "monthly_limit_reached", "The monthly limit of your plan has been reached. It resets on the 1st."),
        (402, "insufficient_credits", "You do not have enough credits for this request. Top up to continue."),
        (429, "QUOTA_EXHAUSTED", "Your usage quota is used up until the end of the month."),
        (400, "insufficient_balance", "Your prepaid balance is insufficient."),
        (200, "out_of_credits", "You have run out of credits."),
    ),
    Cause.THROTTLING: (
        (429, "rate_limit_exceeded", "Rate limit exceeded. Try again in 20 seconds."),
        (429, "too_many_requests", "Too many requests. Slow down."),
        (429, "throttled", "Request was throttled. Expected available in 12 seconds."),
        (503, "slow_down", "Please reduce your request rate."),
    ),
}

_BARE: Mapping[Cause, tuple[int, ...]] = {
    Cause.LAPSE: (401, 401, 402, 403),
    Cause.DEAD_KEY: (401, 401, 403),
    Cause.SPENT_QUOTA: (429,),
    Cause.THROTTLING: (429,),
}
_PHRASE = {401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 429: "Too Many Requests"}
_JSON = {"content-type": "application/json"}
_PAGE = {"content-type": "text/html; charset=utf-8"}


def can_be_bare(cause: Cause) -> bool:
    """Whether vendors are known to answer this with a status and no word."""
    return cause in _BARE


def said(cause: Cause, draw: Random) -> Exchange:
    """An answer that names the cause, in one of the envelopes that vendors use."""
    status, code, text = draw.choice(_SAID[cause])
    return Exchange(status, _enveloped(status, code, text, draw).encode(), _headers(cause, draw))


def bare(cause: Cause, draw: Random) -> Exchange:
    """An answer of which only the status says anything."""
    status = draw.choice(_BARE[cause])
    phrase = _PHRASE[status]
    bodies = ("", phrase, json.dumps({"message": phrase}), json.dumps({"error": phrase}), _page(f"{status} {phrase}"))
    return Exchange(status, draw.choice(bodies).encode(), _headers(cause, draw))


def _headers(cause: Cause, draw: Random) -> dict[str, str]:
    return {**_JSON, "retry-after": "30"} if cause is Cause.THROTTLING and draw.random() < 0.5 else _JSON


def _enveloped(status: int, code: str, text: str, draw: Random) -> str:
    shapes: tuple[object, ...] = (
        {"error": {"code": code, "message": text}},
        {"error": {"type": code, "message": text, "param": None}},
        {"errors": [{"code": code, "detail": text}]},
        {"success": False, "error": text},
        {"status": "error", "code": code, "message": text},
        {"error": text},
        {"type": "about:blank", "title": text, "status": status},
    )
    # a healthy status needs an envelope that says no
    return json.dumps(draw.choice(shapes[:6] if status == 200 else (*shapes, {"message": text})))


def _page(title: str, text: str = "") -> str:
    return f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center><hr>{text}</body></html>"


def down(draw: Random) -> tuple[Answer, ...]:
    """What an outage answers with: one thing all the time, or a mixture."""
    page = Exchange(502, _page("502 Bad Gateway", "nginx").encode(), _PAGE)
    gateway = Exchange(504, _page("504 Gateway Time-out", "nginx").encode(), _PAGE)
    busy = Exchange(503, _page("503 Service Temporarily Unavailable").encode(), _PAGE)
    broken = Exchange(500, b'{"error": "Internal Server Error"}', _JSON)
    worded = Exchange(500, b'{"error": {"message": "Something went wrong on our side.", "code": "internal"}}', _JSON)
    edge = Exchange(522, _page("Connection timed out", "The origin did not answer.").encode(), _PAGE)
    slow = Failure("timeout", "not within 10 s", 10.0)
    refused = Failure("connect", "refused or could not be reached")
    untrusted = Failure("tls", "the certificate is not trusted")
    kinds: tuple[tuple[Answer, ...], ...] = (
        (broken,),
        (worded,),
        (gateway,),
        (slow,),
        (refused,),
        (untrusted,),
        (page, gateway),
        (page, slow, busy),
        (broken, slow, gateway),
        (edge, slow),
        (refused, page),
    )
    return draw.choice(kinds)


def half_down(draw: Random) -> tuple[Answer, ...]:
    """What an outage answers with that one probe in two or three gets through."""
    return (*down(draw)[:2], Exchange(200, b"{}", _JSON))


def maintenance(draw: Random) -> tuple[Answer, ...]:
    """What a planned night without service answers with."""
    text = "We are down for scheduled maintenance and will be back soon."
    kinds: tuple[tuple[Answer, ...], ...] = (
        (Exchange(503, _page("Maintenance", text).encode(), _PAGE),),
        (Exchange(503, _page("Maintenance", text).encode(), {**_PAGE, "retry-after": "3600"}),),
        (Exchange(503, b"", {"retry-after": "7200"}),),
        (Exchange(503, json.dumps({"message": text}).encode(), _JSON),),
        (Exchange(200, _page("Maintenance", text).encode(), _PAGE),),
        (Failure("connect", "refused or could not be reached"),),
    )
    return draw.choice(kinds)


def no_way_out(draw: Random) -> tuple[Answer, ...]:
    """What every vendor seems to answer when our own way out is broken."""
    kinds: tuple[tuple[Answer, ...], ...] = (
        (Failure("dns", "the name could not be resolved"),),
        (Failure("timeout", "not within 10 s", 10.0),),
        (Failure("connect", "refused or could not be reached"),),
        (Failure("tls", "the certificate is not trusted"),),
        (Exchange(503, _page("Proxy error", "The proxy could not reach its upstream.").encode(), _PAGE),),
        (Exchange(403, _page("Access denied", "Blocked by the web filter.").encode(), _PAGE),),
        (Exchange(200, _page("Sign in to the network").encode(), _PAGE),),
    )
    return draw.choice(kinds)


def no_name() -> tuple[Answer, ...]:
    """What a process meets that starts before its resolver does."""
    return (Failure("dns", "the name could not be resolved"),)


def odd_refusal(draw: Random) -> tuple[Answer, ...]:
    """What a vendor answers while its own login or firewall is broken: it looks like a refusal, and passes."""
    page = Exchange(403, _page("Attention required", "Checking your browser.").encode(), _PAGE)
    return draw.choice(((Exchange(401, b"", {}),), (Exchange(403, b"", {}),), (page,)))
