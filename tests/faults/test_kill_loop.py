"""Receivers killed with SIGKILL at random moments lose nothing, and say of each repeat that it may be one."""

from pathlib import Path

from tests.faults.kill_loop import Plan, run
from tests.support.receivers import sqlite
from tests.support.running import binaries

KILLS = 50
KILLS_IN_THE_GAP = 10


async def test_a_receiver_killed_fifty_times_loses_nothing_and_marks_every_repeat(tmp_path: Path) -> None:
    outcome = await run(Plan(binaries(), tmp_path, sqlite(tmp_path), kills=KILLS))
    print(outcome.figures)
    assert outcome.verdict.faults == ""
    assert len(outcome.kills) >= KILLS
    assert outcome.verdict.gaps >= KILLS_IN_THE_GAP, "too few kills fell between a send's start and its record"
