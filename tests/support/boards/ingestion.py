"""Events and log lines on their way in: what comes, what is refused and why, what waits."""

from tests.support.boards.alerts import firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment, instance
from tests.support.boards.looks import ANY_IS_A_WARNING, ANY_IS_BAD, Steps, explore, link
from tests.support.boards.panels import Column, Line, Query, bars, lines, stat, table

FROM = 'environment=~"$environment", instance=~"$instance"'
SOURCE = f'{{{FROM}, source=~"$source"}}'
ALERTS = 'alertname=~"Usage.+|TocsinExporterDown|TocsinStorageErrors"'
POSTS = 'handler=~"/v1/(events|logs|observations|track|identify|page|screen|group|alias|batch)"'
LATE: Steps = ((None, "green"), (60, "yellow"), (600, "red"))
REJECTS = link("The last rejected events", "http://localhost:9970/v1/rejects", new_tab=True)


def per_minute(metric: str, by: str, where: str = "") -> str:
    """How much a counter grows in a minute."""
    return f"60 * sum by ({by}) (rate({metric}{{{FROM}{where}}}[$__rate_interval]))"


def in_five_minutes(where: str) -> str:
    """Events a minute, over five."""
    return f"60 * sum(rate(tocsin_exporter_events_total{{{FROM}, {where}}}[5m])) or vector(0)"


def commit(quantile: float) -> str:
    """How long a commit took."""
    rate = f"sum by (le) (rate(tocsin_exporter_commit_seconds_bucket{{{FROM}}}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {rate})"


ERRORS = " or ".join(
    f"sum by (source, reason) (increase(tocsin_exporter_{kind}_errors_total{SOURCE}[1h])) > 0"
    for kind in ("kafka", "file", "sql")
)
LAG = f"sum(tocsin_exporter_kafka_lag_messages{SOURCE})"
FULL = f"max by (rule) (usage_rule_series{{{FROM}}} / (usage_rule_series_limit{{{FROM}}} > 0))"

