"""How soon a webhook is acknowledged: at a steady rate, a thousand groups at once, a thousand alerts in one body; and
how soon a receiver with ten thousand open incidents is back.

The receiver runs as its command does, the load comes from a process of its own. The baseline is a bare aiohttp server
that makes one SQLite commit for each request, under the same load in the same run.
"""

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from sqlalchemy import create_engine, insert

from receiver.alerts import AlertEvent
from receiver.payload import parse
from receiver.store import tables
from tests.bench.figure import Bench, Figure, quantile
from tests.bench.load import Load, Posted, posted
from tests.bench.load import body as webhook
from tests.bench.serving import Served, bare, receiver

HOOK = "/webhook/alertmanager"
STEADY = Load(HOOK, posts=1500, at_once=100, rate=50)
GROUPS = Load(HOOK, posts=1000, at_once=1000, first=10_000)
LARGE = Load(HOOK, posts=5, at_once=1, alerts_each=1000, first=20_000)
STEADY_BAR_SECONDS = 0.25
GROUPS_BAR_SECONDS = 10.0
LARGE_BAR_SECONDS = 1.0
RESTART_BAR_SECONDS = 2.0
INCIDENTS = 10_000
RESTARTS = 5
ONE_TARGET = "targets: [{name: team, url: 'json://127.0.0.1:1/'}]"
COMMIT = "bare aiohttp, a commit each"


async def run(_: Path) -> Sequence[Figure]:
    """Every load on ours, then on the bare server; restarts with and without incidents by turns."""
    async with both() as (ours, theirs):
        steady, groups, large = [
            (await under(load, ours), await under(load, theirs)) for load in (STEADY, GROUPS, LARGE)
        ]
    return [_steady(*steady), _groups(*groups), _large(*large), await restart()]


@contextlib.asynccontextmanager
async def both() -> AsyncIterator[tuple[Served, Served]]:
    """Ours and the bare server, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        async with receiver(Path(folder)) as ours, bare(Path(folder)) as theirs:
            yield ours, theirs


async def under(load: Load, served: Served) -> Posted:
    """`load` on a server, whose URL the load names by its path."""
    return await posted(replace(load, url=served.url + load.url))


def _steady(ours: Posted, theirs: Posted) -> Figure:
    last, bare_last = quantile(ours.took, 0.99), quantile(theirs.took, 0.99)
    text = (
        f"p50 {_ms(quantile(ours.took, 0.5))}, p99 {_ms(last)}; bare p50 {_ms(quantile(theirs.took, 0.5))}, "
        f"p99 {_ms(bare_last)}; bar {_ms(STEADY_BAR_SECONDS)} at p99; {_refused(ours, STEADY)}"
    )
    missed = last > STEADY_BAR_SECONDS or ours.acknowledged < STEADY.posts
    return Figure(f"acknowledgement at {STEADY.rate:g}/s, p99", last / bare_last, COMMIT, text, missed)


def _groups(ours: Posted, theirs: Posted) -> Figure:
    text = f"all within {ours.elapsed:.2f} s, bare {theirs.elapsed:.2f} s; bar {GROUPS_BAR_SECONDS:g} s; {_refused(ours, GROUPS)}"
    missed = ours.elapsed > GROUPS_BAR_SECONDS or ours.acknowledged < GROUPS.posts
    return Figure(f"{GROUPS.posts:,} groups at once", ours.elapsed / theirs.elapsed, COMMIT, text, missed)


def _large(ours: Posted, theirs: Posted) -> Figure:
    worst, middle = max(ours.took), statistics.median(ours.took)
    text = f"median {_ms(middle)}, worst {_ms(worst)} of {LARGE.posts}; bar {_ms(LARGE_BAR_SECONDS)}; {_refused(ours, LARGE)}"
    missed = worst > LARGE_BAR_SECONDS or ours.acknowledged < LARGE.posts
    name = f"a body of {LARGE.alerts_each:,} alerts"
    return Figure(name, middle / statistics.median(theirs.took), COMMIT, text, missed)


async def restart() -> Figure:
    """From the start of the process to its first good answer at /-/ready, with 10,000 open incidents and with none."""
    took: dict[str, list[float]] = {"full": [], "empty": []}
    cpu: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in took:
            (Path(folder) / name).mkdir()
            async with receiver(Path(folder) / name, ONE_TARGET):
                pass
        await asyncio.to_thread(_fill, Path(folder) / "full" / "data" / "receiver.db")
        for _ in range(RESTARTS):
            for name, seconds in took.items():
                async with receiver(Path(folder) / name, ONE_TARGET) as it:
                    seconds.append(it.ready_after)
                    cpu.append(it.cpu())
    full, empty = statistics.median(took["full"]), statistics.median(took["empty"])
    text = f"median {full:.2f} s, worst {max(took['full']):.2f} s; with none {empty:.2f} s; {statistics.median(cpu):.2f} s of CPU; bar {RESTART_BAR_SECONDS:g} s"
    name = f"restart with {INCIDENTS:,} open incidents"
    return Figure(name, full / empty, "an empty database", text, full > RESTART_BAR_SECONDS)


def _fill(database: Path) -> None:
    """Writes INCIDENTS open incidents of one alert each, all told."""
    engine = create_engine(f"sqlite:///{database}")
    numbers = range(1, INCIDENTS + 1)
    found = [(number, parse(webhook(number, 1, f"Group{number}")).alerts[0]) for number in numbers]
    with engine.begin() as connection:
        connection.execute(insert(tables.incidents), [_incident(number) for number, _ in found])
        connection.execute(insert(tables.alerts), [_alert(number, event) for number, event in found])
        connection.execute(insert(tables.events), [_event(event) for _, event in found])
        connection.execute(insert(tables.outbox), [_notice(number) for number, _ in found])
    engine.dispose()


def _incident(number: int) -> dict[str, object]:
    known = {"id": number, "key": f"Group{number}", "revision": 1, "opened_at": 1.0}
    return {**known, "state": "open", "severity": "warning"}


def _alert(number: int, event: AlertEvent) -> dict[str, object]:
    text = msgspec.json.encode(event).decode()
    occurrence = {"fingerprint": event.fingerprint, "starts_at": event.starts_at, "status": event.status}
    return {**occurrence, "incident_id": number, "event_json": text}


def _event(event: AlertEvent) -> dict[str, object]:
    known = _alert(1, event)
    return {**known, "received_at": 1.0, "ends_at": 0.0, "processed_at": 1.0, "reason": "opened"}


def _notice(number: int) -> dict[str, object]:
    known = {"incident_id": number, "revision": 1, "target": "team", "message_json": "{}", "route": "r"}
    times = {"received_at": 1.0, "planned_at": 1.0, "next_attempt_at": 1.0, "finished_at": 1.0}
    return {**known, **times, "state": "sent", "attempts": 1, "may_repeat": False}


def _refused(ours: Posted, load: Load) -> str:
    return f"{load.posts - ours.acknowledged} of {load.posts:,} refused"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


BENCH = Bench("receiving", "how soon webhooks are acknowledged, and a restart", run)
