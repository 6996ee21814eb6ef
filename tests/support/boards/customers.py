"""Customers and features against their own normal, and what is lost while something is stopped."""

from tests.support.boards.alerts import firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import LABEL_OF_A_SIGNAL, environment, grouping
from tests.support.boards.looks import ANY_IS_A_WARNING, ANY_IS_BAD, NEUTRAL, OPEN_INCIDENTS, board_link, explore, link
from tests.support.boards.panels import Column, Query, lines, stat, table
from tests.support.boards.recorded import NORMAL, scaled

CHOSEN = 'kind="count", service=~"$service", signal=~"$signal"'
"""What is counted: of a duration or a share there is no more or less usage."""
SELECTED = '{signal=~"$signal", $by=~".+", environment=~"$environment"}'
ALERTS = 'alertname=~"Usage.+|Signal.+", service=~"$service"'
QUIET_FOR = "1h"


def of(series: str, at: str = "") -> str:
    """A recorded series (with `at`, of another time) in the unit that people read, by signal and by the label that `by` names;
    of the chosen signals that are divided by it."""
    return f"max by (signal, $by) {scaled(f'signal:{series}{SELECTED}{at}', CHOSEN)}"


def named(expr: str) -> str:
    """The same with the customer in the label `group`: a table has fixed columns."""
    return f'max by (signal, group) (label_replace({expr}, "group", "$1", "$by", "(.*)"))'


FACTOR = f"{of('level')} / ({of(NORMAL)} > 0)"
LOWEST_NOW = f"bottomk(10, {of('level', ' @ end()')} / ({of(NORMAL, ' @ end()')} > 0))"
QUIET = (
    f"max by (signal, $by) (max_over_time(signal:value{SELECTED}[{QUIET_FOR}]) and on (signal) signal_info{{{CHOSEN}}}) == 0\n"
    f"  and (max by (signal, $by) (avg_over_time(signal:{NORMAL}{SELECTED}[{QUIET_FOR}])) > 0)"
)
HEARD = (
    f"max by (signal, $by) (max_over_time(timestamp(signal:value{SELECTED} > 0)[1d:5m]))\n"
    f"  and on (signal, $by) ({QUIET})"
)


def used(window: str, offset: str = "") -> str:
    """The average of each feature over a window, all customers together."""
    average = scaled(f"avg_over_time(signal:value{SELECTED}[{window}]{offset})", CHOSEN)
    return f'sum by (feature) (label_replace({average}, "feature", "$1", "$feature", "(.*)"))'


def users(window: str, offset: str = "") -> str:
    """How many customers used each feature at all."""
    some = f"max_over_time(signal:value{SELECTED}[{window}]{offset}) > 0 and on (signal) signal_info{{{CHOSEN}}}"
    return f'count by (feature) (count by (feature, $by) (label_replace({some}, "feature", "$1", "$feature", "(.*)")))'


MONTH = " offset 7d"
STANDING = "provider_verdict:thirdparty_verdict:standing"
OF_SERVICE = 'provider:thirdparty_provider_info:current{service=~"$service"}'
STOPPED = (
    f"max by (provider, verdict, service, features, cost_per_hour) (\n"
    f"  {STANDING} * on (provider) group_left (service) {OF_SERVICE}\n"
    f"    * on (provider) group_left (features, cost_per_hour) provider:thirdparty_provider_impact_info:current\n"
    f"  or on (provider) {STANDING} * on (provider) group_left (service) {OF_SERVICE}\n"
    f")"
)
STOPPED_SINCE = (
    f"1000 * min by (provider) (thirdparty_verdict_since_timestamp_seconds)\n"
    f"  and on (provider) ({STANDING} and on (provider) {OF_SERVICE})"
)
RATE = "sum by (rule) (rate(usage_rule_events_total[5m]))"
LEAST = "max by (rule) (usage_rule_minimum_events_per_second)"
OF_RULES = 'max by (rule, owner, service) (usage_rule_info{service=~"$service"})'
MISSING = f"({LEAST} - {RATE}) > 0"

