"""`tocsin-exporter try`: what a file of events or log lines would count, before anything is counted."""

import argparse
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from exporter import config
from exporter.usage.book import Book
from exporter.usage.collector import UsageCollector
from exporter.usage.delivery import Format
from exporter.usage.engine import Engine
from exporter.usage.rejects import Rejects
from exporter.usage.settings import Usage, fields_of_logs
from exporter.usage.sources.http import ANYBODY
from exporter.usage.tally import Tally
from toolkit.cli import Extra, add_config_file
from toolkit.configfile import nearest
from toolkit.redaction import printable

CHUNK_BYTES = 1024 * 1024
MOST_SHOWN = 40
"""More samples of a metric than this are counted, and not shown."""


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Reads standard input: tocsin-exporter try < access.log"
    add_config_file(parser, "exporter")
    parser.add_argument("--log", default="", metavar="NAME", help="read the lines as this entry of usage.logs")
    parser.add_argument(
        "--source", default=ANYBODY, metavar="NAME", help="as if this producer sent them (default: %(default)s)"
    )
    parser.add_argument("rule", nargs="?", metavar="RULE", help="by this rule alone (default: all)")


def _run(arguments: argparse.Namespace) -> int:
    usage = _chosen(config.load(arguments.config_file).usage, arguments.rule)
    _refuse_unknown(arguments.source, usage)
    form = _form(usage, arguments.log)
    book, rejects, now = Book(), Rejects(), time.time()
    engine = Engine(usage, book, now)
    totals: Counter[str] = Counter()
    for chunk in _chunks(sys.stdin.buffer, _size(sys.stdin.buffer)):
        tally = engine.begin(arguments.source, now)
        for piece in engine.pieces(chunk, form, arguments.log):
            engine.count(tally, piece, form, arguments.log)
        deltas, unusable = engine.deltas([tally])
        book.apply(book.applied + 1, deltas.items(), now)
        rejects.note(tally.rejected, tally.unknown, tally.samples)
        totals.update(_totals(tally))
        totals["without a usable value"] += unusable.total()
    _show(Console(), engine, totals, rejects, now)
    return 1 if totals["rejected"] else 0


def _chosen(usage: Usage, rule: str | None) -> Usage:
    if rule is None:
        return usage
    rules = {one.name: one for one in usage.rules}
    if rule in [one.name for one in usage.sequences]:
        raise ValueError(f"{rule!r} is a rule about keys, which tells of what comes later: only `run` counts by it")
    if rule not in rules:
        raise ValueError(f"no usage rule is named {rule!r}{nearest(rule, rules)}")
    return usage.model_copy(update={"rules": (rules[rule],)})


def _refuse_unknown(source: str, usage: Usage) -> None:
    known = {ANYBODY, *usage.trusted}
    if source not in known:
        raise ValueError(f"no producer or source is named {source!r}{nearest(source, known)}")


def _form(usage: Usage, log: str) -> Format:
    """Lines of a log where one is named, or where all rules count what comes of logs; else events."""
    names = [one.name for one in usage.logs]
    if log and log not in names:
        raise ValueError(f"no entry of usage.logs is named {log!r}{nearest(log, names)}")
    patterns = fields_of_logs(usage.logs)
    of_logs = bool(usage.rules) and all(rule.event in patterns for rule in usage.rules)
    if log or (of_logs and len(names) == 1):
        return "lines"
    if of_logs:
        raise ValueError(f"say with --log how the lines are read: {', '.join(names)}")
    return "ndjson"


def _size(stream: BinaryIO) -> int | None:
    found = os.fstat(stream.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _chunks(stream: BinaryIO, size: int | None) -> Iterator[bytes]:
    """Whole lines, with a bar of how far it is, for people."""
    columns = (SpinnerColumn(), TextColumn("MB"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("read", total=None if size is None else max(size // 10**6, 1))
        read, rest = 0, b""
        while chunk := stream.read(CHUNK_BYTES):
            read += len(chunk)
            progress.update(task, completed=read // 10**6)
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                yield whole + newline
        if rest:
            yield rest


def _totals(tally: Tally) -> dict[str, int]:
    return {
        "lines": tally.lines,
        "events": tally.events,
        "counted": tally.matched,
        "unknown": tally.unknown,
        "rejected": sum(tally.rejected.values()),
    }


def _show(console: Console, engine: Engine, totals: Counter[str], rejects: Rejects, now: float) -> None:
    console.print(", ".join(f"{number:,} {what}" for what, number in totals.items() if number) or "Nothing was read.")
    for family, lines in UsageCollector(tuple(engine.rules)).metrics(now):
        samples = b"".join(lines).decode(errors="replace").split("\n")
        grown = [sample for sample in samples if sample and not sample.endswith(" 0")]
        for sample in grown[:MOST_SHOWN]:
            console.print(printable(sample), markup=False, highlight=False, soft_wrap=True)
        if len(grown) > MOST_SHOWN:
            console.print(f"{family.name}: {len(grown) - MOST_SHOWN} more", markup=False)
    for reason, found in rejects.shown().items():
        console.print(f"{reason}: {found['count']:,}", markup=False)
        for one in found["samples"][:3]:
            console.print(f"  {one['detail']}: {one['sample']}", markup=False, soft_wrap=True)


TRY = Extra("try", "count events or log lines from standard input, and show what would come of it", _flags, _run)
