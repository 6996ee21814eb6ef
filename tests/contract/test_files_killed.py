"""A process that follows files is killed at random while they are written and rotated: each line is counted once."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.following import JOINED
from tests.support.recording import RecordingIntake
from tests.support.stack import ROOT

Split = Callable[[bytes], Iterable[bytes]]
KILLS = 8
LINES = 2000
ALL_SECONDS = 120.0


@contextmanager
def _following(folder: Path, ledger: Path, framing: str) -> Iterator[None]:
    """A process within the block, killed at its end."""
    command = [sys.executable, "-m", "tests.support.following", str(folder), str(ledger), framing]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


FRAMINGS: dict[str, tuple[bytes, Split]] = {"lines": (b"", bytes.splitlines), "joined": (b"\n  %s", JOINED.split)}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_kill_9_neither_loses_nor_doubles_an_entry(tmp_path: Path, framing: str) -> None:
    more, split = FRAMINGS[framing]
    chance = random.Random(6)
    folder, ledger = tmp_path / "logs", tmp_path / "ledger.db"
    folder.mkdir()
    recorded = RecordingIntake(ledger)
    truth: Counter[bytes] = Counter()
    for turn in range(KILLS):
        with _following(folder, ledger, framing):
            before = recorded.entries(split).total()
            _write(folder, turn, chance, truth, more)
            _until(recorded, split, before + chance.randrange(1, LINES))  # it is killed in the midst of its work
    with _following(folder, ledger, framing):
        _until(recorded, split, truth.total())
    assert Counter({entry.removesuffix(b"\n"): count for entry, count in recorded.entries(split).items()}) == truth
    recorded.close()


def _write(folder: Path, turn: int, chance: random.Random, truth: Counter[bytes], more: bytes) -> None:
    """LINES entries, in writes that end anywhere, some with `more` lines; the file is rotated now and then."""
    lines = [b"%d %d %s" % (turn, number, b"x" * chance.randrange(200)) for number in range(LINES)]
    lines = [line + more.replace(b"%s", line) * (number % 3) for number, line in enumerate(lines)]
    truth.update(lines)
    text = b"".join(line + b"\n" for line in lines)
    while text:
        size = chance.randrange(1, 20_000)
        with (folder / "app.log").open("ab") as log:
            log.write(text[:size])
        ends, text = text[:size].endswith(b"\n"), text[size:]
        if ends or not text:
            (folder / "app.log").rename(folder / f"app.log.{turn}.{len(text)}")


def _until(recorded: RecordingIntake, split: Split, entries: int) -> None:
    until = time.monotonic() + ALL_SECONDS
    while recorded.entries(split).total() < entries and time.monotonic() < until:
        time.sleep(0.05)
