"""`make bench`: figures, each against a baseline in the same run, because machines are shared and noisy.

python -m tests.bench --binaries FOLDER [--list] [NAME ...]
"""

import argparse
import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import (
    alerta,
    backtest,
    drops,
    enriching,
    events,
    latency,
    logs,
    noise,
    probing,
    receiving,
    rules,
    scrape,
    sequences,
    series,
    sinks,
    storm,
    usageyear,
    verdicts,
    year,
)
from tests.bench.figure import Bench

BENCHES: tuple[Bench, ...] = (
    events.EVENTS_BENCH,
    events.SINGLE_BENCH,
    series.BENCH,
    sequences.BENCH,
    verdicts.BENCH,
    year.BENCH,
    noise.BENCH,
    drops.BENCH,
    rules.BENCH,
    backtest.BENCH,
    usageyear.BENCH,
    scrape.BENCH,
    logs.BENCH,
    probing.BENCH,
    sinks.BENCH,
    latency.WEBHOOK,
    latency.FLIPPED,
    enriching.BENCH,
    receiving.BENCH,
    alerta.BENCH,
    storm.BENCH,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    parser.add_argument("names", nargs="*", metavar="NAME", help="run only these")
    arguments = parser.parse_args()
    known = {bench.name: bench for bench in BENCHES}
    if arguments.list:
        print("\n".join(f"{bench.name:<10} {bench.about}" for bench in BENCHES))
        return 0
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are: {', '.join(known)}")
    # a table that is read in a log needs its width more than a terminal's edge
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    table = Table(
        "name", "ratio", "against", "figure", title="Tocsin's figures, each against a baseline in the same run"
    )
    missed = []
    for name in arguments.names or known:
        with nullcontext() if known[name].shows_progress else console.status(f"{name}: {known[name].about}"):
            figures = asyncio.run(known[name].run(arguments.binaries))
        for figure in figures:
            table.add_row(
                figure.name, f"{figure.ratio:.2f}" if figure.ratio is not None else "-", figure.baseline, figure.text
            )
            missed += [figure.name] if figure.missed else []
    console.print(table)
    for name in missed:
        console.print(f"[red]bar missed:[/] {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
