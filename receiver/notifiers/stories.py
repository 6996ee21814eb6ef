"""Five incidents as people would be told of them: what `preview` shows, and what `check` tries templates on."""

from collections.abc import Mapping

from msgspec.structs import replace

from receiver.message import Change, Message

_AT = 1795269731.0
"""2026-11-21 14:02:11 UTC."""
_HOST = "https://tocsin.example.com"


def _linked(story: Message, metric: str) -> Message:
    """With the links that its incident has."""
    return replace(
        story,
        runbook_url=f"{_HOST}/runbooks/{story.alert}",
        dashboard_url=f"https://grafana.example.com/d/{story.alert.lower()}",
        query_url=f"https://prometheus.example.com/graph?g0.expr={metric}",
        incident_url=f"{_HOST}/v1/incidents/{story.incident}",
        acknowledge_url=f"{_HOST}/a/7f3Kq9-{story.incident}",
        silence_url=f"{_HOST}/a/9sWd2x-{story.incident}",
    )


UNPAID = _linked(
    Message(
        incident=41,
        revision=1,
        status="firing",
        reason="opened",
        severity="critical",
        alert="ThirdPartyPaymentRequired",
        summary="Mailgun subscription lapsed (402)",
        description="412 of 412 calls got 402 in 10 min. An unpaid bill, not an outage: retrying won't help.",
        service="billing-api",
        environment="prod",
        owner="finance",
        since=_AT,
        firing_count=1,
        priority="P1",
        rank="critical, billing-api is tier 1, certainty code",
        kind="vendor_billing",
        measured="0 % of calls succeed",
        normal="99.8 %",
        factor="all fail",
        sparkline="▇▇▇▇▇▇▇▁▁▁",
        impact="invoices and sign-up mails stop; about 120 EUR an hour",
        impact_measured="312 mails held back",
        pays="finance, card ending 4242, at https://app.mailgun.com/settings/billing",
        tier=1,
        changes=(Change("renewal date of the Mailgun plan", _AT - 131, "https://app.mailgun.com/settings/billing"),),
        history="2nd time in 30 days; the last took 38 min, ended by Ana Lima: paid the October invoice",
        related=("ThirdPartySharedCardFailing of sentry (incident 40)",),
        vendor_status="Mailgun's status page: all systems operational",
        on_call="Ana Lima",
        next_step="14:12 UTC: Bo Berg, if nobody acknowledges",
        first_steps=(
            "Open https://app.mailgun.com/settings/billing, pay the open invoice, see that the card has not expired.",
            "Cannot log in or may not pay? Call the owner, at night too.",
            "Send what is urgent by the second vendor: set MAIL_VENDOR=postmark.",
        ),
        fallback="Paid and still refused after 15 min: write to Mailgun's support with the invoice number.",
    ),
    "thirdparty_up",
)

QUOTA = _linked(
    Message(
        incident=42,
        revision=1,
        status="firing",
        reason="opened",
        severity="warning",
        alert="ThirdPartyQuotaExhausted",
        summary="OpenAI quota spent (429 insufficient_quota)",
        description="Every call is refused until the quota is raised or renewed on 1 December. Waiting won't help.",
        service="search-api",
        environment="prod",
        owner="search",
        since=_AT - 900,
        firing_count=1,
        priority="P2",
        rank="warning, search-api is tier 2, certainty code",
        kind="vendor_billing",
        measured="500 of 500 USD spent",
        normal="310 USD on day 21",
        factor="1.6 times its normal",
        sparkline="▁▂▂▃▃▄▅▆▇▇",
        impact="search falls back to keywords; nothing is lost",
        impact_measured="1,870 searches an hour",
        changes=(
            Change(
                "flag rerank-all on for all users, by Chen Wu",
                _AT - 90_000,
                "https://flags.example.com/rerank-all",
                "https://flags.example.com/rerank-all/off",
            ),
        ),
        history="first time in 30 days",
        vendor_status="OpenAI's status page: all systems operational",
        on_call="Chen Wu",
        next_step="14:17 UTC: team search, if nobody acknowledges",
        first_steps=(
            "Turn the flag rerank-all off: it has tripled the calls.",
            "Raise the limit at https://platform.openai.com/settings/limits if search must rank now.",
        ),
        fallback="Set SEARCH_MODE=keywords and tell support that ranking is coarse until 1 December.",
    ),
    "thirdparty_quota_remaining",
)

