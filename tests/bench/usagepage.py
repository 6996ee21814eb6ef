"""`make usage-year`: the first of the years of `make bench ARGS=usageyear` as a page, docs/usage-year.html.

python -m tests.bench.usagepage
"""

from rich.console import Console

from exporter.rulegen.report.page import Report, page
from tests.bench.usageyear import SEEDS, SENSITIVITY, live
from tests.support import usageyear
from tests.support.stack import ROOT

PAGE = ROOT / "docs" / "usage-year.html"


def main() -> None:
    console = Console(stderr=True, highlight=False)
    with console.status("a year of usage"):
        year = usageyear.year(SEEDS[0], usageyear.file(SENSITIVITY))
        _, found = live(year)
        told = [one for one in found if one.incidents or one.judged.episodes]
        report = Report("A year of usage", year.span, year.past.grid, told, (), has_incidents=True, budget=0.0)
        PAGE.write_text(page(report), encoding="utf-8")
    console.print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
