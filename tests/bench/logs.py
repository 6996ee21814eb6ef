"""Lines of a log, counted by event and reason, against Debian's mtail on the same file. Totals have to be equal.

A line is 200 bytes: what a logger writes before and after, and one of a hundred messages in the middle. 30 % of the lines
match one of the patterns that are asked for, as in a log whose patterns were written for it; 5 % hold a pattern's words
and don't match; the rest is talk. The figures at 0 and at 100 % stand beside it. Every pattern begins with a word of its
own, which is what Go's regular expressions, and so mtail, are fastest with. Of the three groups the count asks for one,
as a rule would: ours captures that one, mtail always all. Both run on one core, and what counts is their CPU time, start
included for mtail (0.03 s) and not for ours, which is part of a server: waiting for other work on the machine is nobody's.
"""

import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exporter.usage.logs.reader import log_reader
from exporter.usage.logs.settings import LogSet
from tests.bench.figure import Bench, Figure
from tests.support.binaries import Missing, mtail
from tests.support.stack import ROOT

LINES = 200_000
LINE_BYTES = 200
CHUNK_BYTES = 256 * 1024
NEAR_MISSES = 0.05
ROUNDS = 3
BARS = {20: (700_000, 4.0), 100: (500_000, 12.0)}
"""By number of patterns: lines a second, and how many times mtail's."""
_THINGS = (
    "payment", "order", "invoice", "refund", "login", "upload", "export", "import", "webhook", "mail",
    "search", "checkout", "signup", "backup", "report", "session", "transfer", "booking", "voucher", "parcel",
)  # fmt: skip
_FATES = ("failed", "expired", "declined", "was lost", "was retried")
_REASONS = ("card", "quota", "timeout", "network", "limit", "unknown")


@dataclass(frozen=True)
class Counts:
    """What one program counted, by `event reason`, and the seconds of CPU it used."""

    totals: dict[str, int]
    seconds: float


def patterns(number: int) -> dict[str, str]:
    """The first `number` of a hundred patterns, by event."""
    pairs = ((thing, fate) for fate in _FATES for thing in _THINGS)
    every = {
        f"{thing}_{fate.replace(' ', '_')}": rf"{thing} (?P<id>\w+) {fate} after (?P<ms>\d+) ms: (?P<reason>\w+)"
        for thing, fate in pairs
    }
    return dict(list(every.items())[:number])


def lines(number: int, share: float, seed: int = 7) -> Iterator[bytes]:
    """LINES lines, of which `share` match one of the first `number` patterns."""
    chance = random.Random(seed)
    pairs = [(thing, fate) for fate in _FATES for thing in _THINGS][:number]
    for index in range(LINES):
        thing, fate = chance.choice(pairs)
        kind = chance.random()
        if kind < share:
            said = f"{thing} {index:x} {fate} after {index % 997} ms: {chance.choice(_REASONS)}"
        elif kind < share + NEAR_MISSES and share < 1:
            said = f"{thing} {index:x} {fate} after a while, nobody knows why"
        else:
            said = f"GET /v1/items/{index:x} answered 200 in {index % 997} ms, cache hit, 3 rows"
        before = f"2026-11-21T13:{index // 6000 % 60:02}:{index // 100 % 60:02}.{index % 1000:03}Z app-{index % 7} api[4711]: INFO"
        after = f"region=eu-{index % 3} plan=pro user={chance.getrandbits(48):x} trace={chance.getrandbits(128):032x} span={chance.getrandbits(64):016x} v=4.17.2"
        yield f"{before} {said} {after}"[: LINE_BYTES - 1].ljust(LINE_BYTES - 1, ".").encode() + b"\n"


# --- ours, in a process of its own


def count(path: Path, number: int) -> Counts:
    """Reads the file in chunks of whole lines, and counts what they hold."""
    settings = LogSet.model_validate(
        {"name": "app", "patterns": [{"event": event, "pattern": one} for event, one in patterns(number).items()]}
    )
    reader = log_reader(settings, wanted=dict.fromkeys(patterns(number), ("reason",)))
    totals: Counter[tuple[str, object]] = Counter()
    began = time.process_time()
    with path.open("rb") as file:
        rest = b""
        while more := file.read(CHUNK_BYTES):
            chunk = rest + more
            end = reader.finished(chunk)
            read, rest = reader.read(chunk[:end]), chunk[end:]
            totals.update((event, fields["reason"]) for event, fields in read.events)
    seconds = time.process_time() - began
    return Counts({f"{event} {reason}": count for (event, reason), count in totals.items()}, seconds)


def _ours(path: Path, number: int) -> Counts:
    command = [sys.executable, "-m", "tests.bench.logs", str(path), str(number)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, preexec_fn=_on_one_core)
    return msgspec.json.decode(done.stdout, type=Counts)


# --- mtail


def _mtails(program: Path, path: Path, number: int) -> Counts:
    progs = path.with_suffix(".mtail")
    progs.write_text("".join(f"counter {event} by reason\n" for event in patterns(number)) + "".join(_rules(number)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(program), "-one_shot", "-progs", str(progs), "-logs", str(path), "-poll_interval=0", "-port=0"]
    environment = {**os.environ, "GOMAXPROCS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True, preexec_fn=_on_one_core)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Counts(_totals(done.stdout), seconds)


def _rules(number: int) -> Iterator[str]:
    for event, pattern in patterns(number).items():
        yield f"/{pattern}/ {{\n  {event}[$reason]++\n}}\n"


def _totals(out: bytes) -> dict[str, int]:
    return {
        f"{name} {one['Labels'][0]}": int(one["Value"]["Value"])
        for name, metrics in json.loads(out).items()
        for metric in metrics
        for one in metric["LabelValues"] or ()
    }


def _on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


# --- the figures


async def run(binaries: Path) -> Sequence[Figure]:
    """Ours alone where mtail can't be had."""
    try:
        program: Path | None = await asyncio.to_thread(mtail, binaries.parent)
        missing = ""
    except Missing as error:
        program, missing = None, str(error)
    with tempfile.TemporaryDirectory() as folder:
        return await asyncio.to_thread(lambda: [_figure(program, missing, Path(folder), number) for number in BARS])


def _figure(program: Path | None, missing: str, folder: Path, number: int) -> Figure:
    rates = {}
    ratio = None
    for share in (0.3, 0.0, 1.0):
        path = folder / f"{number}-{share}.log"
        path.write_bytes(b"".join(lines(number, share)))
        ours = min((_ours(path, number) for _ in range(ROUNDS)), key=lambda one: one.seconds)
        rates[share] = LINES / ours.seconds
        if program and share == 0.3:
            theirs = _mtails(program, path, number)
            assert ours.totals == theirs.totals, "mtail counted something else"
            ratio = theirs.seconds / ours.seconds
        path.unlink()
    rate, least = BARS[number]
    against = f"mtail {rates[0.3] / ratio / 1e3:,.0f}" if ratio else missing
    text = (
        f"thousand lines/s: ours {rates[0.3] / 1e3:,.0f}, {against} where 30 % match; ours {rates[0.0] / 1e3:,.0f} at 0 %, "
        f"{rates[1.0] / 1e3:,.0f} at 100 %; bars {rate / 1e3:g} and {least:g} times mtail"
    )
    missed = rates[0.3] < rate or (ratio is not None and ratio < least)
    return Figure(f"log lines, {number} patterns", ratio, "mtail", text, missed)


BENCH = Bench("logs", "lines of a log against 20 and 100 patterns, and against mtail", run)

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(count(Path(sys.argv[1]), int(sys.argv[2]))))
