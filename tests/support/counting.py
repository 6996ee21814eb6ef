"""One usage ledger, and what counts into it as exporters come and go."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import structlog

from exporter.ledger import MIGRATIONS, UsageLedger
from exporter.usage.collector import UsageCollector
from exporter.usage.counting import Counting
from exporter.usage.delivery import Hold
from exporter.usage.settings import Usage
from exporter.usage.tally import Tally
from toolkit.storage import Database, migrate, storage_url

RULES: list[tuple[str, str, dict[str, Any]]] = [
    ("count", "n_total", {"labels": {"plan": {}}}),
    ("sum", "eur_total", {"kind": "sum", "value": "eur"}),
    ("sizes", "size", {"kind": "histogram", "value": "eur", "buckets": [1, 10]}),
    ("last", "last_eur", {"kind": "last", "value": "eur"}),
    ("users", "users", {"kind": "distinct", "identity": "user"}),
    ("paid", "paid_total", {"kind": "ratio", "good": {"plan": "pro"}}),
]
USAGE = Usage.model_validate(
    {
        "rules": [
            {"name": name, "metric": metric, "help": "H.", "event": "buy", "owner": "me", **more}
            for name, metric, more in RULES
        ]
    }
)

STREAM, PART = "kafka:shop", "kafka:shop/0 of 2"


class Told:
    """What the counting tells of itself."""

    def __init__(self) -> None:
        self.events = 0
        self.without_part = Counter[str]()

    def counted(self, tallies: Sequence[Tally]) -> None:
        self.events += sum(tally.events for tally in tallies)

    def unusable(self, rules: Mapping[str, int]) -> None:
        pass

    def unplaced(self, rules: Mapping[str, int]) -> None:
        self.without_part.update(rules)

    def committed(self, deliveries: int, seconds: float) -> None:
        pass


class World:
    """One database, and exporters that come and go."""

    def __init__(self, url: str, exits: AsyncExitStack) -> None:
        self.url, self._exits, self.now = url, exits, 1_700_000_000.0
        self._holds: dict[Counting, Hold] = {}
        self._work: dict[Counting, asyncio.Task[None]] = {}
        migrate(storage_url(url, Path(), ""), MIGRATIONS)

    async def exporter(self, usage: Usage = USAGE) -> Counting:
        """One more, as after a restart."""
        database = Database(storage_url(self.url, Path(), ""))
        self._exits.push_async_callback(database.close)
        one = Counting(UsageLedger(database), Told(), lambda: self.now, structlog.get_logger())
        await one.start()
        one.use(usage)
        self._work[one] = asyncio.create_task(one.run())
        self._exits.push_async_callback(self._stop, one)
        return one

    async def _stop(self, one: Counting) -> None:
        if work := self._work.pop(one, None):
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work  # a defect of the counting fails the test here

    async def end_of(self, one: Counting, *, stopped: bool = False) -> None:
        """Waits for the counting to end, by itself unless it is to be `stopped`. Raises what it ended with."""
        work = self._work.pop(one)
        if stopped:
            work.cancel()
        await work

    async def send(self, one: Counting, *events: str) -> None:
        """JSON events that happen now: over HTTP, or, to a shared ledger, in a part of a stream that is caught up.
        Then a second passes."""
        body = "\n".join(events).encode()
        if not one.shared:
            await one.take("http", body, "ndjson")
        else:
            if one not in self._holds or self._holds[one].lost:
                self._holds[one] = await one.hold(STREAM, [PART])
            self._holds[one].until = {PART: self.now}
            await one.take("shop", body, "ndjson", part=PART)
        self.now += 1


async def shown_text(one: Counting) -> dict[str, float]:
    """Every sample of the operator's metrics."""
    await one.refreshed()
    return written(one)


def written(one: Counting) -> dict[str, float]:
    """Those that this exporter knows of."""
    families = UsageCollector(tuple(one.engine.rules), lambda: one.watching).metrics(one._now())
    lines = [line.split(" ") for _, lines in families for line in b"".join(lines).decode().splitlines()]
    return {name: float(value) for name, value in lines}
