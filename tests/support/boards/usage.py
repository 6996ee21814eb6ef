"""Usage rules against what their owners declared."""

from tests.support.boards.alerts import firing_count, firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment
from tests.support.boards.looks import ANY_IS_BAD, OPEN_INCIDENTS, Steps, board_link, explore
from tests.support.boards.panels import Column, Line, Query, bars, lines, stat, table

HERE = 'environment=~"$environment"'
INFO = f'usage_rule_info{{service=~"$service", owner=~"$owner", rule=~"$rule", {HERE}}}'
OWN = f"and on (job, instance, rule) {INFO}"
ALERTS = 'rule=~".+", rule=~"$rule", service=~"$service", owner=~"$owner"'
NOW = f"sum by (rule) (rate(usage_rule_events_total[5m]) {OWN})"
LEAST = f"max by (rule) (usage_rule_minimum_events_per_second {OWN})"
AGAINST: Steps = ((None, "red"), (1, "yellow"), (1.25, "green"))
EVENTS = f"tocsin_exporter_events_total{{{HERE}, outcome"

BOARD = Board(
    name="usage",
    title="Product usage",
    description="Whether people use the product as much as its owners declared, rule by rule.",
    changes_of="$service",
    variables=[
        environment("usage_rule_info"),
        Variable(
            "service",
            "Service",
            "The part of your product that sends the events.",
            f"label_values(usage_rule_info{{{HERE}}}, service)",
        ),
        Variable(
            "owner",
            "Owner",
            "The team that owns the rule.",
            f'label_values(usage_rule_info{{{HERE}, service=~"$service"}}, owner)',
        ),
        Variable(
            "rule",
            "Rule",
            "The usage rule.",
            f'label_values(usage_rule_info{{{HERE}, service=~"$service", owner=~"$owner"}}, rule)',
        ),
    ],
    alerts=ALERTS,
    about=["rule", "service"],
    rows=[
        [
            stat(
                "Rules below their minimum",
                "How many rules have seen fewer events over five minutes than the least their owner declared; above zero, the"
                " bars below 100 % say which.",
                Query(f"count({NOW} < {LEAST} and on (rule) {INFO} offset 5m) or vector(0)", "below minimum"),
                steps=ANY_IS_BAD,
                links=[OPEN_INCIDENTS],
            ),
            stat(
                "Share not matched",
                "Part of the accepted events that no rule counted; a jump usually means that an event was renamed. This covers"
                " all products, whatever is chosen above.",
                Query(
                    f'sum(rate({EVENTS}="unmatched"}}[5m])) / (sum(rate({EVENTS}=~"matched|unmatched"}}[5m])) > 0) or vector(0)',
                    "not matched",
                ),
                unit="percentunit",
                decimals=1,
                steps=((None, "green"), (0.2, "yellow"), (0.5, "orange")),
                links=[board_link("Ingestion", "ingestion")],
            ),
            firing_count(ALERTS, "usage"),
            stat(
                "Rules counted",
                "How many usage rules the exporter has loaded for what is chosen above; fewer than you wrote means that a rule"
                " was not loaded.",
                Query(f"count(count by (rule) ({INFO})) or vector(0)", "rules"),
                steps=((None, "orange"), (1, "green")),
            ),
        ],
        [
            lines(
                "Events per rule",
                "Events a minute that each rule counts; a line under its dashed minimum is too little usage.",
                [
                    Query(f"60 * sum by (rule) (rate(usage_rule_events_total[$__rate_interval]) {OWN})", "{{rule}}"),
                    Query(
                        f'60 * {LEAST}\nor on () label_replace(vector(NaN), "rule", "no declared", "", "")',
                        "{{rule}} minimum",
                    ),
                ],
                unit="suffix: /min",
                decimals=1,
                drawn=[Line(" minimum$", "semi-dark-red", width=1, dashed=True)],
                width=16,
                height=10,
            ),
            bars(
                "Now against the minimum",
                "Five minutes of each rule as part of its declared minimum; a red bar is below 100 %. Rules without a minimum"
                " are not shown, and a new rule reads low until it is five minutes old.",
                Query(
                    f'sort({NOW} / {LEAST})\nor on () label_replace(vector(NaN), "rule", "no minimum", "", "")',
                    "{{rule}}",
                    at_once=True,
                ),
                unit="percentunit",
                steps=AGAINST,
                high=2,
                height=10,
                links=[OPEN_INCIDENTS],
            ),
        ],
        [
            table(
                "Usage rules",
                "Lowest against its minimum first: what each rule counts a minute over five minutes, the least that its owner"
                " declared, and the same five minutes yesterday.",
                [
                    "60 * sum by (rule, metric, owner, service) (\n  rate(usage_rule_events_total[5m])\n"
                    f"  * on (job, instance, rule) group_left (metric, owner, service) {INFO}\n)",
                    f"60 * {LEAST}\nor on (rule) NaN * max by (rule) ({INFO})",
                    f"{NOW} / {LEAST}\nor on (rule) 1e9 + 0 * max by (rule) ({INFO})",
                    f"60 * sum by (rule) (rate(usage_rule_events_total[5m] offset 1d) and on (rule) {INFO})\n"
                    f"or on (rule) NaN * max by (rule) ({INFO})",
                ],
                [
                    Column(
                        "rule",
                        "Rule",
                        links=[
                            board_link("Only ${__value.raw}", "usage", rule="${__value.raw}"),
                            OPEN_INCIDENTS,
                            explore(
                                "Explore ${__value.raw}", 'rate(usage_rule_events_total{rule="${__value.raw}"}[5m])'
                            ),
                        ],
                        width=160,
                    ),
                    Column("metric", "Metric", width=220),
                    Column("owner", "Owner"),
                    Column("service", "Service"),
                    Column("A", "Now", unit="suffix: /min", decimals=1),
                    Column("B", "Minimum", unit="suffix: /min", decimals=1, empty="none declared"),
                    Column(
                        "C",
                        "Against minimum",
                        unit="percentunit",
                        decimals=0,
                        steps=AGAINST,
                        texts={"1000000000": ("\u2013", "transparent")},
                        filled=True,
                    ),
                    Column("D", "Same time yesterday", unit="suffix: /min", decimals=1, empty="no data yet"),
                ],
                sort="Against minimum",
                height=9,
            )
        ],
        [firing_table(ALERTS, "usage", ["rule", "service"])],
    ],
)
