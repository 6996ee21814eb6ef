"""How many events of keys a second the rules of sequences take, with few and with many keys, and what a key costs.

The baseline decodes the same events with `json` and keeps the last of each key in a dict: what a script would do that
decides nothing. Both run by turns in the same process. Ours decides, and makes the rows that would be stored.
"""

import asyncio
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.usage.sequences import Sequences, rule_of
from exporter.usage.sequences.settings import ExpectSettings
from tests.bench.figure import Bench, Figure

START = 1_790_000_000.0
EVENTS_A_SECOND = 500
"""Of the events' own time: even few keys are settled before their turn comes again, so each event is worked on twice."""
BATCH = 1000
BATCHES = 20
ROUNDS = 5
FEW, MANY = 10_000, 1_000_000
WEIGHED = 200_000
BAR_BYTES = 250
FLAT_BAR = 0.5
"""Of the rate with few keys. A key that was not touched for long is in no cache of the processor, the baseline's
neither."""
Sighting = tuple[str, str, str, tuple[str, ...], float]


@dataclass
class Contest:
    """One rule that remembers so many keys, a dict that does, and how far each has come."""

    names: Sequence[str]
    machine: Sequences
    dict: dict[str, object]
    fed: int = 0

    def batch(self) -> list[Sighting]:
        """The next events: every key in its turn, jumping, first the one event and then the other."""
        found: list[Sighting] = []
        for number in range(self.fed, self.fed + BATCH):
            turn, place = divmod(number, len(self.names))
            key = self.names[place * 7919 % len(self.names)]
            found.append(("paid", ("paid", "placed")[turn % 2], key, ("pro",), START + 60 + number / EVENTS_A_SECOND))
        self.fed += BATCH
        return found


def rule(most: int) -> Sequences:
    settings = {"name": "paid", "key": "order", "metric": "paid_total", "help": "Paid.", "owner": "shop"}
    sentence = {"after": "placed", "expect": "paid", "within": "10m", "labels": {"plan": ["pro", "free"]}}
    return Sequences([rule_of(ExpectSettings.model_validate({**settings, **sentence, "max_keys": most}))])


def stored(machine: Sequences) -> None:
    machine.changes()
    machine.committed()


def filled(names: Sequence[str]) -> Sequences:
    """The rule, waiting for every key."""
    machine = rule(2 * len(names))
    for first in range(0, len(names), BATCH):
        machine.feed([("paid", "placed", key, ("pro",), START) for key in names[first : first + BATCH]], START)
        stored(machine)
    machine.tick(START + 59)
    while machine.is_behind():
        machine.tick(START + 59)
    stored(machine)
    return machine


def contest(keys: int) -> Contest:
    names = [f"order-{number:08d}" for number in range(keys)]
    return Contest(names, filled(names), dict.fromkeys(names))


def line(sighting: Sighting) -> bytes:
    _, event, key, (plan,), at = sighting
    fields = {"event": event, "order": key, "plan": plan, "region": "eu-west-1", "time": at, "duration": 0.0371}
    return json.dumps(
        {**fields, "session": "c0ffee00c0ffee00", "path": "/checkout/done", "build": "2026.11.21"}
    ).encode()


def ours(machine: Sequences, batches: Iterable[list[Sighting]]) -> float:
    begin = time.process_time()
    for batch in batches:
        machine.feed(batch, batch[-1][-1])
        stored(machine)
    return time.process_time() - begin


def theirs(last: dict[str, object], batches: Iterable[list[bytes]]) -> float:
    begin = time.process_time()
    for batch in batches:
        for body in batch:
            event = json.loads(body)
            last[event["order"]] = event["event"]
    return time.process_time() - begin


def compared(one: Contest) -> tuple[float, float]:
    """Medians of rounds by turns: our events a second, and the baseline's."""
    rates = []
    for _ in range(ROUNDS):
        batches = [one.batch() for _ in range(BATCHES)]
        bodies = [list(map(line, batch)) for batch in batches]
        # what the benchmark itself holds is not searched for garbage
        gc.collect()
        gc.freeze()
        took, baseline = ours(one.machine, batches), theirs(one.dict, bodies)
        gc.unfreeze()
        rates.append((BATCH * BATCHES / took, BATCH * BATCHES / baseline))
    return statistics.median(rate for rate, _ in rates), statistics.median(rate for _, rate in rates)


def weighed() -> float:
    """Bytes for each key that waits, without the key itself."""
    names = [f"order-{number:08d}" for number in range(WEIGHED)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        machine = filled(names)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / machine.sizes()["paid"]
    finally:
        tracemalloc.stop()


def measured() -> list[Figure]:
    found, rates = [], []
    for keys in (FEW, MANY):
        rate, baseline = compared(contest(keys))
        rates.append(rate)
        text = f"{rate:,.0f} events/s, {baseline:,.0f} for the baseline"
        found.append(Figure(f"events of {keys:,} keys", rate / baseline, "json and a dict", text))
    flat = rates[1] / rates[0]
    text = f"{rates[1]:,.0f} events/s against {rates[0]:,.0f}; bar {FLAT_BAR:g}"
    found.append(Figure(f"{MANY:,} keys", flat, f"{FEW:,} keys", text, flat < FLAT_BAR))
    bytes_of_key = weighed()
    text = f"{bytes_of_key:.0f} bytes for each key that waits; bar {BAR_BYTES}"
    return [*found, Figure("memory of a key", None, "-", text, bytes_of_key > BAR_BYTES)]


async def run(_: Path) -> Sequence[Figure]:
    """Few keys, many keys, and the memory of one."""
    return await asyncio.to_thread(measured)


BENCH = Bench("sequences", "events a second under rules about each key, against json and a dict", run)
