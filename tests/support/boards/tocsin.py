"""Tocsin itself: whether it runs, what it runs with, and whether anybody would hear if it did not."""

from tests.support.boards.alerts import firing_count, firing_table
from tests.support.boards.board import Board, Variable
from tests.support.boards.choices import environment
from tests.support.boards.looks import ANY_IS_BAD, DASH, Texts, explore
from tests.support.boards.panels import Column, Line, Query, lines, stat, table, timeline

JOBS = 'job=~"tocsin-exporter|tocsin-receiver", environment=~"$environment", instance=~"$instance"'
HERE = 'environment=~"$environment", instance=~"$instance"'
ALERTS = 'alertname=~"Tocsin.+|Watchdog|CriticalAlertBypass|AlertmanagerNotificationsFailing|PrometheusNotConnected.+", alertname!="Watchdog"'
UP: Texts = {"0": ("down", "red"), "1": ("up", "green")}
LOADED: Texts = {"0": ("refused", "red"), "1": ("in force", "green")}
BY = "job, instance"
TOLD = f"tocsin_receiver_watchdog_last_seen_timestamp_seconds{{{HERE}}}"
STALE = "max by (provider) ((time() - thirdparty_last_probe_timestamp_seconds) / thirdparty_probe_interval_seconds)"


def both(name: str, around: str = "%s") -> str:
    """A series that both services have; `around` is put around each of the two."""
    each = (around % f"tocsin_{service}_{name}{{{HERE}}}" for service in ("exporter", "receiver"))
    return f"({' or '.join(each)})"


