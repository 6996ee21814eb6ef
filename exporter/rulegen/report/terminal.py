"""A backtest in a terminal."""

from collections.abc import Iterable

from rich import table
from rich.console import Console
from rich.markup import escape

from exporter.rulegen.findings import Finding
from exporter.rulegen.report.words import Table
from toolkit.redaction import printable


def show_table(console: Console, shown: Table) -> None:
    """Prints a table below its title."""
    console.print(f"\n[bold]{escape(shown.title)}[/]")
    grid = table.Table(box=None, pad_edge=False, header_style="dim")
    for place, head in enumerate(shown.heads):
        grid.add_column(head, justify="left" if place == 0 else "right", no_wrap=True)
    for row in shown.rows:
        grid.add_row(*(escape(printable(cell)) for cell in row))
    console.print(grid)


def show_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Prints what is wrong, what keeps a signal from being judged first."""
    for one in sorted(findings, key=lambda one: not one.fatal):
        word = "[red]not judged[/]" if one.fatal else "[yellow]note[/]"
        console.print(f"{word} {escape(one.signal)}: {escape(printable(one.text))}", soft_wrap=True)
