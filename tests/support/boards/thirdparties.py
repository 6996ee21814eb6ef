"""Vendors: which stopped, why, since when, who pays, and what ends next."""

from tests.support.boards.alerts import firing_count, firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment
from tests.support.boards.looks import ANY_IS_BAD, DASH, OPEN_INCIDENTS, Steps, Texts, board_link, explore, link
from tests.support.boards.panels import Column, Line, Query, lines, stat, table, timeline

HERE = 'environment=~"$environment"'
INFO = f'thirdparty_provider_info{{service=~"$service", owner=~"$owner", provider=~"$provider", {HERE}}}'
OWN = f"and on (job, instance, provider) {INFO}"
OF = f"and on (provider) max by (provider) ({INFO})"
ALERTS = 'provider=~".+", provider=~"$provider", service=~"$service", owner=~"$owner"'
VERDICTS = (
    ("ok", "ok", "green"),
    ("unknown", "unknown", "#808080"),
    ("rate_limited", "rate limited", "yellow"),
    ("outage", "vendor outage", "orange"),
    ("credentials_invalid", "key refused", "purple"),
    ("payment_required", "unpaid bill", "red"),
    ("account_suspended", "account suspended", "dark-red"),
    ("quota_exhausted", "quota used up", "semi-dark-orange"),
    ("plan_restricted", "not in the plan", "blue"),
    ("ambiguous", "key or bill", "purple"),
    ("not_account_problem", "not our account", "light-blue"),
)
"""(verdict, in words, colour); a verdict's number in a lane is its place here, from 1 on."""
CERTAINTIES: Texts = {
    "code": ("vendor's own code", "green"),
    "words": ("words of the answer", "blue"),
    "history": ("what came before", "yellow"),
    "status": ("HTTP status alone", "orange"),
}
NUMBERED = "\n  or ".join(f'{n} * thirdparty_verdict{{verdict="{name}"}}' for n, (name, _, _) in enumerate(VERDICTS, 1))
LANES: Texts = {"0": ("not probed yet", "text")} | {str(n): row[1:] for n, row in enumerate(VERDICTS, 1)}
LIMITS: Steps = ((None, "transparent"), (0.75, "yellow"), (0.9, "red"))
DAYS: Steps = ((None, "red"), (7, "orange"), (30, "text"))
PROVIDER = [board_link("Only ${__value.raw}", "thirdparties", provider="${__value.raw}"), OPEN_INCIDENTS]


def each(how: str, expr: str) -> str:
    """One value for each chosen provider, of all exporters."""
    return f"{how} by (provider) ({expr} {OWN})"


def having(verdict: str) -> str:
    """How many providers answer so now."""
    answering = f'thirdparty_verdict{{verdict="{verdict}"}}'
    return f"sum({each('max', answering)}) or vector(0)"


SINCE_OK = "time() - (thirdparty_last_success_timestamp_seconds or thirdparty_watched_since_timestamp_seconds)"
CONFIRMED = (
    "(thirdparty_verdict_streak >= bool thirdparty_confirmation_probes)"
    " * (time() - thirdparty_verdict_since_timestamp_seconds >= bool thirdparty_confirmation_seconds)"
)
UNPROBED = f"or on (provider) max by (provider, service, owner, billing_owner) (0 * {INFO})"
PRESENT = (
    "max by (provider, service, owner, billing_owner, verdict) (\n"
    f"  (({NUMBERED}) > 0)\n"
    f"  * on (job, instance, provider) group_left (service, owner, billing_owner) {INFO}\n)\n{UNPROBED}"
)
NEVER = f"or on (provider) max by (provider) (0 * {INFO})"

RENEWS = 'label_replace(thirdparty_renewal_timestamp_seconds, "what", "renews: $1", "plan", "(.*)")'
CERTIFICATE = 'label_replace(thirdparty_tls_certificate_expiry_timestamp_seconds, "what", "certificate ends", "", "")'
ENDS = f"(min by (provider, what) (({RENEWS} or {CERTIFICATE}) {OWN}) - time()) / 86400"
PLANS = f"min by (provider, what) ({RENEWS} {OWN})"