BOARD = Board(
    name="tocsin",
    title="Tocsin itself",
    description="Whether Tocsin runs, what it runs with, what it needs, and whether anybody would hear if it did not.",
    variables=[
        environment('up{job=~"tocsin-.*"}'),
        Variable(
            "instance",
            "Instance",
            "The replica.",
            'label_values(up{job=~"tocsin-.*", environment=~"$environment"}, instance)',
        ),
    ],
    alerts=ALERTS,
    about=["job", "instance"],
    rows=[
        [
            stat(
                "Instances down",
                "Exporters and receivers that Prometheus cannot scrape; while a receiver is down critical alerts go to the pager.",
                Query(f"count(up{{{JOBS}}} == 0) or vector(0)", "down"),
                steps=ANY_IS_BAD,
                width=5,
            ),
            stat(
                "Last Watchdog",
                "How long ago the alert that always fires reached the receiver: it proves the way from Prometheus to here."
                " Beyond five minutes, look at Alertmanager.",
                Query(f"min(time() - ({TOLD} > 0)) or vector(NaN)", "ago"),
                unit="s",
                decimals=0,
                steps=((None, "green"), (180, "yellow"), (300, "red")),
                width=5,
            ),
            stat(
                "Probes that are late",
                "Vendors that were not probed for ten of their intervals: their verdict is old. Zero is well.",
                Query(f"count({STALE} > 10) or vector(0)", "late"),
                steps=ANY_IS_BAD,
                width=5,
            ),
            stat(
                "Things that stand still",
                "What the receiver's audit of its own tables found waiting for too long; the runbook of TocsinReceiverStuck says"
                " what each is.",
                Query(f"sum(max by (finding) (tocsin_receiver_audit_findings{{{HERE}}})) or vector(0)", "findings"),
                steps=ANY_IS_BAD,
                width=5,
            ),
            firing_count(ALERTS, "Tocsin itself", width=4),
        ],
        [
            timeline(
                "Up and down",
                "A lane for each instance; a short red piece is a restart, a long one wants its log.",
                Query(f"max by ({BY}) (up{{{JOBS}}})", "{{job}} {{instance}}"),
                texts=UP,
                width=10,
                height=8,
            ),
            table(
                "What runs, and with which configuration",
                "The version of each instance, when its configuration was loaded, and whether the last attempt was refused: then"
                " the old one is in force, and `check` says what is wrong.",
                [
                    f"max by ({BY}, version) {both('build_info')}",
                    f"max by ({BY}) {both('config_last_reload_successful')}",
                    f"1000 * max by ({BY}) {both('config_last_reload_success_timestamp_seconds')}",
                    f"1000 * max by ({BY}) (process_start_time_seconds{{{JOBS}}})",
                ],
                [
                    Column("job", "Service", width=130),
                    Column(
                        "instance", "Instance", width=130, links=[explore("Explore", 'up{instance="${__value.raw}"}')]
                    ),
                    Column("version", "Version"),
                    Column("B", "Configuration", texts=LOADED),
                    Column("C", "Loaded", unit="dateTimeFromNow", texts={"0": (DASH, "text")}),
                    Column("D", "Started", unit="dateTimeFromNow"),
                ],
                sort="Service",
                width=14,
                height=8,
            ),
        ],
        [
            lines(
                "Scrape duration",
                "How long Prometheus took to scrape each instance; from ten seconds on scrapes fail. Fewer series, or `shard`, help.",
                [Query(f"max by ({BY}) (scrape_duration_seconds{{{JOBS}}})", "{{job}} {{instance}}")],
                unit="s",
                steps=((None, "green"), (2, "yellow"), (10, "red")),
                width=8,
            ),
            lines(
                "How late probes begin",
                "How long a probe waited for its turn in the process, all but one in twenty less; it grows when the machine is"
                " short of processor time.",
                [
                    Query(
                        f"histogram_quantile(0.95, sum by (instance, le) (rate(tocsin_exporter_probe_schedule_delay_seconds_bucket{{{HERE}}}[$__rate_interval])))",
                        "{{instance}}",
                    )
                ],
                unit="s",
                steps=((None, "green"), (0.5, "yellow"), (5, "red")),
                width=8,
            ),
            lines(
                "Processor time",
                "Processors that each instance keeps busy; one process uses little more than one.",
                [
                    Query(
                        f"sum by ({BY}) (rate(process_cpu_seconds_total{{{JOBS}}}[$__rate_interval]))",
                        "{{job}} {{instance}}",
                    )
                ],
                unit="percentunit",
                decimals=0,
                steps=((None, "green"), (0.7, "yellow"), (0.95, "red")),
                high=1,
                width=8,
            ),
        ],
        [
            lines(
                "Memory",
                "What each instance holds; a line that only climbs for days is a leak and worth an issue.",
                [Query(f"max by ({BY}) (process_resident_memory_bytes{{{JOBS}}})", "{{job}} {{instance}}")],
                unit="bytes",
                decimals=0,
                width=8,
            ),
            lines(
                "Storage errors",
                "How often the ledger or the store could not be read or written, in five minutes; anything above zero wants the"
                " log and the disk.",
                [
                    Query(
                        f"sum by ({BY}) {both('storage_errors_total', 'increase(%s[5m])')}",
                        "{{job}} {{instance}}",
                    ),
                ],
                decimals=0,
                steps=((None, "transparent"), (1, "red")),
                limits=True,
                high=1,
                width=8,
            ),
            lines(
                "Proofs of life",
                "Heartbeats to the service outside and comparisons with Alertmanager, in an hour: sent and ok are well, anything"
                " else says what is missing.",
                [
                    Query(
                        f"sum by (result) (increase(tocsin_receiver_heartbeats_total{{{HERE}}}[1h]))",
                        "heartbeat {{result}}",
                    ),
                    Query(
                        f"sum by (result) (increase(tocsin_receiver_reconciliations_total{{{HERE}}}[1h]))",
                        "Alertmanager {{result}}",
                    ),
                ],
                decimals=0,
                drawn=[Line(" (failed|unreachable|audit_failed|watchdog_missing)$", "red")],
                width=8,
            ),
        ],
        [firing_table(ALERTS, "Tocsin itself", ["job", "instance"])],
    ],
)
