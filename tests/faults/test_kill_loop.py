"""Receivers killed with SIGKILL at random moments lose nothing, and say of each repeat that it may be one."""

from pathlib import Path

import pytest

from tests.faults.kill_loop import Plan, run
from tests.support.running import binaries

KILLS = 50
KILLS_IN_THE_GAP = 10

ROWS = [
    ("one receiver on SQLite", "sqlite", 1, 0.4),
    # three that live for two seconds each: one of them is killed every second
    ("three receivers on PostgreSQL", "postgresql", 3, 2.0),
]


@pytest.mark.parametrize(
    ("storage", "replicas", "pause"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS], indirect=["storage"]
)
async def test_receivers_killed_fifty_times_lose_nothing_and_mark_every_repeat(
    tmp_path: Path, storage: str, replicas: int, pause: float
) -> None:
    outcome = await run(Plan(binaries(), tmp_path, storage, replicas, kills=KILLS, pause=pause))
    print(outcome.figures)
    assert outcome.verdict.faults == ""
    assert len(outcome.kills) >= KILLS
    assert outcome.verdict.gaps >= KILLS_IN_THE_GAP, "too few kills fell between a send's start and its record"
