"""`tocsin-exporter rules simulate`: what a file's alerts would find of drops, outages, surges and drifts."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from exporter.commands import past
from exporter.rulegen import findings
from exporter.rulegen.backtest import Backtested, Span, backtest
from exporter.rulegen.findings import Finding
from exporter.rulegen.injection import Outcome, simulate
from exporter.rulegen.model import BUDGET
from exporter.rulegen.report import words
from exporter.rulegen.report.page import Report, page
from exporter.rulegen.report.terminal import show_findings, show_table
from toolkit.clock import format_utc


def run(arguments: argparse.Namespace) -> int:
    """Reads, injects, computes and tells. Returns 1 when a signal couldn't be judged. Raises ConfigError, ValueError,
    OSError."""
    if arguments.seed < 0:
        raise ValueError("--seed is a whole number, 0 or more")
    span, file = past.span(arguments, past.now()), past.signals(arguments.file)
    [read] = past.read(arguments, [file], span)
    found = backtest(file, read.past, span, [], factors=())
    said = [*read.findings]
    for one in found:
        said += findings.young(one.signal, one.series, read.past.grid, span.start)
    outcomes = simulate(file, read.past, span, arguments.seed)
    _tell(arguments, span, past.judged(found, said), outcomes, said)
    return 1 if any(one.fatal for one in said) else 0


def _tell(
    arguments: argparse.Namespace,
    span: Span,
    found: Sequence[Backtested],
    outcomes: Mapping[str, Sequence[Outcome]],
    said: Sequence[Finding],
) -> None:
    if arguments.html:
        title = f"Simulation of {arguments.file.name}"
        report = Report(
            title, span, past.grid(span), found, said, has_incidents=False, budget=BUDGET, outcomes=outcomes
        )
        arguments.html.write_text(page(report), encoding="utf-8")
    if arguments.json:
        sys.stdout.write(json.dumps(_document(span, found, outcomes, said)) + "\n")
        return
    console = Console(highlight=False)
    show_findings(console, said)
    if not found:
        console.print("No signal could be judged.")
        return
    console.print(f"{format_utc(span.start)} to {format_utc(span.end)}")
    for one in found:
        console.print(f"\n{one.signal.name}: {words.as_it_is(one)}", markup=False)
        show_table(console, words.simulated(outcomes[one.signal.name]))


def _document(
    span: Span, found: Sequence[Backtested], outcomes: Mapping[str, Sequence[Outcome]], said: Sequence[Finding]
) -> dict[str, Any]:
    signals = [
        {
            "name": one.signal.name,
            "told_per_series_week": one.judged.noise,
            "cases": [_case(outcome) for outcome in outcomes[one.signal.name]],
        }
        for one in found
    ]
    notes = [{"signal": one.signal, "text": one.text, "fatal": one.fatal} for one in said]
    return {"from": span.start, "to": span.end, "signals": signals, "findings": notes}


def _case(outcome: Outcome) -> dict[str, Any]:
    return {
        "kind": outcome.case.kind,
        "factor": outcome.case.factor,
        "seconds": outcome.case.seconds,
        "injected": outcome.injected,
        "recall": outcome.recall,
        "delay_median_seconds": outcome.delay_median,
    }
