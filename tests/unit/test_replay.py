"""Which recording rules are evaluated for what is wanted, and in which order."""

import pytest

from tests.support.replay import Record, needed, stages

RULES = [
    Record("job:score", "job:level / last_over_time(job:band[7h])", {}),
    Record("job:band", "quantile_over_time(0.99, job:miss[2w])", {}, 10_800),
    Record("job:miss", "abs(job:level - job:expected)", {}),
    Record("job:expected", "job:level offset 1d", {"model": "day"}),
    Record("job:expected", "last_over_time(job:week[7h])", {"model": "week"}),
    Record("job:week", "avg_over_time(job:level[1w])", {}, 10_800),
    Record("job:level", "avg_over_time(source[1h])", {}),
    Record("job:other", "job:level * 2", {}),
]


def test_each_stage_reads_what_earlier_ones_recorded() -> None:
    names = [sorted({rule.name for rule in stage}) for stage in stages(needed(RULES, ["job:score"]))]
    assert names == [
        ["job:level"],
        ["job:expected", "job:week"],
        ["job:expected"],
        ["job:miss"],
        ["job:band"],
        ["job:score"],
    ]


def test_rules_that_read_each_other_are_told() -> None:
    with pytest.raises(AssertionError, match="read each other"):
        list(stages([Record("a", "b", {}), Record("b", "a", {})]))
