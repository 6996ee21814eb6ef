"""Product events over HTTP, each answered when it is on disk, against `json` and prometheus-client without HTTP.

The exporter has one core, the load another. An event is a line of about 180 bytes: one of 20 names, one of 4 plans, one
of 5 regions, a duration, and three fields that nobody asks for. Ten rules count ten of the names by plan and region, one
of them into a histogram; with 200 each name has ten, of which nine hold for one plan only. The baseline counts every
event by name, plan and region, and does nothing else. Baseline and exporter take turns; figures are medians.
"""

import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Counter

from tests.bench.figure import Bench, Figure, quantile
from tests.bench.pump import Pump, Pumped
from tests.bench.serving import Served, serving
from tests.support.ports import free_ports

EVENTS = tuple(f"event_{number:02d}" for number in range(20))
PLANS = ("free", "pro", "team", "enterprise")
REGIONS = ("eu", "us", "ap", "sa", "af")
ROUNDS = 5
SECONDS = 4.0
NDJSON = {"Content-Type": "application/x-ndjson"}


def line(chance: random.Random) -> bytes:
    event = {
        "event": chance.choice(EVENTS),
        "plan": chance.choice(PLANS),
        "region": chance.choice(REGIONS),
        "duration_ms": chance.randint(1, 5000),
        "user_id": f"u{chance.randint(1, 10**6):07d}",
        "session": f"{chance.getrandbits(64):016x}",
        "path": f"/products/{chance.randint(1, 10**5):05d}/reviews",
    }
    return json.dumps(event).encode() + b"\n"


