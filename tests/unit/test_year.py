"""Stories of a vendor's day, and what is told of them; and that the simulation is one."""

import ast
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.support.year import HOUR, generator, simulate, stories, wording
from tests.support.year.probing import every_probe, judging, runs
from tests.support.year.scoring import score
from tests.support.year.stories import SLACK, Expected, Story
from tests.support.year.telling import Told
from tests.support.year.timeline import Year
from tests.support.year.twin import Watch, folded


def _as_expected(told: Told) -> Expected:
    minutes = (told.at - stories.HERE) / 60
    how = "page" if told.page else "message"
    return Expected(told.alert.removeprefix("ThirdParty"), how, told.vendor or told.card, minutes)


def _by_whom(one: Expected) -> tuple[str, str, float]:
    return one.alert, one.whom, one.minutes


@pytest.mark.parametrize("story", stories.STORIES, ids=[story.name for story in stories.STORIES])
@pytest.mark.parametrize("seed", range(3))
def test_exactly_this_is_told(story: Story, seed: int) -> None:
    told = sorted((_as_expected(one) for one in simulate.told(story.year, seed)), key=_by_whom)
    expected = sorted(story.expected, key=_by_whom)
    assert [(one.alert, one.how, one.whom) for one in told] == [(one.alert, one.how, one.whom) for one in expected]
    for found, wanted in zip(told, expected, strict=True):
        assert wanted.minutes <= found.minutes <= wanted.minutes + SLACK, found


def _window(seed: int, hours: float) -> Year:
    """Some hours of a drawn year, at a place where something happens, from their beginning."""
    year, chance = generator.year(seed), Random(seed)
    event = chance.choice([event for event in year.events if event.end - event.start > HOUR / 2])
    return simulate.cut(year, event.start - HOUR / 2, hours * HOUR)


@pytest.mark.parametrize("seed", range(12))
def test_probes_that_are_judged_together_end_as_one_by_one(seed: int) -> None:
    year = _window(seed, 30)
    for vendor in year.vendors:
        rhythm = simulate.rhythm(year, Random(seed))
        together = list(runs(vendor, rhythm, year.end, judging()))
        for one in every_probe(vendor, rhythm, year.end, judging()):
            run = next(run for run in reversed(together) if run.first <= one.first)
            # but for the reason, which may tell seconds
            assert replace(run.at(one.first), reason="") == replace(one.state, reason=""), vendor.name


@pytest.mark.parametrize("seed", range(6))
def test_evaluations_that_are_left_out_would_have_found_nothing(seed: int) -> None:
    year = _window(seed, 12)
    watch = Watch(year.absences, year.end)
    for known in simulate.probed(year, seed).values():
        quick, now = dict(folded(known, watch)), None
        for tick, memory in folded(known, watch, step_by_step=True):
            now = quick.get(tick, now)
            assert now == memory, tick


def test_the_generator_knows_nothing_of_the_classifier() -> None:
    for module in (generator, wording):
        tree = ast.parse(Path(module.__file__ or "").read_text())
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert {name for name in names if name.startswith("exporter")} <= {"exporter.providers.answer"}
        assert not {name for name in names if "twin" in name or "probing" in name}


def test_a_year_is_drawn_alike_for_its_seed_and_unlike_for_another() -> None:
    assert generator.year(1) == generator.year(1)
    assert generator.year(1) != generator.year(2)


def test_a_drawn_year_is_told_without_a_miss_a_double_or_a_false_page() -> None:
    year = generator.year(0)
    found = score(year, simulate.told(year, 0))
    assert len(found.tells) > 50
    assert (found.missed, found.doubled, found.false_pages) == ([], [], [])


def test_a_score_names_what_was_missed_told_twice_and_told_for_nothing() -> None:
    year = generator.year(0)
    event = next(event for event, told in score(year, simulate.told(year, 0)).tells if event.vendor and told)
    told = simulate.told(year, 0)
    first = next(one for one in told if one.vendor == event.vendor and event.start <= one.at <= event.end)
    rest = [one for one in told if one != first]
    assert score(year, rest).missed == [event]
    assert [event for event, _ in score(year, [*told, first]).doubled] == [event]
    alone = Told(1.0, "ThirdPartyNoSuccess", "critical", event.vendor)
    assert score(year, [alone, *told]).false_pages == [alone]
