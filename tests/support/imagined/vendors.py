"""What the exporter and the shipped rules would show of the company's vendors."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.providers.kinds import Certainty, Kind
from tests.support.imagined.making import DAY, HOUR, MINUTE, SHORT, UNPAID, Course, counter, level, noise
from tests.support.imagined.places import FIRST_EXPORTER
from tests.support.prometheuses import Past

EVERY = 120.0


@dataclass(frozen=True)
class Trouble:
    """What a vendor answered from `since` until `until`, in seconds before now; an end below 0 is to come."""

    verdict: str
    code: str
    since: float
    until: float = -DAY


@dataclass(frozen=True)
class Vendor:
    """A vendor and what went wrong with it."""

    name: str
    service: str
    owner: str
    seconds: float
    """that an answer takes"""
    troubles: tuple[Trouble, ...] = ()
    stops: str = ""
    cost: str = ""
    card: str = "company-visa"
    renews: float = 0.0
    """days from now; 0 for unknown"""
    plan: str = ""
    credit: tuple[str, float, float] | None = None
    """(unit, what is left, what is spent a second)"""
    quota: tuple[float, float] | None = None
    """(the part that is used now, the part that an hour adds)"""

    def verdict(self, ago: float) -> tuple[str, str]:
        """(verdict, HTTP status) of the answers then."""
        now = ((one.verdict, one.code) for one in self.troubles if one.until <= ago <= one.since)
        return next(now, ("ok", "200"))

    @property
    def present(self) -> Trouble | None:
        """The trouble that lasts."""
        return next((trouble for trouble in self.troubles if trouble.until < 0), None)


VENDORS = (
    Vendor("stripe", "shop", "payments", 0.21, stops="card payments", cost="4,800 EUR", renews=212, plan="custom"),
    Vendor(
        "sendgrid",
        "mail",
        "messaging",
        0.34,
        (Trouble("payment_required", "402", UNPAID),),
        "receipts, password resets",
        "900 EUR",
        renews=6,
        plan="Pro 100k",
        card="finance-amex",
    ),
    Vendor(
        "twilio",
        "mail",
        "messaging",
        0.28,
        (Trouble("outage", "503", 4 * HOUR, 3.6 * HOUR),),
        "codes by SMS",
        "300 EUR",
        credit=("USD", 412.5, 0.0011),
        card="finance-amex",
    ),
    Vendor(
        "openai",
        "search",
        "search",
        0.9,
        (Trouble("rate_limited", "429", 2.2 * HOUR, 1.9 * HOUR),),
        "answers in the search",
        "120 EUR",
        credit=("USD", 96.0, 0.00042),
        quota=(0.81, 0.006),
        renews=19,
        plan="tier 4",
    ),
    Vendor(
        "mapbox", "shop", "logistics", 0.12, stops="addresses", quota=(0.37, 0.001), renews=44, plan="pay as you go"
    ),
)
CARDS = {"finance-amex": ("finance", 23.0), "company-visa": ("finance", 402.0)}
"""Each card: (who looks after it, days that it is good for)."""


def state(vendor: Vendor, epoch: float) -> Iterator[Past]:
    """How it stands with one vendor; `epoch` is now, in seconds since the epoch."""
    own = {**FIRST_EXPORTER, "provider": vendor.name}
    owners = {"service": vendor.service, "owner": vendor.owner, "billing_owner": "finance"}
    since = min((one.until for one in vendor.troubles if one.until > 0), default=6.5 * DAY)
    began, last_ok = (vendor.present.since, vendor.present.since) if vendor.present else (since, 0.0)
    yield level("thirdparty_provider_info", 1, {**own, **owners})
    yield level("provider:thirdparty_provider_info:current", 1, {**owners, "provider": vendor.name})
    yield level("thirdparty_up", lambda ago: float(vendor.verdict(ago)[0] == "ok"), own)
    for verdict in Kind:
        yield level("thirdparty_verdict", _is(vendor, verdict), {**own, "verdict": verdict})
    for certainty in Certainty:
        yield level("thirdparty_verdict_certainty", float(certainty == "code"), {**own, "certainty": certainty})
    yield level("thirdparty_verdict_since_timestamp_seconds", epoch - began, own)
    yield level("thirdparty_verdict_streak", began // EVERY, own)
    yield level("thirdparty_watched_since_timestamp_seconds", epoch - 90 * DAY, own)
    yield level("thirdparty_last_success_timestamp_seconds", _reached(epoch, last_ok), own)
    yield level("thirdparty_last_probe_timestamp_seconds", _reached(epoch, 0.0), own)
    yield level(
        "thirdparty_probe_duration_seconds", lambda ago: vendor.seconds * (1 + 0.3 * noise(vendor.name, ago)), own
    )
    for name, value in LIMITS.items():
        yield level(f"thirdparty_{name}", value, own)
    yield level("thirdparty_tls_certificate_expiry_timestamp_seconds", epoch + (30 + len(vendor.name) * 9) * DAY, own)
    for verdict_, code in sorted({vendor.verdict(ago * MINUTE) for ago in range(int(SHORT / MINUTE))}):
        rate = _answers(vendor, verdict_)
        yield counter("thirdparty_responses_total", rate, {**own, "verdict": verdict_, "code": code})


LIMITS = {
    "probe_interval_seconds": EVERY,
    "success_max_age_seconds": HOUR,
    "confirmation_probes": 3.0,
    "confirmation_seconds": 300.0,
    "credit_warning_seconds": 7 * DAY,
}


def _is(vendor: Vendor, verdict: str) -> Course:
    return lambda ago: float(vendor.verdict(ago)[0] == verdict)


def _answers(vendor: Vendor, verdict: str) -> Course:
    return lambda ago: (1 / EVERY) * (vendor.verdict(ago)[0] == verdict)


def _reached(epoch: float, last: float) -> Course:
    """A time that goes along with the clock until `last` seconds before now, some seconds behind it."""
    return lambda ago: epoch - max(ago, last) - 10 - 8 * noise("probe", ago)


def impact(vendor: Vendor) -> Iterator[Past]:
    """What stops with it, and whether it has."""
    if vendor.stops:
        page = f"https://{vendor.name}.example/billing"
        labels = {"features": vendor.stops, "cost_per_hour": vendor.cost, "billing_url": page, "provider": vendor.name}
        yield level("thirdparty_provider_impact_info", 1, {**FIRST_EXPORTER, **labels})
        yield level("provider:thirdparty_provider_impact_info:current", 1, labels)
    if vendor.present:
        labels = {"provider": vendor.name, "verdict": vendor.present.verdict}
        since = vendor.present.since - LIMITS["confirmation_seconds"]
        yield level("provider_verdict:thirdparty_verdict:standing", 1, labels, since=since)


def accounts(vendor: Vendor, epoch: float) -> Iterator[Past]:
    """What is left of it, and when it ends."""
    own = {**FIRST_EXPORTER, "provider": vendor.name}
    yield level("thirdparty_funded_by", 1, {**own, "card": vendor.card})
    if vendor.renews:
        yield level("thirdparty_renewal_timestamp_seconds", epoch + vendor.renews * DAY, {**own, "plan": vendor.plan})
    if vendor.credit:
        unit, left, spent = vendor.credit
        yield level("thirdparty_credit_remaining", lambda ago: left + spent * ago, {**own, "unit": unit})
        for pace, part in (("pace7d", 1.0), ("pace6h", 0.6)):
            lasts = f"provider_unit:thirdparty_credit_left_seconds:{pace}"
            yield level(lasts, _lasting(left / spent, part, pace), {"provider": vendor.name, "unit": unit})
    if vendor.quota:
        used, hourly = vendor.quota
        yield level("thirdparty_quota_used_ratio", lambda ago: used - hourly * ago / HOUR, own)
        yield level("thirdparty_quota_reset_timestamp_seconds", epoch + 9 * DAY, own)


def _lasting(seconds: float, part: float, key: str) -> Course:
    return lambda ago: (seconds + ago) * part * (1 + 0.03 * noise(key, ago))


def vendors(epoch: float) -> Iterator[Past]:
    """All of it."""
    for vendor in VENDORS:
        yield from state(vendor, epoch)
        yield from impact(vendor)
        yield from accounts(vendor, epoch)
    for card, (owner, good_for) in CARDS.items():
        yield level(
            "thirdparty_card_expiry_timestamp_seconds", epoch + good_for * DAY, {**FIRST_EXPORTER, "card": card}
        )
        yield level("thirdparty_card_info", 1, {**FIRST_EXPORTER, "card": card, "owner": owner})