BOARD = Board(
    name="customers",
    title="Customers and impact",
    description="Who uses the product less than they do otherwise, which features come and go, and what a stop costs.",
    since="now-24h",
    refresh="5m",
    changes_of="$service",
    variables=[
        environment("signal:value"),
        Variable("service", "Service", "The part of your product.", "label_values(signal_info, service)"),
        grouping("tenant"),
        Variable(
            "signal",
            "Signal",
            "What of your customers is measured; those that are divided by the label before.",
            'label_values(signal:value{$by=~".+"}, signal)',
        ),
        Variable(
            "feature",
            "Feature by",
            "The label that names features; signal where each is a signal of its own.",
            "label_names(signal:value)",
            only="signal",
            pattern=LABEL_OF_A_SIGNAL,
        ),
    ],
    alerts=ALERTS,
    about=["signal", "rule", "service"],
    rows=[
        [
            stat(
                "Customers below their normal",
                "How many customers use something less than the lower edge of their own band; the table below names them.",
                Query(f"count(count by ($by) ({of('level')} < {of('lower')})) or vector(0)", "below"),
                steps=ANY_IS_A_WARNING,
            ),
            stat(
                "Quiet customers",
                "How many have done nothing of something for an hour in which they otherwise do; call before they do.",
                Query(f"count(count by ($by) ({QUIET})) or vector(0)", "quiet"),
                steps=ANY_IS_A_WARNING,
            ),
            stat(
                "Silent by rule",
                "Keys that the rules about silence (usage.sequences) hold for silent now, whatever is chosen above.",
                Query("sum(tocsin_exporter_sequence_silent_keys) or vector(0)", "silent"),
                steps=NEUTRAL,
            ),
            stat(
                "Vendors that stopped",
                "How many vendors are known to have stopped working for us; each is below with what it stops and costs.",
                Query(f"count({STANDING} and on (provider) {OF_SERVICE}) or vector(0)", "stopped"),
                steps=ANY_IS_BAD,
                links=[board_link("Third parties", "thirdparties")],
            ),
        ],
        [
            table(
                "Who uses it less than usual?",
                "Each customer against its own normal at this hour, the lowest first; much below 1 for a large customer is worth"
                " a call, for all of them at once an incident.",
                [
                    named(FACTOR),
                    named(of("value")),
                    named(of(NORMAL)),
                    named(f"max by (signal, $by) (signal:score{SELECTED} and on (signal) signal_info{{{CHOSEN}}})"),
                    named(of("value", " offset 7d")),
                ],
                [
                    Column(
                        "group",
                        "Customer",
                        links=[
                            board_link(
                                "Its band",
                                "signals",
                                by="$by",
                                signal="${__data.fields.signal}",
                                group="${__value.raw}",
                            )
                        ],
                        width=120,
                    ),
                    Column("signal", "Signal", width=120),
                    Column(
                        "A",
                        "Times normal",
                        unit="suffix: x",
                        decimals=2,
                        steps=((None, "red"), (0.5, "orange"), (0.8, "text"), (1.5, "blue")),
                        filled=True,
                    ),
                    Column(
                        "B",
                        "Now",
                        decimals=1,
                        links=[explore("Explore", 'signal:value{signal="${__data.fields.signal}"}')],
                    ),
                    Column("C", "Normal", decimals=1),
                    Column("E", "A week ago", decimals=1),
                    Column("D", "Score", decimals=2, steps=((None, "text"), (1, "red"))),
                ],
                sort="Times normal",
                width=14,
                height=8,
            ),
            table(
                "Quiet for an hour",
                "Customers without a single event of something for an hour in which they otherwise have some, and when the last"
                " came; a dash is more than a day.",
                [f"{named(of(NORMAL))}\n  and on (signal, group) {named(f'({QUIET})')}", f"1000 * {named(HEARD)}"],
                [
                    Column("group", "Customer", width=120),
                    Column("signal", "Signal"),
                    Column("A", "Normal now", decimals=1),
                    Column("B", "Last event", unit="dateTimeFromNow"),
                ],
                sort="Normal now",
                descending=True,
                width=10,
                height=8,
            ),
        ],
        [
            lines(
                "The ten furthest below their normal",
                "The course of those that are lowest now, 1 being their own normal; a fall of all at one time is ours, of one"
                " alone is the customer's.",
                [Query(f"{FACTOR}\nand on (signal, $by) {LOWEST_NOW}", "{{$by}} {{signal}}")],
                unit="suffix: x",
                decimals=1,
                steps=((None, "red"), (0.5, "transparent")),
                limits=True,
                high=1.5,
                width=12,
                height=8,
            ),
            table(
                "Features adopted and abandoned",
                "The last week against the four weeks before it, all customers together, the greatest fall first; customers are"
                " those that used it at all. It wants five weeks of data in Prometheus, whose default is fifteen days.",
                [
                    f"{used('7d')} / ({used('28d', MONTH)} > 0)",
                    used("7d"),
                    used("28d", MONTH),
                    users("7d"),
                    users("28d", MONTH),
                ],
                [
                    Column("feature", "Feature", width=120),
                    Column(
                        "A",
                        "Times before",
                        unit="suffix: x",
                        decimals=2,
                        steps=((None, "red"), (0.7, "orange"), (0.9, "text"), (1.2, "green")),
                        filled=True,
                    ),
                    Column("B", "Last week", decimals=1),
                    Column("C", "Four weeks before", decimals=1),
                    Column("D", "Customers", decimals=0),
                    Column("E", "Before", decimals=0),
                ],
                sort="Times before",
                width=12,
                height=8,
            ),
        ],
        [
            table(
                "What is stopped, and what it costs an hour",
                "Vendors that stopped, what stops with them and what that costs, as your configuration says; the dearest is the"
                " first to mend.",
                [f"{STOPPED}\nor on () vector(0)", f"{STOPPED_SINCE}\nor on () vector(0)"],
                [
                    Column(
                        "provider",
                        "Provider",
                        links=[board_link("Third parties", "thirdparties", provider="${__value.raw}"), OPEN_INCIDENTS],
                        width=120,
                        empty="none is stopped",
                    ),
                    Column("verdict", "Because"),
                    Column("features", "Stops with it", width=160),
                    Column("cost_per_hour", "Costs an hour"),
                    Column("service", "Service"),
                    Column("B", "Since", unit="dateTimeFromNow", texts={"0": ("", "text")}),
                    Column("A", "Stopped", texts={"0": ("no", "green"), "1": ("yes", "red")}),
                ],
                sort="Since",
                width=14,
                height=5,
            ),
            table(
                "Events that are missing an hour",
                "Rules below the least that their owner declared, and how many events an hour are missing to it; times what one"
                " is worth, this is the loss.",
                [
                    f"3600 * ({MISSING}) * on (rule) group_left (owner, service) {OF_RULES}\nor on () vector(0)",
                    f"100 * ({RATE} / {LEAST} and on (rule) ({MISSING}) and on (rule) {OF_RULES})\nor on () vector(0)",
                ],
                [
                    Column(
                        "rule",
                        "Rule",
                        links=[
                            link("Usage", "/d/tocsin-usage?var-rule=${__value.raw}&${__url_time_range}"),
                            OPEN_INCIDENTS,
                        ],
                        width=120,
                        empty="none is below",
                    ),
                    Column("A", "Missing an hour", decimals=0, steps=((None, "text"), (1, "red"))),
                    Column("B", "Of the minimum", unit="suffix: %", decimals=0),
                    Column("owner", "Owner"),
                    Column("service", "Service"),
                ],
                sort="Missing an hour",
                descending=True,
                width=10,
                height=5,
            ),
        ],
        [firing_table(ALERTS, "customers and usage", ["signal", "rule", "service"], height=6)],
    ],
)
