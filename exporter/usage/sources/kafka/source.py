"""A Kafka source: one member of a consumer group, for as long as its task runs."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from exporter.usage.delivery import Partitioned
from exporter.usage.sources.kafka.bridge import Bridge
from exporter.usage.sources.kafka.member import Member
from exporter.usage.sources.kafka.metrics import KafkaMetrics
from exporter.usage.sources.kafka.offsets import Progress
from exporter.usage.sources.kafka.settings import KafkaSettings
from toolkit.logs import Logger


class KafkaSource:
    """Reads the topics of `settings` and hands them to `intake`; the client library has a thread of its own."""

    def __init__(self, settings: KafkaSettings, intake: Partitioned, metrics: KafkaMetrics, log: Logger) -> None:
        self._settings, self._intake, self._metrics = settings, intake, metrics
        self._log = log.bind(source=settings.name)
        self._member: Member | None = None
        metrics.begin(settings.name)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._settings.name

    @property
    def progress(self) -> tuple[Progress, ...]:
        """The partitions that this process reads, and how far."""
        return self._member.progress if self._member else ()

    def is_behind(self, now: float) -> bool:
        """Whether messages older than the setting `behind` are being read, at `now` (seconds since the epoch)."""
        return any(part.is_behind(now, self._settings.behind) for part in self.progress)

    async def run(self) -> None:
        """Reads until it is cancelled, and then leaves the group. Raises only what is a defect."""
        bridge = Bridge(asyncio.get_running_loop())
        self._member = member = Member(self._settings, self._intake, bridge, self._metrics, self._log)
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{self.name}")
        work = asyncio.get_running_loop().run_in_executor(thread, member.run)
        try:
            await asyncio.shield(work)
        finally:
            bridge.stop()
            await work
            thread.shutdown(wait=False)
            self._member = None
