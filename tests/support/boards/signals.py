"""Usage with its bands and scores: what `tocsin-exporter rules build` records."""

from tests.support.boards.alerts import alert_lanes, firing_count, firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment, grouping
from tests.support.boards.looks import ANY_IS_A_WARNING, NEUTRAL, board_link, explore
from tests.support.boards.panels import Column, Line, Query, lines, stat, table
from tests.support.boards.recorded import NORMAL, described, scaled

WHERE = 'environment=~"$environment"'
CHOSEN = 'service=~"$service", owner=~"$owner"'
INFO = f"signal_info{{{CHOSEN}}}"
ALERTS = 'alertname=~"Signal.+", service=~"$service", owner=~"$owner"'
ONE = 'signal="$signal"'
SCORES = ((None, "green"), (0.8, "yellow"), (1, "red"))


def of(series: str) -> str:
    """A recorded series of the signals that are chosen at the top, as it is recorded."""
    return f"(signal:{series}{{{WHERE}}} and on (signal) {INFO})"


def read(series: str) -> str:
    """The same in the unit that people read."""
    return scaled(f"signal:{series}{{{WHERE}}}", CHOSEN)


def grouped(expr: str, *labels: str) -> str:
    """By signal and by the label that `by` names, called `group` whatever it is: a table has fixed columns."""
    by = ", ".join(("signal", "group", *labels))
    return f'max by ({by}) (label_replace({expr}, "group", "$1", "$by", "(.*)"))'


def chosen(series: str) -> str:
    """A recorded series of the one signal and group."""
    return f'signal:{series}{{signal="$signal", $by="$group", {WHERE}}}'


def drawn(series: str) -> str:
    """The same in the unit that people read, one line."""
    return f"max by (signal) ({scaled(chosen(series), ONE)})"


OFF = f"count({of('score')} >= 1) or vector(0)"
WORST = f"topk(1, max by (signal) ({of('score')})) or on () vector(0)"
LEARNING = f"count({of('value')} unless {of('score')}) or vector(0)"
RANKED = described(f"signal:score{{{WHERE}}} or 0 * signal:value{{{WHERE}}} - 1", CHOSEN)
FACTOR = f"{grouped(of('level'))}\n/ ({grouped(of(NORMAL))} > 0)"
THIS = board_link(
    "Its band and score", "signals", signal="${__data.fields.signal}", group="${__data.fields.group}", by="$by"
)

BOARD = Board(
    name="signals",
    title="Signals",
    description="Usage against its own normal: which signals are off, by how much, and since when.",
    since="now-24h",
    changes_of="$service",
    variables=[
        environment("signal:value"),
        Variable("service", "Service", "The part of your product.", "label_values(signal_info, service)"),
        Variable(
            "owner", "Owner", "The team that owns the signal.", 'label_values(signal_info{service=~"$service"}, owner)'
        ),
        grouping("signal"),
        Variable(
            "signal",
            "Signal",
            "The one whose band is drawn.",
            f"label_values({INFO}, signal)",
            only="",
        ),
        Variable(
            "group",
            "Group",
            "The part of it whose band is drawn: a value of the label above.",
            'label_values(signal:value{signal="$signal"}, $by)',
            only="",
        ),
    ],
    alerts=ALERTS,
    about=["signal", "service"],
    rows=[
        [
            stat(
                "Signals off now",
                "How many signals, or parts of one, are outside their band; above zero, read the table below from its top.",
                Query(OFF, "off"),
                steps=ANY_IS_A_WARNING,
            ),
            stat(
                "Furthest from normal",
                "The highest score of any signal: 1 is the edge of its band, 2 twice as far; from 1 on, look at it.",
                Query(WORST, "{{signal}}", at_once=True),
                steps=SCORES,
                decimals=1,
                names=True,
            ),
            stat(
                "Still learning",
                "Signals without a score, for too little of their past is known yet; a day makes a first band, a week a good one.",
                Query(LEARNING, "learning"),
                steps=NEUTRAL,
            ),
            firing_count(ALERTS, "signals"),
        ],
        [
            table(
                "Which signals are off now?",
                "Furthest from normal first. A score of 1 is the edge of the band; the factor says how many times the normal it"
                " is now. Click a signal to see its band below, its value for Explore.",
                [
                    grouped(RANKED, "owner", "service", "unit"),
                    grouped(read("value")),
                    grouped(read(NORMAL)),
                    FACTOR,
                    grouped(read("lower")),
                    grouped(read("upper")),
                ],
                [
                    Column("signal", "Signal", links=[THIS], width=140),
                    Column("group", "Group", links=[THIS], width=110),
                    Column("A", "Score", decimals=2, steps=SCORES, texts={"-1": ("learning", "text")}, filled=True),
                    Column(
                        "B",
                        "Now",
                        decimals=1,
                        links=[
                            explore("Explore ${__data.fields.signal}", 'signal:value{signal="${__data.fields.signal}"}')
                        ],
                    ),
                    Column("C", "Normal", decimals=1),
                    Column("D", "Times normal", decimals=2, unit="suffix: x"),
                    Column("E", "Band from", decimals=1),
                    Column("F", "to", decimals=1),
                    Column("unit", "Unit"),
                    Column("service", "Service"),
                    Column("owner", "Owner"),
                ],
                sort="Score",
                descending=True,
                height=11,
            )
        ],
        [
            lines(
                "$signal, $group: within its band",
                "What is measured, its mean over an hour, what is normal at this hour, and the band around it. The mean is held"
                " against the band; where it leaves it is when it began. Blue marks are deploys and flags: look there first.",
                [
                    Query(drawn("value"), "measured"),
                    Query(drawn("level"), "mean of an hour"),
                    Query(drawn("lower"), "band from"),
                    Query(drawn("upper"), "band"),
                    Query(drawn(NORMAL), "normal"),
                ],
                drawn=[
                    Line("^band$", "blue", width=0, fill=20, band_to="band from"),
                    Line("^band from$", "blue", width=0, in_legend=False),
                    Line("^normal$", "blue", width=1, dashed=True),
                    Line("^measured$", "semi-dark-yellow", width=1),
                    Line("^mean of an hour$", "orange", width=2),
                ],
                axis="a minute, or its own unit",
                width=16,
                height=10,
            ),
            lines(
                "Score of $signal, $group",
                "How far it is from normal, 1 being the edge of the band. An alert wants it above 1 for a while, so that a"
                " single peak tells nobody.",
                [Query(f"max by (signal) ({chosen('score')})", "score")],
                steps=SCORES,
                limits=True,
                high=1.5,
                decimals=1,
                drawn=[Line("^score$", "orange", width=2)],
                width=8,
                height=10,
            ),
        ],
        [
            alert_lanes(
                "Alerts of signals",
                "When each alert was pending and firing; several that begin at once have one cause, most likely a deploy or a"
                " vendor.",
                ALERTS,
                ["signal"],
            )
        ],
        [firing_table(ALERTS, "signals", ["signal", "service"])],
    ],
)
