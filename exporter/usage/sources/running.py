"""The sources at work: each has a task, which a reload ends, lets go on, or starts."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter.exposition import Family
from exporter.usage.delivery import Format, Hold, Position, Taken
from exporter.usage.logs.reader import LogReader
from exporter.usage.sources.files import counts as file_counts
from exporter.usage.sources.files.piece import WholeLines
from exporter.usage.sources.files.settings import FileSettings
from exporter.usage.sources.files.source import FileSource
from exporter.usage.sources.kafka.metrics import KafkaMetrics
from exporter.usage.sources.kafka.metrics import Source as KafkaProgress
from exporter.usage.sources.kafka.settings import KafkaSettings
from exporter.usage.sources.settings import SourceSettings
from exporter.usage.sources.sql import collecting
from exporter.usage.sources.sql.settings import SqlSettings
from exporter.usage.sources.sql.source import SqlSource
from toolkit.clock import Now
from toolkit.logs import Logger
from toolkit.service import Spawn

Settings = FileSettings | KafkaSettings | SqlSettings


class Counted(Protocol):
    """What sources need of the counting."""

    @property
    def shared(self) -> bool:
        """Whether other exporters count into the same ledger."""
        ...

    async def take(
        self,
        source: str,
        body: bytes | Sequence[bytes],
        form: Format,
        positions: Sequence[Position] = (),
        *,
        log: str = "",
        part: str = "",
        sent: Sequence[float] = (),
    ) -> Taken:
        """See exporter.usage.delivery.Partitioned."""

    async def positions(self, stream: str) -> Mapping[str, str]:
        """See exporter.usage.delivery.Intake."""

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        """See exporter.usage.delivery.Partitioned."""

    def release(self, stream: str) -> None:
        """See exporter.usage.delivery.Partitioned."""

    def reader(self, log: str) -> LogReader:
        """What reads lines as the entry `log` of `usage.logs`."""

    async def forget(self, stream: str, keep: Collection[str], age: float) -> None:
        """See exporter.usage.sources.files.deliveries.Forgetful."""


class Source(Protocol):
    """One source."""

    async def run(self) -> None:
        """Reads until it is cancelled."""


class _ReadAs:
    """The counting for a source whose lines are read as one entry of `usage.logs`, and where its entries end."""

    def __init__(self, counting: Counted, log: str) -> None:
        self._counting, self._log = counting, log

    async def take(
        self,
        source: str,
        body: bytes | Sequence[bytes],
        form: Format,
        positions: Sequence[Position] = (),
        *,
        part: str = "",
        sent: Sequence[float] = (),
    ) -> Taken:
        return await self._counting.take(source, body, form, positions, log=self._log, part=part, sent=sent)

    async def positions(self, stream: str) -> Mapping[str, str]:
        return await self._counting.positions(stream)

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        return await self._counting.hold(stream, parts)

    def release(self, stream: str) -> None:
        self._counting.release(stream)

    def finished(self, chunk: bytes, quiet: float) -> int:
        return self._counting.reader(self._log).finished(chunk, quiet)

    def resumes(self, chunk: bytes) -> int | None:
        return self._counting.reader(self._log).resumes(chunk)


@dataclass(frozen=True)
class _Running:
    settings: Settings
    source: Source
    task: "asyncio.Task[None]"


class RunningSources:
    """Starts and ends sources as the configuration says."""

    def __init__(self, counting: Counted, spawn: Spawn, kafka: KafkaMetrics, now: Now, log: Logger) -> None:
        self._counting, self._spawn, self._kafka, self._now, self._log = counting, spawn, kafka, now, log
        self._running: list[_Running] = []
        self._turns: defaultdict[tuple[object, ...], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def end(self, wanted: SourceSettings) -> None:
        """Ends those that are gone or have changed."""
        every = _every(wanted)
        await self._end([one for one in self._running if one.settings not in every])

    def begin(self, wanted: SourceSettings) -> None:
        """Starts those that are new."""
        going = [one.settings for one in self._running]
        for settings in _every(wanted):
            if settings not in going:
                source = self._made(settings)
                task = self._spawn(source.run(), f"source {settings.name}")
                self._running.append(_Running(settings, source, task))

    async def stop(self) -> None:
        """Ends all of them."""
        await self._end(list(self._running))

    def families(self) -> Iterator[tuple[Family, Iterable[bytes]]]:
        """What sources of files and queries have to show."""
        sources = [one.source for one in self._running]
        yield from file_counts.families([one.counts for one in sources if isinstance(one, FileSource)])
        yield from collecting.families([one for one in sources if isinstance(one, SqlSource)], self._now())

    def kafka(self) -> Iterator[KafkaProgress]:
        """The Kafka sources, for their gauges."""
        for one in self._running:
            if isinstance(one.settings, KafkaSettings):
                yield one.source  # type: ignore[misc]  # mypy can't see it: its library may not be installed

    async def _end(self, ended: Sequence[_Running]) -> None:
        for one in ended:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in ended), return_exceptions=True)
        self._running = [one for one in self._running if one not in ended]

    def _made(self, settings: Settings) -> Source:
        if isinstance(settings, SqlSettings):
            return SqlSource(settings, self._turns, self._now, self._log)
        intake = _ReadAs(self._counting, settings.log)
        if isinstance(settings, FileSettings):
            host = socket.gethostname() if self._counting.shared else ""
            clock = asyncio.get_running_loop().time
            framing = intake if settings.format == "lines" else WholeLines()
            return FileSource(settings, intake, framing, self._counting, clock, self._log, host)
        from exporter.usage.sources.kafka.source import KafkaSource  # noqa: PLC0415 - its library is an extra

        return KafkaSource(settings, intake, self._kafka, self._log)


def _every(wanted: SourceSettings) -> list[Settings]:
    return [*wanted.files, *wanted.kafka, *wanted.sql]
