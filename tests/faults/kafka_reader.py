"""A process that reads Kafka into a `Tally`: python -m tests.faults.kafka_reader SETTINGS TALLY PORT

SETTINGS is a JSON file of `KafkaSettings`. It answers /-/ready once it has partitions.
"""

import asyncio
import sys
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from exporter.usage.sources.kafka.metrics import KafkaMetrics
from exporter.usage.sources.kafka.settings import KafkaSettings
from exporter.usage.sources.kafka.source import KafkaSource
from tests.support.tally import Tally
from toolkit.logs import configure


async def main(settings: KafkaSettings, tally: Path, port: int) -> None:
    source = KafkaSource(
        settings,
        Tally(tally),
        KafkaMetrics(CollectorRegistry()),
        configure("info", "logfmt"),
    )

    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=200 if source.progress else 503)

    app = web.Application()
    app.router.add_get("/-/ready", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await source.run()


if __name__ == "__main__":
    asyncio.run(
        main(KafkaSettings.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), int(sys.argv[3]))
    )
