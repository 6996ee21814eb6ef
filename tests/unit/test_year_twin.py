"""The twin of the rules against the rules themselves, on promtool: the same alerts fire at the same instants."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import pytest

from exporter.providers.answer import Exchange
from tests.support.stack import CONFIG
from tests.support.year import HOUR, MINUTE, promtool, simulate, stories, wording
from tests.support.year.timeline import Answer, Cause, Layer, Spell, Vendor, Year
from tests.support.year.twin import TICK, Firing

LENGTH = 2.75 * HOUR


def _drawn(seed: int) -> Year:
    """Two vendors that fare badly for some hours, and an exporter that is away for some of it."""
    draw = Random(seed)
    vendors = []
    for name in ("one", "two"):
        spells, now = [], draw.uniform(2, 20) * MINUTE
        while now < LENGTH:
            length = draw.choice((1, 5, 17, 22, 40, 75, 90)) * MINUTE
            spells.append(Spell(now, now + length, _answers(draw), Layer.VENDOR))
            now += length + draw.choice((0, 0, 0, 2, 10)) * MINUTE
        vendors.append(Vendor(name, stories.GOOD, tuple(spells), ((0.0, "old"), (LENGTH / 2, "new")), "visa"))
    away = draw.uniform(0.3, 0.8) * LENGTH
    return Year(tuple(vendors), (), LENGTH, ((away, away + draw.choice((20, 200, 400, 1500))),))


def _answers(draw: Random) -> tuple[Answer, ...]:
    cause = draw.choice(
        (Cause.LAPSE, Cause.LAPSE, Cause.DEAD_KEY, Cause.SPENT_QUOTA, Cause.THROTTLING, Cause.SUSPENSION)
    )
    plan = Exchange(403, b'{"error": "Your plan does not include this feature."}')
    if draw.random() < 0.2:
        return draw.choice(((plan,), wording.down(draw), wording.no_way_out(draw)))
    bare = wording.can_be_bare(cause) and draw.random() < 0.6
    return (wording.bare(cause, draw) if bare else wording.said(cause, draw),)


def _around(firings: Iterable[Firing]) -> set[float]:
    return {at + step for one in firings for at in (one.start, one.end) for step in (-TICK, 0, TICK)}


def _checked(firings: Sequence[Firing], end: float) -> set[float]:
    """Around every change, and every ten minutes. Not around those of a card: its rule is in a group of its own, which
    may be evaluated before or after the other."""
    found = _around(firings) | {10 * MINUTE * number for number in range(int(end // 600))}
    return {tick for tick in found if 0 <= tick <= end} - _around(one for one in firings if one.card)


def _promtool(rules: Path, test: Path) -> str:
    """What promtool says; "" when it agrees."""
    command = [str(Path(os.environ["TOCSIN_BINARIES"]) / "promtool"), "test", "rules", str(test)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=rules.parent)
    return "" if found.returncode == 0 else found.stdout + found.stderr


def _said(name: str, year: Year, tmp_path: Path, *, without: int = 0) -> str:
    known = simulate.probed(year)
    firings = list(simulate.fired(year, known))
    assert len(firings) > without, "a test in which nothing fires proves nothing"
    test = promtool.test_of(name, year, known, firings[without:], _checked(firings, year.end))
    rules = CONFIG / "rules" / "thirdparty.yml"
    (tmp_path / "year.yml").write_text(promtool.suite(rules, [test]))
    return _promtool(rules, tmp_path / "year.yml")


@pytest.mark.parametrize("seed", range(2))
def test_the_twin_fires_as_the_rules_do(seed: int, tmp_path: Path) -> None:
    assert not _said(f"drawn {seed}", _drawn(seed), tmp_path)


def test_the_twin_fires_as_the_rules_do_when_our_way_out_breaks(tmp_path: Path) -> None:
    vendors = [Vendor(name, stories.GOOD, (Spell(600, 4800, (stories.NO_NAME,)),)) for name in ("one", "two", "three")]
    assert not _said("egress", Year(tuple(vendors), (), 1.6 * HOUR), tmp_path)


def test_an_alert_that_the_twin_leaves_out_is_found(tmp_path: Path) -> None:
    assert "got:" in _said("drawn 0", _drawn(0), tmp_path, without=1)
