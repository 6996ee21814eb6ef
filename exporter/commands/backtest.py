"""`tocsin-exporter rules backtest`: what a file's alerts would have told of the past, before they tell anybody."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.markup import escape

from exporter.commands import past
from exporter.rulegen import findings, incidents, told
from exporter.rulegen.backtest import Backtested, Span, backtest
from exporter.rulegen.episodes import Incident
from exporter.rulegen.findings import Finding
from exporter.rulegen.reading import Read
from exporter.rulegen.report import words
from exporter.rulegen.report.document import document
from exporter.rulegen.report.page import Report, page
from exporter.rulegen.report.terminal import show_findings, show_table
from exporter.rulegen.settings import Signals
from toolkit.clock import format_utc


@dataclass(frozen=True)
class _Tested:
    """What came of a file."""

    found: list[Backtested]
    findings: list[Finding]


def run(arguments: argparse.Namespace) -> int:
    """Reads, computes, tells; returns 1 when a signal couldn't be judged. Raises ConfigError, ValueError, OSError."""
    if arguments.budget < 0:
        raise ValueError("--budget is a number of false alarms, 0 or more")
    now = past.now()
    span = past.span(arguments, now)
    files = [past.signals(path) for path in (arguments.file, arguments.against) if path is not None]
    names = [signal.name for file in files for signal in file.signals]
    known = incidents.read(arguments.incidents, names, now) if arguments.incidents else []
    tests = [
        _test(file, read, span, known, arguments.budget)
        for file, read in zip(files, past.read(arguments, files, span), strict=True)
    ]
    _tell(arguments, span, tests, known)
    return 1 if any(one.fatal for one in tests[0].findings) else 0


def _test(file: Signals, read: Read, span: Span, known: Sequence[Incident], budget: float) -> _Tested:
    found = backtest(file, read.past, span, known, budget)
    said = list(read.findings)
    for one in found:
        said += findings.young(one.signal, one.series, read.past.grid, span.start)
        said += findings.blind(one.signal, one.told, told.GONE)
    return _Tested(past.judged(found, said), said)


def _tell(arguments: argparse.Namespace, span: Span, tests: Sequence[_Tested], known: Sequence[Incident]) -> None:
    new, old = tests[0], [one for test in tests[1:] for one in test.found]
    if arguments.html:
        title = f"Backtest of {arguments.file.name}"
        report = Report(title, span, past.grid(span), new.found, new.findings, bool(known), arguments.budget)
        arguments.html.write_text(page(replace(report, old=old)), encoding="utf-8")
    if arguments.json:
        sys.stdout.write(json.dumps(document(span, new.found, old, new.findings, arguments.budget)) + "\n")
        return
    console = Console(highlight=False)
    show_findings(console, new.findings)
    _show(console, span, new.found, old, known, arguments.budget)
    if arguments.html:
        console.print(f"\nwrote {arguments.html}", markup=False)


def _show(
    console: Console,
    span: Span,
    found: Sequence[Backtested],
    old: Sequence[Backtested],
    known: Sequence[Incident],
    budget: float,
) -> None:
    has_incidents = bool(known)
    if not found:
        console.print("No signal could be judged.")
        return
    console.print(f"{format_utc(span.start)} to {format_utc(span.end)}. {words.legend(has_incidents)}")
    outside = sum(not span.has(one.start) for one in known)
    if outside:
        console.print(f"{outside} of {len(known)} incidents began outside this time and don't count.")
    show_table(console, words.summary(found, has_incidents))
    if old:
        show_table(console, words.compared(found, old, has_incidents))
    for one in found:
        console.print(f"\n[bold]{escape(one.signal.name)}[/] {escape(words.advised(one.signal, one.advice, budget))}")
        show_table(console, words.by_alert(one, has_incidents))
        show_table(console, words.trials(one, has_incidents))
