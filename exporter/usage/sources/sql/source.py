"""Asks one database its queries, round after round, and keeps what it answered last."""

import asyncio
from collections import Counter
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from exporter.exposition import series
from exporter.usage.sources.sql.address import Address, address
from exporter.usage.sources.sql.databases import read
from exporter.usage.sources.sql.rows import REASONS, QueryFailed, Reason, values
from exporter.usage.sources.sql.settings import SqlMetric, SqlSettings
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.redaction import quoted
from toolkit.secretfile import SecretUnreadable

Turns = MutableMapping[tuple[object, ...], asyncio.Lock]
"""Whose turn it is at each database, shared by all sources: `defaultdict(asyncio.Lock)`."""


@dataclass
class Reading:
    """What is known of one metric. Times are seconds since the epoch, 0 for never; `seconds` is how long the last query
    took."""

    metric: SqlMetric
    samples: dict[bytes, float] = field(default_factory=dict)
    succeeded_at: float = 0.0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))
    failing: Reason | None = None


class SqlSource:
    """One source of queries, running. `readings` hold what it found, one for each metric in the settings' order."""

    def __init__(self, settings: SqlSettings, turns: Turns, now: Now, log: Logger) -> None:
        self.settings = settings
        self.readings = [Reading(metric) for metric in settings.metrics]
        self._turns, self._now, self._log = turns, now, log.bind(source=settings.name)

    async def run(self) -> None:
        """Asks every `every` seconds until it is cancelled. A round that takes longer delays the next."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + self.settings.every
            await self.ask()
            await asyncio.sleep(max(due - clock(), 0))

    async def ask(self) -> None:
        """Asks every query once, one after another; where the database can't be reached, the rest isn't asked."""
        for place, reading in enumerate(self.readings):
            try:
                await self._ask(reading)
            except QueryFailed as error:
                also = self.readings[place + 1 :] if error.reason == "unreachable" else []
                for one in [reading, *also]:
                    self._failed(one, error)
                if also:
                    return

    async def _ask(self, reading: Reading) -> None:
        metric, clock = reading.metric, asyncio.get_running_loop().time
        database = self._address()
        async with self._turns[database.place]:
            begin = clock()
            try:
                rows = await read(database, metric.query, metric.max_series + 1, self.settings.timeout)
            finally:
                reading.seconds = clock() - begin
        found = values(metric, rows)
        reading.samples = {
            series(metric.metric, dict(zip(metric.labels, labels, strict=True))): value
            for labels, value in found.items()
        }
        reading.succeeded_at, reading.failing = self._now(), None

    def _address(self) -> Address:
        """Read each time, so that a replaced file is in force at once."""
        try:
            return address(self.settings.url_file.read())
        except (ValueError, SecretUnreadable) as error:
            raise QueryFailed("unreachable", str(error)) from None

    def _failed(self, reading: Reading, error: QueryFailed) -> None:
        """Counts it; a reason is told once, until another takes its place."""
        reading.errors[error.reason] += 1
        if reading.failing != error.reason:
            reading.failing = error.reason
            detail = quoted(error.detail.partition("\n")[0], self._secrets())
            self._log.error("query failed", metric=reading.metric.metric, reason=error.reason, detail=detail)

    def _secrets(self) -> list[str]:
        try:
            url = self._address().url
        except QueryFailed:
            return []
        return [str(url.password)] if url.password else []
