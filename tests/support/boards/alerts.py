"""Panels about alerts that every dashboard has: which fire, and when they did."""

from collections.abc import Sequence

from tests.support.boards.looks import ANY_IS_BAD, DASH, OPEN_INCIDENTS, RUNBOOK, SEVERITIES, Texts
from tests.support.boards.panels import Column, Panel, Query, stat, table, timeline

TITLES = {"slo": "Objective"}
"""Heads of columns that are not simply the label's name."""
LANES: Texts = {"1": ("pending", "yellow"), "2": ("firing", "red")}


def firing_count(selector: str, about: str, width: int = 6) -> Panel:
    """How many alerts that `selector` chooses fire now; `about` ends the sentence "alerts about ..."."""
    expr = f'count(ALERTS{{alertstate="firing", {selector}}}) or vector(0)'
    description = f"How many alerts about {about} fire right now; each is listed below with its runbook."
    return stat(
        "Firing alerts", description, Query(expr, "firing"), steps=ANY_IS_BAD, width=width, links=[OPEN_INCIDENTS]
    )


def firing_table(selector: str, about: str, labels: Sequence[str], width: int = 24, height: int = 5) -> Panel:
    """The alerts that fire now, the oldest first; `labels` say what each is about."""
    by = ", ".join(("alertname", "severity", "owner", *labels))
    fires = f'max by ({by}) (ALERTS{{alertstate="firing", {selector}}})'
    since = f"(1000 * min by ({by}) (ALERTS_FOR_STATE{{{selector}}}) and {fires})"
    columns = [
        Column("A", "State", texts={"0": ("none firing", "green"), "1": ("firing", "red")}, filled=True, width=100),
        Column("alertname", "Alert", links=[RUNBOOK, OPEN_INCIDENTS], width=200),
        Column("severity", "Severity", texts=SEVERITIES),
        *(Column(label, TITLES.get(label, label.capitalize())) for label in labels),
        Column("owner", "Owner"),
        Column("B", "Since", unit="dateTimeFromNow", texts={"0": (DASH, "text")}),
    ]
    description = f"Every alert about {about} that fires now, oldest first; click its name for the runbook."
    exprs = [f"{fires}\nor on () vector(0)", f"{since}\nor on () vector(0)"]
    return table(f"Firing alerts about {about}", description, exprs, columns, sort="Since", width=width, height=height)


def alert_lanes(
    title: str, description: str, selector: str, labels: Sequence[str], width: int = 24, height: int = 6
) -> Panel:
    """When alerts were pending and firing, a lane for each."""
    by = ", ".join((*labels, "alertname"))
    states = f'1 * ALERTS{{alertstate="pending", {selector}}}\n  or 2 * ALERTS{{alertstate="firing", {selector}}}'
    expr = f"max by ({by}) (\n  {states}\n)"
    legend = " ".join(f"{{{{{label}}}}}" for label in (*labels, "alertname"))
    return timeline(
        title,
        description,
        Query(expr, legend),
        texts=LANES,
        width=width,
        height=height,
        links=[OPEN_INCIDENTS],
        nothing="No alert in this time",
    )
