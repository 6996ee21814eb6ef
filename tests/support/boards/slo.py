"""Objectives and their budgets: what is left, how fast it burns, when it is spent."""

from tests.support.boards.alerts import alert_lanes, firing_count, firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment
from tests.support.boards.looks import Json, Steps, board_link, explore
from tests.support.boards.panels import Column, Query, bars, lines, stat, table

WHERE = '{slo=~"$slo", environment=~"$environment"}'
ALERTS = 'slo=~".+", slo=~"$slo"'
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
LEFT: Steps = ((None, "red"), (0.1, "orange"), (0.5, "green"))
BURN: Steps = ((None, "green"), (1, "yellow"), (6, "orange"), (14.4, "red"))


def of(series: str) -> str:
    """A recorded series by objective."""
    return f"max by (slo) (slo:{series}{WHERE})"


def links() -> list[Json]:
    """From an objective's name to it alone, and to Explore."""
    return [
        board_link("Only ${__value.raw}", "slo", slo="${__value.raw}"),
        explore("Explore ${__value.raw}", 'slo:error_ratio:1h{slo="${__value.raw}"}'),
    ]


def burn(window: str) -> str:
    """How many times faster than allowed the budget burned over a window."""
    return f"{of(f'error_ratio:{window}')} / on (slo) (1 - {of('objective:ratio')})"


LEFT_NOW = of("error_budget_left:ratio")
SPENT_AT = f"1000 * {of('error_budget_exhausted:timestamp_seconds')}\nor on (slo) 0 * ({LEFT_NOW} > 0)\nor on (slo) 0 * {LEFT_NOW} - 1"

BOARD = Board(
    name="slo",
    title="Objectives and budgets",
    description="How much error each objective may still have, how fast that burns, and when it is gone.",
    since="now-24h",
    variables=[
        environment("slo:objective:ratio"),
        Variable("slo", "Objective", "The service level objective.", "label_values(slo:objective:ratio, slo)"),
    ],
    alerts=ALERTS,
    about=["slo", "window"],
    rows=[
        [
            stat(
                "Budgets spent",
                "How many objectives have no error budget left; there, changes that can wait should wait.",
                Query(f"count({of('error_budget_left:ratio')} <= 0) or vector(0)", "spent"),
                steps=((None, "green"), (1, "red")),
            ),
            stat(
                "Least budget left",
                "The objective with the least of its budget left, as part of the whole.",
                Query(f"bottomk(1, {of('error_budget_left:ratio')}) or on () vector(1)", "{{slo}}", at_once=True),
                unit="percentunit",
                decimals=0,
                steps=LEFT,
                names=True,
            ),
            stat(
                "Fastest burn now",
                "The objective that burns fastest over the last hour: at 1 the budget just lasts, at 14.4 a month's is gone in"
                " two days.",
                Query(f"topk(1, {burn('1h')}) or on () vector(0)", "{{slo}}", at_once=True),
                unit="suffix: x",
                decimals=1,
                steps=BURN,
                names=True,
            ),
            firing_count(ALERTS, "objectives"),
        ],
        [
            table(
                "Objectives, the least budget first",
                "What is promised, what of the error budget is left, how fast the last day burned it, and when it is gone at"
                " that pace. Nothing to do where it lasts at this pace.",
                [
                    of("error_budget_left:ratio"),
                    of("objective:ratio"),
                    of("burn_rate:1d"),
                    SPENT_AT,
                    of("error_ratio:3d"),
                    f"60 * {of('requests:rate5m')}",
                ],
                [
                    Column("slo", "Objective", links=links(), width=160),
                    Column("B", "Promised", unit="percentunit", decimals=2),
                    Column("A", "Budget left", unit="percentunit", decimals=0, steps=LEFT, filled=True),
                    Column("C", "Burn, 1 day", unit="suffix: x", decimals=1, steps=BURN),
                    Column(
                        "D",
                        "Spent",
                        unit="dateTimeFromNow",
                        texts={"0": ("not at this pace", "text"), "-1": ("is spent", "red")},
                    ),
                    Column("E", "Errors, 3 days", unit="percentunit", decimals=3),
                    Column("F", "Requests", unit="suffix: /min", decimals=0),
                ],
                sort="Budget left",
                width=16,
                height=9,
            ),
            bars(
                "Burn over the last hour",
                "How many times faster than allowed the last hour burned the budget; above 14.4 the alert is a page.",
                Query(f"sort_desc({burn('1h')})", "{{slo}}", at_once=True),
                unit="suffix: x",
                decimals=1,
                steps=BURN,
                high=20,
                height=9,
            ),
        ],
        [
            lines(
                "Budget left",
                "What of each budget is left; a step down is an incident, a steady slope a fault that nobody has told you of.",
                [Query(of("error_budget_left:ratio"), "{{slo}}")],
                unit="percentunit",
                decimals=0,
                steps=((None, "red"), (0.1, "transparent")),
                limits=True,
                low=None,
                high=1,
                height=10,
            ),
            lines(
                "Burn rate by window",
                "How fast the budget burns over short and long windows, of the worst objective chosen above; when the short"
                " ones fall below 1 the trouble is over, though the long ones still show it.",
                [Query(f"max({burn(window)})", window) for window in WINDOWS],
                unit="suffix: x",
                decimals=1,
                steps=BURN,
                limits=True,
                height=10,
            ),
        ],
        [
            lines(
                "Requests",
                "What each objective is measured on; few requests make a restless burn rate, none make an objective that is not"
                " measured.",
                [Query(f"60 * {of('requests:rate5m')}", "{{slo}}")],
                unit="suffix: /min",
                decimals=0,
            ),
            alert_lanes(
                "Alerts of objectives",
                "When budgets burned too fast, were spent, or could not be measured.",
                ALERTS,
                ["slo", "window"],
                width=12,
                height=8,
            ),
        ],
        [firing_table(ALERTS, "objectives", ["slo", "window"])],
    ],
)