BOARD = Board(
    name="ingestion",
    title="Ingestion",
    description="Events and log lines on their way into the counts: how many, from where, what is refused, what waits.",
    variables=[
        environment('up{job="tocsin-exporter"}'),
        instance("tocsin-exporter"),
        Variable(
            "source",
            "Source",
            "A topic, a set of files or a database of usage.sources.",
            'label_values({job="tocsin-exporter", source!=""}, source)',
        ),
    ],
    alerts=ALERTS,
    about=["rule", "instance"],
    rows=[
        [
            stat(
                "Events matched",
                "Events a minute that some rule counted, over five minutes, to compare with your usual level for the hour.",
                Query(in_five_minutes('outcome="matched"'), "matched"),
                unit="suffix: /min",
                decimals=0,
                width=5,
            ),
            stat(
                "Rejected",
                "Events a minute that broke their contract and are lost to every count; the reasons are below, samples at"
                " /v1/rejects.",
                Query(in_five_minutes('outcome="rejected"'), "rejected"),
                unit="suffix: /min",
                decimals=1,
                steps=((None, "green"), (0.1, "orange")),
                width=5,
                links=[REJECTS],
            ),
            stat(
                "Unknown",
                "Events a minute whose name nobody declared: a producer sends something new, or misspells something old.",
                Query(in_five_minutes('outcome="unknown"'), "unknown"),
                unit="suffix: /min",
                decimals=1,
                steps=((None, "green"), (0.1, "yellow")),
                width=5,
                links=[REJECTS],
            ),
            stat(
                "Kafka messages behind",
                "Messages that are still to be read, all topics together; while it falls, wait, while it grows, look at the"
                " lag of each below.",
                Query(f"{LAG} or vector(0)", "behind"),
                steps=((None, "green"), (10000, "yellow"), (100000, "red")),
                width=5,
            ),
            stat(
                "Storage errors",
                "How often the ledger could not be written in the time shown; nothing is lost, since nobody was told that it"
                " was stored, but producers wait.",
                Query(
                    f"ceil(sum(increase(tocsin_exporter_storage_errors_total{{{FROM}}}[$__range]))) or vector(0)",
                    "errors",
                    at_once=True,
                ),
                steps=ANY_IS_BAD,
                width=4,
            ),
        ],
        [
            lines(
                "What becomes of events",
                "Events a minute by outcome: matched ones are counted, unmatched ones are known and wanted by no rule, unknown"
                " ones nobody declared, rejected ones broke their contract.",
                [Query(per_minute("tocsin_exporter_events_total", "outcome"), "{{outcome}}")],
                unit="suffix: /min",
                stacked=True,
                drawn=[
                    Line("^rejected$", "red"),
                    Line("^unknown$", "orange"),
                    Line("^matched$", "green"),
                    Line("^unmatched$", "blue"),
                ],
                width=8,
                height=9,
            ),
            lines(
                "Rejected, by reason",
                "Why events are refused: late and ahead are about their time, the others about their fields. Ask the producer,"
                " with the samples at /v1/rejects.",
                [Query(per_minute("tocsin_exporter_rejects_total", "reason"), "{{reason}}")],
                unit="suffix: /min",
                decimals=1,
                stacked=True,
                width=8,
                height=9,
                links=[REJECTS],
            ),
            lines(
                "What is posted, and how it is answered",
                "Posts a minute by what is called and the answer: 4xx is the producer's mistake, 5xx asks it to try again.",
                [
                    Query(
                        per_minute("tocsin_exporter_http_requests_total", "handler, code", f", {POSTS}"),
                        "{{handler}} {{code}}",
                    )
                ],
                unit="suffix: /min",
                decimals=1,
                drawn=[Line(" 4..$", "orange"), Line(" 5..$", "red")],
                width=8,
                height=9,
            ),
        ],
        [
            lines(
                "Messages and log lines read",
                "A minute, for each Kafka source, and log lines by whether they became an event; a source at zero is silent or"
                " unreachable.",
                [
                    Query(
                        f"60 * sum by (source) (rate(tocsin_exporter_kafka_messages_total{SOURCE}[$__rate_interval]))",
                        "{{source}}",
                    ),
                    Query(per_minute("tocsin_exporter_log_lines_total", "outcome"), "log lines {{outcome}}"),
                ],
                unit="suffix: /min",
                width=8,
                height=9,
            ),
            lines(
                "Kafka lag",
                "Messages of each topic that are still to be read. A lag that grows wants more partitions and exporters, or a"
                " look at the ledger's commits.",
                [
                    Query(
                        f"sum by (source, topic) (tocsin_exporter_kafka_lag_messages{SOURCE})", "{{source}} {{topic}}"
                    ),
                ],
                steps=((None, "transparent"), (100000, "red")),
                width=8,
                height=9,
            ),
            lines(
                "How old is what is read now?",
                "Age of the last message, file or answer of each source. While a source catches up (above ten minutes) rules"
                " on rates look away.",
                [
                    Query(
                        f"max by (source) (time() - tocsin_exporter_kafka_last_message_timestamp_seconds{SOURCE})",
                        "{{source}}",
                    ),
                    Query(
                        f"max by (source, metric) (time() - tocsin_exporter_sql_last_success_timestamp_seconds{SOURCE})",
                        "{{source}} {{metric}}",
                    ),
                ],
                unit="s",
                steps=LATE,
                limits=True,
                width=8,
                height=9,
            ),
        ],
        [
            lines(
                "Making events durable",
                "How long the ledger took to commit: half of the commits were faster than the lower line, all but one in a"
                " hundred than the upper. Producers wait this long.",
                [Query(commit(0.5), "median"), Query(commit(0.99), "99 %")],
                unit="s",
                steps=((None, "green"), (0.1, "yellow"), (1, "red")),
                width=8,
                height=9,
            ),
            lines(
                "Keys remembered by rules",
                "Keys that each rule about keys waits for, and those that are silent now; one at its max_keys evicts, and its"
                " outcomes are incomplete.",
                [
                    Query(f"sum by (rule) (tocsin_exporter_sequence_keys{{{FROM}}})", "{{rule}}"),
                    Query(f"sum by (rule) (tocsin_exporter_sequence_silent_keys{{{FROM}}})", "{{rule}}, silent"),
                ],
                drawn=[Line(", silent$", dashed=True, width=1)],
                width=8,
                height=9,
            ),
            bars(
                "Room for label values",
                "Series that a rule has, of those it may have; at 100 % new label values count together as other. Raise"
                " max_series or list the values.",
                Query(
                    f'topk(8, {FULL}) or on () label_replace(vector(NaN), "rule", "no rule", "", "")',
                    "{{rule}}",
                    at_once=True,
                ),
                unit="percentunit",
                steps=((None, "green"), (0.8, "yellow"), (1, "red")),
                high=1,
                height=9,
            ),
        ],
        [
            table(
                "Sources, and what troubles them",
                "What each source could not do in the last hour, and what it has yet to read; the reason leads to the setting.",
                [
                    ERRORS,
                    f"sum by (source) (tocsin_exporter_file_lag_bytes{SOURCE})",
                    f"sum by (source) (tocsin_exporter_kafka_lag_messages{SOURCE})",
                    f"max by (source) (tocsin_exporter_kafka_catching_up{SOURCE})",
                ],
                [
                    Column(
                        "source",
                        "Source",
                        width=120,
                        links=[explore("Explore", 'tocsin_exporter_kafka_lag_messages{source="${__value.raw}"}')],
                    ),
                    Column("reason", "Reason", width=120),
                    Column("A", "Errors in an hour", decimals=0, steps=((None, "text"), (1, "red"))),
                    Column("C", "Messages behind", decimals=0),
                    Column("B", "Files behind", unit="bytes", decimals=0),
                    Column("D", "Catching up", texts={"0": ("no", "green"), "1": ("yes", "orange")}),
                ],
                sort="Errors in an hour",
                descending=True,
                nothing="No source",
                width=14,
                height=8,
            ),
            lines(
                "Label values without room",
                "Sets of label values an hour that a rule counts as other, for it has all the series that it may have.",
                [Query(f"sum by (rule) (increase(usage_rule_overflows_total{{{FROM}}}[1h]))", "{{rule}}")],
                decimals=0,
                steps=ANY_IS_A_WARNING,
                width=10,
                height=8,
            ),
        ],
        [firing_table(ALERTS, "ingestion", ["rule", "instance"])],
    ],
)