def bodies(size: int, number: int, seed: int = 1) -> list[bytes]:
    """`number` bodies of whole lines, of at most `size` bytes each."""
    chance, found = random.Random(seed), list[bytes]()
    for _ in range(number):
        body = b""
        while len(body) < size - 250:
            body += b"".join(line(chance) for _ in range(min(200, max(1, (size - len(body)) // 250))))
        found.append(body)
    return found


def config(rules: int) -> str:
    """exporter.yml with 20 declared events and so many rules."""
    fields = {
        "plan": {"values": PLANS},
        "region": {"values": REGIONS},
        "duration_ms": {"type": "number"},
        "user_id": {"type": "string"},
    }
    usage = {
        "events": [{"name": name, "fields": fields} for name in EVENTS],
        "rules": [rule(number) for number in range(rules)],
    }
    return json.dumps({"usage": usage})


def rule(number: int) -> dict[str, object]:
    found: dict[str, object] = {
        "name": f"rule-{number}",
        "metric": f"bench_{number}_total",
        "help": "Events.",
        "event": EVENTS[number % len(EVENTS)],
        "owner": "bench",
        "labels": {"plan": PLANS, "region": REGIONS},
    }
    if number >= len(EVENTS):
        found["where"] = {"plan": PLANS[number % len(PLANS)]}
    if number == 9:
        found |= {"kind": "histogram", "metric": "bench_seconds", "value": {"field": "duration_ms", "unit": "ms"}}
    return found


@contextlib.asynccontextmanager
async def exporter(folder: Path, rules: int) -> AsyncIterator[Served]:
    """Our exporter with so many rules."""
    async with exporting(folder, config(rules)) as served:
        yield served


@contextlib.asynccontextmanager
async def exporting(folder: Path, exporter_yml: str) -> AsyncIterator[Served]:
    """Our exporter on one core, with its ledger."""
    [port] = free_ports(1)
    settled(folder, exporter_yml)
    flags = ["--config.file", str(folder / "exporter.yml"), "--storage.path", str(folder / "data")]
    flags += ["--web.listen-address", f"127.0.0.1:{port}", "--log.level", "error"]
    argv = [*pinned(0), sys.executable, "-m", "exporter", "run", *flags]
    async with serving(folder / "exporter.log", port, "/-/ready", *argv) as served:
        yield served


def settled(folder: Path, exporter_yml: str) -> None:
    folder.mkdir()
    (folder / "exporter.yml").write_text(exporter_yml)


@contextlib.asynccontextmanager
async def discarding(folder: Path) -> AsyncIterator[Served]:
    """A bare aiohttp handler on one core."""
    [port] = free_ports(1)
    argv = [*pinned(0), sys.executable, "-m", "tests.bench.discard", str(port)]
    async with serving(folder / "discard.log", port, "/-/ready", *argv) as served:
        yield served


def pinned(core: int) -> list[str]:
    """The beginning of a command that keeps to one of the cores that we have."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[core % len(cores)])]


async def pumped(served: Served, files: Sequence[Path], connections: int, headers: dict[str, str]) -> Pumped:
    """The load on `served`, from the other core."""
    plan = Pump(
        int(served.url.rpartition(":")[2]), "/v1/events", [str(file) for file in files], connections, SECONDS, headers
    )
    argv = [*pinned(1), sys.executable, "-m", "tests.bench.pump", msgspec.json.encode(plan).decode()]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    found = msgspec.json.decode(told, type=Pumped)
    assert set(found.answers) == {"200"}, found.answers
    return found


def baseline(body: bytes) -> float:
    """Events a second that `json` and prometheus-client count, without HTTP and disk."""
    counter = Counter("bench", "Events.", ["event", "plan", "region"], registry=CollectorRegistry())
    lines = body.splitlines()
    began = time.perf_counter()
    for one in lines:
        event = json.loads(one)
        counter.labels(event["event"], event["plan"], event["region"]).inc()
    return len(lines) / (time.perf_counter() - began)


def written(folder: Path, made: Sequence[bytes]) -> list[Path]:
    files = [folder / f"body-{len(made[0])}-{number}" for number in range(len(made))]
    for file, body in zip(files, made, strict=True):
        file.write_bytes(body)
    return files


async def throughput(folder: Path, served: Served, size: int, connections: int) -> tuple[float, list[float]]:
    """Events a second over HTTP, the median; and the ratios to the baseline in turns."""
    made = bodies(size, 8)
    files, each = written(folder, made), statistics.mean(body.count(b"\n") for body in made)
    rates, ratios = [], []
    for _ in range(ROUNDS):
        base = await asyncio.to_thread(baseline, made[0][: 1 << 20])
        found = await pumped(served, files, connections, NDJSON)
        rates.append(found.answers["200"] * each / found.elapsed)
        ratios.append(rates[-1] / base)
    return statistics.median(rates), ratios


async def bulk(_: Path) -> Sequence[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), dict[str, float]()
        figures = list[Figure]()
        async with exporter(folder / "ten", 10) as ten:
            for size, label, bar, least in ((1 << 20, "1 MiB", 7.0, 1_000_000), (64 << 10, "64 KiB", 5.0, 700_000)):
                rate, ratios = await throughput(folder, ten, size, 16 if size < 1 << 20 else 6)
                found[label] = rate
                ratio = statistics.median(ratios)
                text = f"{rate:,.0f} events/s (bar {least:,})"
                missed = ratio < bar or rate < least
                figures.append(
                    Figure(
                        f"events in bodies of {label}, 10 rules",
                        ratio,
                        f"json + prometheus-client, no HTTP (bar {bar:g})",
                        text,
                        missed,
                    )
                )
        async with exporter(folder / "many", 200) as many:
            rate, _ratios = await throughput(folder, many, 1 << 20, 6)
        share = rate / found["1 MiB"]
        figures.append(Figure("200 rules, 1 MiB", share, "10 rules (bar 0.4)", f"{rate:,.0f} events/s", share < 0.4))
    return figures


async def single(_: Path) -> Sequence[Figure]:
    with tempfile.TemporaryDirectory() as temporary:
        folder, shares, p99 = Path(temporary), list[float](), list[float]()
        files = written(folder, [line(random.Random(seed)) for seed in range(8)])
        rates = []
        async with exporter(folder / "ten", 10) as ours, discarding(folder) as theirs:
            for _round in range(ROUNDS):
                bare = await pumped(theirs, files, 128, {})
                kept = await pumped(ours, files, 128, {})
                rates.append(kept.answers["200"] / kept.elapsed)
                shares.append(rates[-1] / (bare.answers["200"] / bare.elapsed))
                p99.append(quantile(kept.took, 0.99))
    share, late = statistics.median(shares), statistics.median(p99)
    text = f"{statistics.median(rates):,.0f} requests/s, each on disk; p99 {late * 1000:.0f} ms (bar 50)"
    return [
        Figure(
            "an event a request, 128 connections",
            share,
            "aiohttp, body thrown away (bar 0.6)",
            text,
            share < 0.6 or late > 0.05,
        )
    ]


EVENTS_BENCH = Bench("events", "events over HTTP in bulk, durable, against json + prometheus-client", bulk)
SINGLE_BENCH = Bench("single", "one event a request, durable, against a bare aiohttp handler", single)
