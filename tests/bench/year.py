"""A simulated year, twenty times, and the stories: what was told of what happened.

The baseline is what most teams have: a page once a vendor has not answered 200 for five minutes.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.progress import track

from exporter.providers.kinds import Kind
from tests.bench.figure import Bench, Figure
from tests.support.stack import CONFIG
from tests.support.year import MINUTE, generator, simulate, stories, telling
from tests.support.year.probing import EVERY, Run
from tests.support.year.scoring import Verdicts, score
from tests.support.year.stories import Story
from tests.support.year.telling import Way

SEEDS = range(20)
_PLAIN_AFTER = 5 * MINUTE


@dataclass(frozen=True)
class Lived:
    """A year of one seed: its score, and how many pages the baseline would have sent."""

    seed: int
    found: Verdicts
    plain_pages: int

    @property
    def wrongs(self) -> int:
        """What the bar allows none of."""
        return len(self.found.missed) + len(self.found.doubled) + len(self.found.false_pages)


def live(seed: int) -> Lived:
    year = generator.year(seed)
    known = simulate.probed(year, seed)
    told = telling.told(simulate.fired(year, known), telling.inhibitions(CONFIG / "alertmanager.yml"))
    return Lived(seed, score(year, told), sum(_plain_pages(runs) for runs in known.values()))


def _plain_pages(runs: Sequence[Run]) -> int:
    """How often a vendor was without a good answer for _PLAIN_AFTER."""
    spells = (list(spell) for well, spell in groupby(runs, lambda run: run.state.kind is Kind.OK) if not well)
    return sum(spell[-1].last + EVERY - spell[0].first >= _PLAIN_AFTER for spell in spells)


def is_told_right(story: Story) -> bool:
    """Whether exactly the expected alerts were told."""
    told = Counter((one.alert.removeprefix("ThirdParty"), one.page) for one in simulate.told(story.year))
    return told == Counter((one.alert, one.how == "page") for one in story.expected)


def _median(delays: Iterable[float]) -> str:
    known = list(delays)
    return f"{statistics.median(known) / MINUTE:.0f} min" if known else "-"


def _figure(name: str, years: Sequence[Lived]) -> Figure:
    events = sum(len(one.found.tells) for one in years)
    pages, messages = sum(one.found.pages for one in years), sum(one.found.messages for one in years)
    missed, doubled = sum(len(one.found.missed) for one in years), sum(len(one.found.doubled) for one in years)
    false = sum(len(one.found.false_pages) for one in years)
    stray, risen = sum(len(one.found.strays) for one in years), sum(one.found.escalated for one in years)
    delays = ", ".join(f"{_median(delay for one in years for delay in one.found.delays(way))} {way}" for way in Way)
    text = (
        f"{events:,} true events: {missed} missed, {doubled} told twice; {pages:,} pages, {false} false; {messages:,} "
        f"messages, {stray} astray, {risen} then paged; median delay {delays}"
    )
    plain = sum(one.plain_pages for one in years)
    return Figure(name, plain / pages, "pages after 5 min without 200", text, any(one.wrongs for one in years))


async def run(_: Path) -> Sequence[Figure]:
    years = [live(seed) for seed in track(SEEDS, "a year of twelve vendors", console=Console(stderr=True))]
    worst = max(years, key=lambda one: (one.wrongs, one.found.pages))
    right = [is_told_right(story) for story in stories.STORIES]
    told = f"{sum(right)} of {len(right)} told exactly as they should be"
    return [
        _figure(f"a year, worst of {len(years)} (seed {worst.seed})", [worst]),
        _figure(f"a year, all {len(years)}", years),
        Figure("a year, the stories", None, "", told, not all(right)),
    ]


BENCH = Bench("year", "what is told of a simulated year: missed, told twice, for nothing", run, shows_progress=True)