def of_plan(label: str, info: str) -> str:
    """A label of another series, beside each plan that renews; of several the first."""
    return f"{PLANS} * on (provider) group_left ({label}) topk by (provider) (1, max by (provider, {label}) ({info} {OWN}))"


CARD_ENDS = "thirdparty_funded_by * on (job, instance, card) group_left () thirdparty_card_expiry_timestamp_seconds"
CREDIT = '"what", "credit, $1", "unit", "(.*)"'
QUOTA = '"what", "quota", "", ""'
USED = each("max", "thirdparty_quota_used_ratio")
UNTIL_SPENT = f"(1 - {USED}) / ({each('max', 'deriv(thirdparty_quota_used_ratio[6h])')} > 0)"


def lasting(pace: str) -> str:
    """Days that a credit lasts, by what it is."""
    seconds = f"provider_unit:thirdparty_credit_left_seconds:{pace}"
    return f"max by (provider, what) (label_replace({seconds} / 86400 {OF}, {CREDIT}))"


BOARD = Board(
    name="thirdparties",
    title="Third parties",
    description="Which vendor stopped, why, since when, and who pays it; what ends next.",
    changes_of="$service",
    variables=[
        environment("thirdparty_provider_info"),
        Variable(
            "service",
            "Service",
            "The part of your product that depends on the vendor.",
            f"label_values(thirdparty_provider_info{{{HERE}}}, service)",
        ),
        Variable(
            "owner",
            "Owner",
            "The team that owns the integration.",
            f'label_values(thirdparty_provider_info{{{HERE}, service=~"$service"}}, owner)',
        ),
        Variable(
            "provider",
            "Provider",
            "The vendor.",
            f'label_values(thirdparty_provider_info{{{HERE}, service=~"$service", owner=~"$owner"}}, provider)',
        ),
    ],
    alerts=ALERTS,
    about=["provider", "service"],
    rows=[
        [
            stat(
                "Providers ok",
                "How many watched vendors answered well at their last probe; with the next number it makes all that you watch.",
                Query(f"count({each('max', 'thirdparty_up')} == 1) or vector(0)", "ok"),
                steps=((None, "text"), (1, "green")),
                width=4,
            ),
            stat(
                "Providers not ok",
                "How many gave anything but a good answer at their last probe; above zero, the verdicts below have the reason.",
                Query(f"count({each('max', 'thirdparty_up')} == 0) or vector(0)", "not ok"),
                steps=((None, "green"), (1, "orange"), (3, "red")),
                width=4,
                links=[OPEN_INCIDENTS],
            ),
            stat(
                "Unpaid bills now",
                "How many vendors say that they have not been paid; one is enough to call whoever pays, named in the table below.",
                Query(having("payment_required"), "unpaid"),
                steps=ANY_IS_BAD,
                width=4,
                links=[OPEN_INCIDENTS],
            ),
            stat(
                "Refused keys now",
                "How many vendors refuse our key or token; one is enough to rotate it, the owner is named in the table below.",
                Query(having("credentials_invalid"), "refused"),
                steps=((None, "green"), (1, "purple")),
                width=4,
                links=[OPEN_INCIDENTS],
            ),
            stat(
                "Longest without success",
                "The vendor that has gone longest without a good answer, and for how long; amber from 15 minutes, red from one"
                " hour, the default limit.",
                Query(f"topk(1, {each('min', SINCE_OK)}) or on () vector(0)", "{{provider}}", at_once=True),
                unit="s",
                decimals=0,
                steps=((None, "green"), (900, "yellow"), (3600, "red")),
                width=4,
                names=True,
                links=[OPEN_INCIDENTS],
            ),
            firing_count(ALERTS, "vendors", width=4),
        ],
        [
            timeline(
                "Verdict per provider",
                "One lane per vendor, coloured by what its answers meant; where a lane leaves green is when it stopped, and the"
                " colour says why.",
                Query(each("max", f"(\n  {NUMBERED}\n  )"), "{{provider}}"),
                texts=LANES,
                height=8,
                links=[
                    board_link(
                        "Only ${__field.labels.provider}", "thirdparties", provider="${__field.labels.provider}"
                    ),
                    OPEN_INCIDENTS,
                ],
            )
        ],
        [
            table(
                "Providers",
                "Worst first: what each vendor's last answers meant, how sure that is, since when, and whom to call; a verdict"
                " counts once it is confirmed by enough probes over enough time.",
                [
                    PRESENT,
                    f"max by (provider, certainty) (thirdparty_verdict_certainty == 1 {OWN})\n{NEVER}",
                    f"1000 * {each('min', 'thirdparty_verdict_since_timestamp_seconds')}\n{NEVER}",
                    f"1000 * {each('max', 'thirdparty_last_success_timestamp_seconds')}\n{NEVER}",
                    f"{each('max', 'thirdparty_verdict_streak')}\n{NEVER}",
                    f"{each('min', CONFIRMED)}\n{NEVER}",
                ],
                [
                    Column(
                        "provider",
                        "Provider",
                        links=[
                            *PROVIDER,
                            explore("Explore ${__value.raw}", 'thirdparty_verdict{provider="${__value.raw}"} == 1'),
                        ],
                        width=140,
                    ),
                    Column("service", "Service"),
                    Column("owner", "Owner"),
                    Column("billing_owner", "Who pays"),
                    Column(
                        "verdict",
                        "Verdict now",
                        texts={name: (words, colour) for name, words, colour in VERDICTS},
                        empty="not probed yet",
                        filled=True,
                        width=130,
                    ),
                    Column("certainty", "Certainty", texts=CERTAINTIES, width=150),
                    Column("F", "Confirmed", texts={"0": ("not yet", "yellow"), "1": ("yes", "text")}, width=110),
                    Column("C", "Since", unit="dateTimeFromNow", texts={"0": (DASH, "text")}),
                    Column("D", "Last success", unit="dateTimeFromNow", texts={"0": ("never", "red")}),
                    Column("E", "Streak", unit="suffix: probes", decimals=0, width=110),
                ],
                order="A",
                height=8,
            )
        ],
        [firing_table(ALERTS, "providers", ["provider", "service"])],
        [
            lines(
                "Answers by verdict and code",
                "Answers a minute from all chosen vendors, stacked by what they meant and the HTTP status (or transport error)"
                " behind it; a new colour on the stack is a new kind of answer.",
                [
                    Query(
                        f"60 * sum by (verdict, code) (rate(thirdparty_responses_total[$__rate_interval]) {OWN})",
                        "{{verdict}} {{code}}",
                    )
                ],
                unit="suffix: /min",
                decimals=2,
                stacked=True,
                drawn=[Line(f"^{name} ", colour, shades=True) for name, _, colour in VERDICTS],
                height=9,
            ),
            lines(
                "Age of last success against its limit",
                "How much of its allowed time without a good answer each vendor has used; a line that crosses 100 % has been"
                " silent longer than its limit.",
                [Query(each("min", f"({SINCE_OK}) / thirdparty_success_max_age_seconds"), "{{provider}}")],
                unit="percentunit",
                decimals=0,
                steps=((None, "transparent"), (0.5, "yellow"), (1, "red")),
                limits=True,
                high=1.2,
                height=9,
            ),
        ],
        [
            lines(
                "Probe duration",
                "How long each vendor took to answer its last probe; a slow climb often comes before an outage.",
                [Query(each("max", "thirdparty_probe_duration_seconds"), "{{provider}}")],
                unit="s",
                steps=((None, "green"), (2, "yellow"), (10, "red")),
                limits=True,
            ),
            lines(
                "Time since last probe against its interval",
                "Saw-teeth up to 100 % are healthy; a line that keeps climbing means that the exporter has stopped probing, so"
                " its verdict is old.",
                [
                    Query(
                        each(
                            "min",
                            "(time() - thirdparty_last_probe_timestamp_seconds) / thirdparty_probe_interval_seconds",
                        ),
                        "{{provider}}",
                    )
                ],
                unit="percentunit",
                decimals=0,
                steps=((None, "green"), (2, "yellow"), (5, "red")),
                limits=True,
                high=2,
            ),
        ],
        [
            table(
                "The calendar: what ends next",
                "When each plan renews and each certificate ends, which card is charged and who decides: change or cancel before"
                " that day. Plans whose date is not known are not here.",
                [
                    f"{ENDS}\n* on (provider) group_left (billing_owner) max by (provider, billing_owner) ({INFO})",
                    of_plan("card", "thirdparty_funded_by"),
                    of_plan("billing_url", "thirdparty_provider_impact_info"),
                ],
                [
                    Column("provider", "Provider", links=PROVIDER, width=120),
                    Column("what", "What", width=150),
                    Column("A", "Days left", unit="d", decimals=0, steps=DAYS),
                    Column("card", "Card"),
                    Column("billing_owner", "Who decides"),
                    Column("billing_url", "Where", width=160, links=[link("Open", "${__value.raw}", new_tab=True)]),
                ],
                sort="Days left",
                width=14,
                height=9,
                nothing="Nothing that ends is known",
            ),
            table(
                "Cards by expiry, and what they pay",
                "Each card with what it pays, the first to end on top; give the vendors the new one before, or all of them stop"
                " on one day.",
                [
                    f"(min by (card, provider) ({CARD_ENDS} {OWN}) - time()) / 86400\n"
                    "* on (card) group_left (owner) max by (card, owner) (thirdparty_card_info)"
                ],
                [
                    Column("card", "Card", width=110),
                    Column("A", "Days left", unit="d", decimals=0, steps=((None, "red"), (30, "orange"), (60, "text"))),
                    Column("provider", "Pays", links=PROVIDER),
                    Column("owner", "Owner"),
                ],
                sort="Days left",
                width=10,
                height=9,
                nothing="No card is known",
            ),
        ],
        [
            table(
                "Balances and quotas, the shortest first",
                "How many days each lasts: a balance at the pace of the past week and of six hours, a quota at that of six hours."
                " Top up, or ask for more, before it is short.",
                [
                    f"{lasting('pace7d')}\nor on (provider, what) label_replace({UNTIL_SPENT} / 86400, {QUOTA})",
                    lasting("pace6h"),
                    f"max by (provider, what) (label_replace(thirdparty_credit_remaining {OWN}, {CREDIT}))",
                    f"label_replace({USED}, {QUOTA})",
                    f"label_replace(({each('min', 'thirdparty_quota_reset_timestamp_seconds')} - time()) / 86400, {QUOTA})",
                ],
                [
                    Column("provider", "Provider", links=PROVIDER, width=120),
                    Column("what", "What", width=120),
                    Column("A", "Lasts", unit="d", decimals=1, steps=((None, "red"), (1, "orange"), (7, "text"))),
                    Column(
                        "B",
                        "At the last hours' pace",
                        unit="d",
                        decimals=1,
                        steps=((None, "red"), (1, "orange"), (7, "text")),
                    ),
                    Column("C", "Left", decimals=2),
                    Column("D", "Used", unit="percentunit", decimals=0, steps=((None, "text"), *LIMITS[1:])),
                    Column("E", "Starts anew in", unit="d", decimals=0),
                ],
                sort="Lasts",
                height=7,
                nothing="No balance and no quota is known",
            )
        ],
        [
            lines(
                "Credit left at its pace",
                "How long the credit lasts: a line that falls faster than time passes is spending that grows. A jump up is a"
                " top-up.",
                [
                    Query(f"provider_unit:thirdparty_credit_left_seconds:pace7d {OF}", "{{provider}} {{unit}}, week"),
                    Query(
                        f"provider_unit:thirdparty_credit_left_seconds:pace6h {OF}", "{{provider}} {{unit}}, six hours"
                    ),
                ],
                unit="s",
                decimals=1,
                steps=((None, "red"), (86400, "yellow"), (604800, "transparent")),
                limits=True,
            ),
            lines(
                "Quota used",
                "How much of its quota each vendor has counted; it falls back when the quota starts anew.",
                [Query(USED, "{{provider}}")],
                unit="percentunit",
                decimals=0,
                steps=LIMITS,
                limits=True,
                high=1,
            ),
        ],
    ],
)
