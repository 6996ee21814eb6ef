"""`tocsin-exporter rules`: from a short file of signals and objectives to Prometheus's rules, and their tests."""

import argparse
import difflib
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from exporter.rulegen import build, document
from exporter.rulegen.model import BUDGET
from exporter.rulegen.rules import Alert, number
from exporter.rulegen.settings import Signal, Signals, Slo, lint
from exporter.rulegen.slos import BURNS, burns, can_fire
from toolkit.cli import Extra
from toolkit.configfile import load
from toolkit.redaction import printable


def _flags(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    about = "write FILE's recording and alerting rules, and a test of them for promtool"
    _build_flags(actions.add_parser("build", help=about, description=about, allow_abbrev=False))
    about = "tell what FILE's alerts would have told of the past, and how that meets what really happened"
    _backtest_flags(actions.add_parser("backtest", help=about, description=about, allow_abbrev=False))
    about = "tell what FILE's alerts would find of drops, outages, surges and drifts put into the past"
    _simulate_flags(actions.add_parser("simulate", help=about, description=about, allow_abbrev=False))


def _build_flags(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Prometheus reads the rules (rule_files), promtool the tests: promtool test rules NAME.test.yml. "
        "What a setting would have told of the past: tocsin-exporter rules backtest."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="signals and objectives, such as config/signals.yml")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where NAME.rules.yml goes (default: beside FILE)"
    )
    parser.add_argument(
        "--tests", type=Path, metavar="FOLDER", help="where NAME.test.yml goes (default: where the rules are)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that were changed by hand")
    parser.add_argument(
        "--diff", action="store_true", help="write nothing; show what would change, and exit 1 if anything would"
    )
    parser.set_defaults(act=_build)


def _past_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of signals")
    parser.add_argument("--prometheus", required=True, metavar="URL", help="such as http://127.0.0.1:9090")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file with its bearer token")
    instant = "such as 2026-11-01, 2026-11-01T08:00:00Z, or 30d for so long ago"
    parser.add_argument(
        "--from", dest="start", default="", metavar="T", help=f"{instant} (default: 30d before the end)"
    )
    parser.add_argument("--to", dest="end", default="", metavar="T", help="likewise (default: now)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--html", type=Path, metavar="OUT", help="write a page with charts")


def _backtest_flags(parser: argparse.ArgumentParser) -> None:
    _past_flags(parser)
    parser.add_argument("--incidents", type=Path, metavar="CSV", help="what really happened: start,end,signal,name")
    parser.add_argument("--against", type=Path, metavar="OLD", help="another file of signals to compare with")
    about = "false alarms per series and week (default: %(default)s)"
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="N", help=about)
    parser.set_defaults(act=_backtest)


def _simulate_flags(parser: argparse.ArgumentParser) -> None:
    _past_flags(parser)
    about = "where they are put; another seed, other places (default: %(default)s)"
    parser.add_argument("--seed", type=int, default=1, metavar="N", help=about)
    parser.set_defaults(act=_simulate)


def _backtest(arguments: argparse.Namespace) -> int:
    from exporter.commands import backtest  # noqa: PLC0415 - it brings numpy, which a running exporter need not hold

    return backtest.run(arguments)


def _simulate(arguments: argparse.Namespace) -> int:
    from exporter.commands import simulate  # noqa: PLC0415 - as above

    return simulate.run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    status: int = arguments.act(arguments)
    return status


def _build(arguments: argparse.Namespace) -> int:
    file = load(arguments.file, Signals, lint)
    folder: Path = arguments.output or arguments.file.parent
    tests: Path = arguments.tests or folder
    built = build.build(file, arguments.file.name, os.path.relpath(folder, tests))
    targets = {
        folder / f"{built.name}{build.RULES_SUFFIX}": built.rules,
        tests / f"{built.name}{build.TESTS_SUFFIX}": built.tests,
    }
    if arguments.diff:
        changes = [line for path, text in targets.items() for line in _changes(path, text)]
        Console(highlight=False, soft_wrap=True).print("\n".join(changes) or "Nothing would change.", markup=False)
        return 1 if changes else 0
    for path, text in targets.items():
        if not arguments.force:
            _refuse_edited(path, text)
    for path, text in targets.items():
        _write(path, text)
    _show(Console(), file, built, list(targets))
    return 0


def _refuse_edited(path: Path, text: str) -> None:
    """Raises ValueError for a file that isn't as it was written, with what would be lost."""
    if not path.exists() or document.is_untouched(path.read_text(encoding="utf-8")):
        return
    lost = "\n".join(_changes(path, text))
    raise ValueError(
        f"{path} was changed by hand, or not written by this command; this would be lost (-) or come (+):\n{lost}\n"
        f"Put the change into the file of signals, or overwrite it with --force."
    )


def _changes(path: Path, text: str) -> list[str]:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), str(path), str(path), lineterm="", n=2)
    return [printable(line) for line in lines]


def _write(path: Path, text: str) -> None:
    """Whole or not at all: Prometheus may read it at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False, suffix=".part") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _show(console: Console, file: Signals, built: build.Built, written: list[Path]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("NAME", "WHAT", "TOLD WHEN", "AS", "OWNER"):
        table.add_column(heading, overflow="fold")
    for signal in file.signals:
        table.add_row(signal.name, _watched(signal), _told(signal), _severities(signal), file.owner_of(signal))
    for slo in file.slos:
        table.add_row(slo.name, f"{number(slo.objective)} % good", *_burns(slo), file.owner_of(slo))
    console.print(table if file.signals or file.slos else "No signal and no objective is in the file.")
    alerts = sum(isinstance(rule, Alert) for group in built.groups for rule in group.rules)
    rules = sum(len(group.rules) for group in built.groups)
    cost = build.cost(built, max(1, len(file.signals)))
    taken = 1000 * cost.cores * build.EVALUATION_SECONDS
    console.print(
        f"\n{rules} rules in {len(built.groups)} groups, {alerts} of them alerts. With one series a signal they record "
        f"{cost.series} series and take {taken:.2g} ms every five minutes; both grow "
        "with the series that a signal's labels make."
    )
    for path in written:
        console.print(f"wrote {path}", highlight=False)


def _watched(signal: Signal) -> str:
    labels = f" by {', '.join(signal.by)}" if signal.by else ""
    return f"{signal.kind}, {signal.seasonality}{labels}"


def _told(signal: Signal) -> str:
    sides = {"down": "below", "up": "above", "both": "below or above"}[signal.direction]
    return f"{sides} its normal ({signal.sensitivity})"


def _severities(signal: Signal) -> str:
    return signal.severity + (f"; outage: {signal.stops_as}" if signal.stops_as is not None else "")


def _burns(slo: Slo) -> tuple[str, str]:
    never = [number(burn.factor) for burn in BURNS if not can_fire(burn, slo)]
    left_out = f" ({', '.join(never)} x can't happen at {number(slo.objective)} %)" if never else ""
    told = f"burning {', '.join(number(burn.factor) for burn in burns(slo))} x too fast{left_out}"
    return told, ", ".join(dict.fromkeys(burn.severity for burn in burns(slo)))


RULES = Extra("rules", "write Prometheus rules from a file of signals and objectives", _flags, _run)
