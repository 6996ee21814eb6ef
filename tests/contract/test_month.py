"""The beginning of the month that `make bench ARGS=noise` replays: whatever waits, nothing is lost and nothing critical late."""

from pathlib import Path

import pytest

from tests.support.month.generator import ALERTS, month
from tests.support.month.replay import config, replay


def test_a_month_is_of_so_many_alerts_and_the_same_again() -> None:
    assert month(5) == month(5)
    assert len(month(5)) == ALERTS


@pytest.mark.parametrize("seed", [5, 6])
async def test_whatever_waits_nothing_is_lost_and_nothing_critical_is_late(seed: int, tmp_path: Path) -> None:
    alerts = month(seed)[:50]
    found = await replay(alerts, config(), tmp_path)
    assert (found.lost, found.delayed) == ([], [])
    assert any(one.message.digest for one in found.told)