CHECKOUT = _linked(
    Message(
        incident=43,
        revision=1,
        status="firing",
        reason="opened",
        severity="critical",
        alert="UsageDropped",
        summary="Checkouts 84 % below normal",
        description="61 checkouts in 10 min where 380 are normal on a Saturday afternoon. Page views are as ever: "
        "people try and fail.",
        service="checkout",
        environment="prod",
        owner="payments",
        since=_AT,
        firing_count=3,
        priority="P1",
        rank="critical, checkout is tier 1",
        cause="HighErrorRate of checkout, which cart and orders need",
        spread="3 alerts of 3 services: checkout 1, cart 1, orders 1",
        kind="usage",
        measured="61 checkouts in 10 min",
        normal="380",
        factor="6.2 times below normal",
        sparkline="▇▇▇▇▆▇▇▂▁▁",
        impact="no sale completes for card payers",
        impact_measured="about 4,300 EUR an hour",
        changes=(
            Change(
                "deploy of checkout 1.42 by Ana Lima",
                _AT - 251,
                "https://github.com/example/checkout/deployments/142",
                "https://argocd.example.com/checkout/rollback",
            ),
            Change("migration 0093 of the orders database", _AT - 2400, "https://github.com/example/orders/pull/930"),
        ),
        history="4th time in 30 days; the last took 22 min, ended by Bo Berg: rolled back 1.39",
        related=("HighErrorRate of cart (incident 43)", "QueueGrows of orders (incident 43)"),
        on_call="Bo Berg",
        next_step="14:07 UTC: Dana Cruz, if nobody acknowledges",
        logs=("14:01:52 checkout-7d9f: KeyError 'payment_method' in confirm()",),
        first_steps=(
            "Roll checkout back to 1.41: the deploy came 4 min before the drop.",
            "Watch checkouts on the dashboard; they come back within 3 min.",
        ),
        fallback="Turn the flag new-confirm off and page the payments lead.",
        logs_url="https://grafana.example.com/explore?logs=checkout",
        trace_url="https://tempo.example.com/trace/5b8aa5a2d2c872e8321cf37308d69df2",
    ),
    "usage_events_total",
)

SLO = _linked(
    Message(
        incident=44,
        revision=1,
        status="firing",
        reason="opened",
        severity="critical",
        alert="ErrorBudgetBurn",
        summary="Login burns its error budget 14 times too fast",
        description="At this rate the month's budget is spent in 2 days. 1.4 % of logins fail; 0.1 % may.",
        service="login",
        environment="prod",
        owner="identity",
        since=_AT - 3600,
        firing_count=2,
        priority="P2",
        rank="critical, login is tier 2",
        kind="slo",
        measured="1.4 % of logins fail",
        normal="0.04 %",
        factor="14 times the rate that the budget allows",
        sparkline="▁▁▁▁▂▅▆▆▇▇",
        impact="one login in 70 fails; people try again and most get in",
        impact_measured="2,100 users in the last hour",
        changes=(
            Change(
                "config of session-store: timeout 200 ms, by Eli Katz", _AT - 3900, "https://git.example.com/c/8812"
            ),
        ),
        history="3rd time in 30 days; the last took 1 h 10 min, ended by Eli Katz: restarted redis-2",
        related=("RedisLatencyHigh of session-store (incident 39)",),
        on_call="Eli Katz",
        next_step="14:20 UTC: team identity, if nobody acknowledges",
        first_steps=(
            "Set the timeout of session-store back to 2 s (change 8812).",
            "Look at redis-2: its latency rose with the burn.",
        ),
        fallback="Move sessions to redis-3 (runbook, part 3).",
    ),
    "slo_burn_rate",
)

LOGS = _linked(
    Message(
        incident=45,
        revision=1,
        status="firing",
        reason="opened",
        severity="warning",
        alert="LogPattern",
        summary="New error in orders: deadlock detected",
        description="'deadlock detected' came 240 times in 15 min and never before. Each is an order to be sent again.",
        service="orders",
        environment="prod",
        owner="orders",
        since=_AT - 600,
        firing_count=1,
        priority="P3",
        rank="warning, orders is tier 2",
        kind="slo",
        measured="16 lines a minute",
        normal="0",
        factor="new in 30 days",
        sparkline="▁▁▁▁▁▁▃▆▇▇",
        impact="orders take 40 s longer; none is lost",
        impact_measured="96 orders delayed",
        changes=(
            Change(
                "migration 0094 of the orders database by Chen Wu",
                _AT - 780,
                "https://github.com/example/orders/pull/941",
                "https://github.com/example/orders/pull/941/revert",
            ),
        ),
        history="first time in 30 days",
        on_call="Dana Cruz",
        next_step="14:32 UTC: Chen Wu, if nobody acknowledges",
        logs=(
            "14:01:58 orders-5c7d ERROR deadlock detected: UPDATE order_items waits for UPDATE orders",
            "14:01:59 orders-5c7d ERROR order 88120 is sent again in 40 s",
        ),
        first_steps=(
            "Pause the nightly export: it holds the locks (job orders-export).",
            "See who waits: the dashboard's panel Locks.",
        ),
        fallback="Revert migration 0094; it takes 2 min and no downtime.",
        logs_url="https://grafana.example.com/explore?logs=orders",
    ),
    "log_pattern_lines",
)

STORIES: Mapping[str, Message] = {
    "unpaid-bill": UNPAID,
    "spent-quota": QUOTA,
    "checkout-drop": CHECKOUT,
    "slo-burn": SLO,
    "log-pattern": LOGS,
}


def acknowledged(story: Message) -> Message:
    """The same once somebody has it."""
    return replace(
        story,
        revision=2,
        reason="acknowledged",
        acknowledged_by="Ana Lima",
        acknowledged_at=story.since + 240,
        note="on it",
    )


def resolved(story: Message) -> Message:
    """The same at its end, with the value of then."""
    return replace(
        story,
        revision=3,
        status="resolved",
        reason="resolved",
        until=story.since + 2280,
        firing_count=0,
        measured=f"back to normal ({story.normal})",
        normal="",
        factor="",
        sparkline="",
        acknowledged_by="Ana Lima",
        acknowledged_at=story.since + 240,
    )
