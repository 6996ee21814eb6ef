"""A process that follows files is killed at random while they are written and rotated: each line is counted once."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.recording import RecordingIntake
from tests.support.stack import ROOT

KILLS = 8
LINES = 2000
ALL_SECONDS = 120.0


@contextmanager
def _following(folder: Path, ledger: Path) -> Iterator[None]:
    """A process within the block, killed at its end."""
    command = [sys.executable, "-m", "tests.support.following", str(folder), str(ledger)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


def test_kill_9_neither_loses_nor_doubles_a_line(tmp_path: Path) -> None:
    chance = random.Random(6)
    folder, ledger = tmp_path / "logs", tmp_path / "ledger.db"
    folder.mkdir()
    recorded = RecordingIntake(ledger)
    truth: Counter[bytes] = Counter()
    for turn in range(KILLS):
        with _following(folder, ledger):
            before = recorded.lines.total()
            _write(folder, turn, chance, truth)
            _until(recorded, before + chance.randrange(1, LINES))  # it is killed in the midst of its work
    with _following(folder, ledger):
        _until(recorded, truth.total())
    assert recorded.lines == truth
    recorded.close()


def _write(folder: Path, turn: int, chance: random.Random, truth: Counter[bytes]) -> None:
    """LINES lines, in writes that end anywhere; the file is rotated now and then."""
    lines = [b"%d %d %s" % (turn, number, b"x" * chance.randrange(200)) for number in range(LINES)]
    truth.update(lines)
    text = b"".join(line + b"\n" for line in lines)
    while text:
        size = chance.randrange(1, 20_000)
        with (folder / "app.log").open("ab") as log:
            log.write(text[:size])
        ends, text = text[:size].endswith(b"\n"), text[size:]
        if ends or not text:
            (folder / "app.log").rename(folder / f"app.log.{turn}.{len(text)}")


def _until(recorded: RecordingIntake, lines: int) -> None:
    until = time.monotonic() + ALL_SECONDS
    while recorded.lines.total() < lines and time.monotonic() < until:
        time.sleep(0.05)
