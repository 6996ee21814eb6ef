"""The receiver: what waits to be told, through which channel, how fast, and what was given up."""

from tests.support.boards.alerts import firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment, instance
from tests.support.boards.looks import ANY_IS_A_WARNING, ANY_IS_BAD, NEUTRAL, Steps, Texts, explore
from tests.support.boards.panels import Column, Line, Query, lines, stat, table, timeline

FROM = 'environment=~"$environment", instance=~"$instance"'
TO = f'{FROM}, target=~"$target"'
ALERTS = 'alertname=~"Tocsin(Deliveries|Webhook|Events|Receiver|Watchdog).*|Alertmanager.+|CriticalAlertBypass"'
WAITING = "planned|sending|failed|unknown"
AGES: Steps = ((None, "green"), (60, "yellow"), (300, "red"))
CIRCUIT: Texts = {"0": ("in use", "green"), "1": ("left alone", "red")}
RESULTS = [Line("^sent$", "green"), Line("^failed$", "orange"), Line("^unknown$", "yellow"), Line("^dead$", "red")]


def quantile(share: float, metric: str, by: str = "", where: str = FROM) -> str:
    """That share of what a histogram saw was faster."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


def oldest() -> str:
    """Seconds that the oldest message has waited; 0 when none waits."""
    since = f"tocsin_receiver_outbox_oldest_timestamp_seconds{{{FROM}}}"
    return f"max((time() - {since}) * ({since} > bool 0)) or vector(0)"


def in_a_day(results: str) -> str:
    """Attempts of the last day by target."""
    return f'sum by (target) (increase(tocsin_receiver_deliveries_total{{{TO}, result=~"{results}"}}[1d]))'


BOARD = Board(
    name="delivery",
    title="Delivery",
    description="What the receiver has yet to tell, through which channels, how fast, and what it gave up.",
    variables=[
        environment('up{job="tocsin-receiver"}'),
        instance("tocsin-receiver"),
        Variable(
            "target",
            "Target",
            "Where messages go, as the receiver's file names it.",
            "label_values(tocsin_receiver_deliveries_total, target)",
        ),
    ],
    alerts=ALERTS,
    about=["target", "instance"],
    rows=[
        [
            stat(
                "Messages waiting",
                "Messages that are not told yet; some are always on their way, many that stay are a channel that is down.",
                Query(
                    f'sum(max by (state) (tocsin_receiver_outbox{{{FROM}, state=~"{WAITING}"}})) or vector(0)',
                    "waiting",
                ),
                steps=((None, "green"), (20, "yellow"), (200, "red")),
                width=5,
            ),
            stat(
                "The oldest waits for",
                "How long the oldest untold message has waited; from five minutes on an alert says so, through the pager.",
                Query(oldest(), "oldest"),
                unit="s",
                steps=AGES,
                width=5,
            ),
            stat(
                "From alert to message, 95 %",
                "All but one in twenty messages were delivered within this time of the webhook, over an hour; enrichment may"
                " take three seconds of it.",
                Query(
                    f"histogram_quantile(0.95, sum by (le) (rate(tocsin_receiver_receipt_to_delivery_seconds_bucket{{{FROM}}}[1h])) > 0) or vector(NaN)",
                    "95 %",
                ),
                unit="s",
                decimals=1,
                steps=((None, "green"), (10, "yellow"), (60, "red")),
                width=5,
            ),
            stat(
                "Given up",
                "Messages that were given up in the time shown. Mend the channel, then tocsin-receiver replay sends them.",
                Query(
                    f'ceil(sum(increase(tocsin_receiver_deliveries_total{{{TO}, result="dead"}}[$__range]))) or vector(0)',
                    "dead",
                    at_once=True,
                ),
                steps=ANY_IS_BAD,
                width=5,
            ),
            stat(
                "Open incidents",
                "Incidents that nobody has acknowledged, reopened ones included; the button above the panels lists them.",
                Query(
                    f'sum(max by (state) (tocsin_receiver_incidents{{{FROM}, state=~"open|reopened"}})) or vector(0)',
                    "open",
                ),
                steps=ANY_IS_A_WARNING,
                width=4,
            ),
        ],
        [
            lines(
                "What waits in the outbox",
                "Messages by state: failed and unknown ones are tried again, dead ones are not. A growing band of failed ones is"
                " a channel; look at its lane below.",
                [Query(f'max by (state) (tocsin_receiver_outbox{{{FROM}, state=~"{WAITING}|dead"}})', "{{state}}")],
                stacked=True,
                drawn=[*RESULTS[1:], Line("^planned$", "blue"), Line("^sending$", "light-blue")],
                decimals=0,
                width=12,
                height=9,
            ),
            lines(
                "Attempts, by result",
                "Attempts a minute through all chosen channels; a few failures are tried again and do no harm.",
                [
                    Query(
                        f"60 * sum by (result) (rate(tocsin_receiver_deliveries_total{{{TO}}}[$__rate_interval]))",
                        "{{result}}",
                    )
                ],
                unit="suffix: /min",
                decimals=1,
                stacked=True,
                drawn=RESULTS,
                width=12,
                height=9,
            ),
        ],
        [
            timeline(
                "Channels that are left alone",
                "A lane for each target: red while five attempts in a row have failed, so that it is tried only now and then and"
                " its fallback is told instead. Mend it where its lane is red.",
                Query(f"max by (target) (tocsin_receiver_target_circuit_open{{{TO}}})", "{{target}}"),
                texts=CIRCUIT,
                height=7,
            )
        ],
        [
            table(
                "Who was told, in the last day",
                "Messages of each target: delivered, tried in vain, given up, and told to its fallback instead; how long half of"
                " the attempts took at most.",
                [
                    in_a_day("sent"),
                    f"{in_a_day('failed|unknown')} or on (target) 0 * {in_a_day('sent')}",
                    f"{in_a_day('dead')} or on (target) 0 * {in_a_day('sent')}",
                    f"sum by (target) (increase(tocsin_receiver_fallbacks_total{{{TO}}}[1d])) or on (target) 0 * {in_a_day('sent')}",
                    f"histogram_quantile(0.5, sum by (target, le) (rate(tocsin_receiver_delivery_duration_seconds_bucket{{{TO}}}[1d])))",
                ],
                [
                    Column(
                        "target",
                        "Target",
                        width=140,
                        links=[
                            explore("Explore", 'rate(tocsin_receiver_deliveries_total{target="${__value.raw}"}[5m])')
                        ],
                    ),
                    Column("A", "Told", decimals=0),
                    Column("B", "In vain", decimals=0, steps=((None, "text"), (1, "orange"))),
                    Column("C", "Given up", decimals=0, steps=((None, "text"), (1, "red"))),
                    Column("D", "To the fallback", decimals=0),
                    Column("E", "Half within", unit="s", decimals=2),
                ],
                sort="Told",
                descending=True,
                width=14,
                height=9,
            ),
            lines(
                "From alert to message",
                "From the webhook's receipt to delivery, and one attempt alone: where the first grows and the second does not,"
                " the receiver is behind; where both do, it is the channel.",
                [
                    Query(quantile(0.5, "tocsin_receiver_receipt_to_delivery_seconds"), "median"),
                    Query(quantile(0.95, "tocsin_receiver_receipt_to_delivery_seconds"), "95 %"),
                    Query(quantile(0.95, "tocsin_receiver_delivery_duration_seconds", where=TO), "one attempt, 95 %"),
                ],
                unit="s",
                steps=((None, "green"), (10, "yellow"), (60, "red")),
                width=10,
                height=9,
            ),
        ],
        [
            lines(
                "What events did to incidents",
                "Decisions a minute: opened, joined, resolved are the day's business; many reopened or fired_again are an alert"
                " that flaps and wants a longer `for`.",
                [
                    Query(
                        f"60 * sum by (reason) (rate(tocsin_receiver_incident_decisions_total{{{FROM}}}[$__rate_interval]))",
                        "{{reason}}",
                    )
                ],
                unit="suffix: /min",
                decimals=1,
                stacked=True,
                width=8,
                height=9,
            ),
            lines(
                "Escalations",
                "Steps that were taken because nobody had acknowledged, in an hour; exhausted means that nobody did at all.",
                [Query(f"sum by (reason) (increase(tocsin_receiver_escalations_total{{{FROM}}}[1h]))", "{{reason}}")],
                decimals=0,
                drawn=[Line("^exhausted$", "red"), Line("^acknowledged$", "green")],
                steps=NEUTRAL,
                width=8,
                height=9,
            ),
            lines(
                "Facts that messages did without",
                "Enrichers that failed, in an hour, and why: timeout and unreachable are about the server that was asked, defect"
                " is ours.",
                [
                    Query(
                        f'sum by (enricher, reason) (increase(tocsin_receiver_enrichment_failures_total{{{FROM}}}[1h]))\nor on () label_replace(vector(0), "enricher", "none", "", "")',
                        "{{enricher}} {{reason}}",
                    )
                ],
                decimals=0,
                width=8,
                height=9,
            ),
        ],
        [firing_table(ALERTS, "delivery", ["target", "instance"])],
    ],
)
