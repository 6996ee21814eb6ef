"""A year of usage, twenty times: whether each incident was found, and what was told of nothing.

The baseline is what many have: an hour's mean below half, or above twice, of the same hour a week before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track

from exporter.rulegen import sliding
from exporter.rulegen.backtest import Backtested, Span, backtest, is_true
from exporter.rulegen.episodes import episodes
from exporter.rulegen.model import STAY, STEP, WEEK
from exporter.rulegen.sliding import Values
from exporter.rulegen.told import GONE
from tests.bench.figure import Bench, Figure
from tests.support import usageyear
from tests.support.usageyear import Year

SEEDS = range(9301, 9321)
SENSITIVITY = 1.4
MOST_FALSE = 12
YOUNG_WEEKS = 4


@dataclass(frozen=True)
class Lived:
    """A year of one seed: incidents that weren't found, by what they were; tickets and pages about none of them."""

    missed: tuple[str, ...]
    tickets: int
    pages: int
    plain: int


def live(year: Year) -> tuple[Lived, list[Backtested]]:
    """What the rules would have told of a year."""
    found = backtest(year.file, year.past, year.span, year.incidents, factors=())
    told = [(one, alert, episode) for one in found for alert in one.told for episode in alert.episodes]
    false = [alert for one, alert, episode in told if alert.alert != GONE and not is_true(episode, one.incidents)]
    missed = [
        f"{incident.name} of {incident.signal}"
        for incident in year.incidents
        if not any(one.signal.name == incident.signal and is_true(episode, [incident]) for one, _, episode in told)
    ]
    pages = sum(alert.severity == "page" for alert in false)
    return Lived(tuple(missed), len(false) - pages, pages, sum(map(_plain, found))), found


def _plain(one: Backtested) -> int:
    """How often the baseline would have told of nothing."""
    level = one.series[0].recorded.level
    before, size = sliding.before(level, WEEK // STEP), len(level)
    times = np.arange(size, dtype=np.float64) * STEP
    is_off = (level < before / 2) | (level > 2 * before)
    return len(episodes(times, is_off, np.full(size, np.nan), 1800.0, STAY))


async def _run(_: Path) -> Sequence[Figure]:
    file = usageyear.file(SENSITIVITY)
    seeds = track(SEEDS, description="years of usage", transient=True)
    every = [usageyear.year(seed, file) for seed in seeds]
    return [_figure([live(year)[0] for year in every]), _figure_of_the_young([live(_begun(year))[0] for year in every])]


def _begun(year: Year) -> Year:
    """The first weeks of a year before which nothing was measured."""
    first = year.past.grid.place(year.span.start)

    def since(values: Values) -> Values:
        return np.where(np.arange(len(values)) < first, np.nan, values)

    signals = {name: {labels: since(one) for labels, one in past.items()} for name, past in year.past.signals.items()}
    span = Span(year.span.start, year.span.start + YOUNG_WEEKS * WEEK)
    return replace(year, past=replace(year.past, signals=signals), span=span)


def _figure_of_the_young(years: Sequence[Lived]) -> Figure:
    tickets, pages = [one.tickets for one in years], sum(one.pages for one in years)
    text = (
        f"{sum(tickets) / len(years):.1f} false tickets in the first {YOUNG_WEEKS} weeks of 20 metrics, "
        f"{max(tickets)} in the worst, {pages} false pages"
    )
    plain = sum(one.plain for one in years)
    return Figure(
        "new metrics", plain / max(1, sum(tickets)), "half or twice of the same hour a week before", text, pages > 0
    )


def _figure(years: Sequence[Lived]) -> Figure:
    missed = [name for one in years for name in one.missed]
    worst, pages = max(one.tickets for one in years), sum(one.pages for one in years)
    tickets, plain = sum(one.tickets for one in years), sum(one.plain for one in years)
    incidents = len(years) * usageyear.INCIDENTS
    text = (
        f"{incidents - len(missed)} of {incidents} incidents found, {sum(not one.missed for one in years)} of "
        f"{len(years)} years complete; false tickets {tickets / len(years):.1f} a year, {worst} in the worst, {pages} false pages"
    )
    is_missed = bool(missed) or worst > MOST_FALSE or pages > 0
    return Figure(
        "a year of usage", plain / max(1, tickets), "half or twice of the same hour a week before", text, is_missed
    )


BENCH = Bench("usageyear", "a year of usage with incidents, told by the rules", _run, shows_progress=True)
