"""A sink that is down for an hour, with the receiver in this process and a clock that runs faster than ours."""

import dataclasses
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import make_url

from receiver.app import Receiver
from receiver.metrics import ReceiverMetrics
from receiver.notifiers.apprise import install_recorder
from receiver.store import MIGRATIONS, Store
from tests.faults.verdict import judge
from tests.support.alertmanagers import Alert, webhook
from tests.support.processes import until
from tests.support.receivers import configuration, records, sqlite
from tests.support.sink import DOWN, OK, Channel, listening
from toolkit.cli import Options
from toolkit.clock import Now
from toolkit.httpserver import Listen, WebConfig
from toolkit.service import Background
from toolkit.storage import Database, migrate

HASTE = 120.0
"""How many seconds pass in one of ours: an hour in half a minute."""
HOUR = 3600.0
EPOCH = 1_790_000_000.0
TRIES = 5
HEALED_SECONDS = 150.0
"""A target that failed for so long is left alone for a while, in our time."""


async def test_a_sink_that_is_down_for_an_hour_is_told_everything_when_it_is_back(tmp_path: Path) -> None:
    channel, began = Channel("inbox", DOWN), time.monotonic()
    alerts = [Alert(f"alert-{number}", EPOCH + number) for number in range(3)]

    def now() -> float:
        return EPOCH + (time.monotonic() - began) * HASTE

    async with listening([channel]), in_this_process(tmp_path, configuration([channel]), now) as receiver:
        await receiver.pipeline.accept(webhook(alerts))
        await until(lambda: now() > EPOCH + HOUR / 2, "half an hour has passed")
        await receiver.pipeline.accept(webhook([dataclasses.replace(alerts[0], ends_at=now())]))
        await until(lambda: now() > EPOCH + HOUR, "an hour has passed")
        before = (await records(sqlite(tmp_path))).rows
        assert sum(row.attempts for row in before) >= TRIES
        assert channel.told == []
        await channel.behave(OK)

        async def idle() -> bool:
            return (await records(sqlite(tmp_path))).idle

        await until(idle, "everything is told", seconds=HEALED_SECONDS)
        expected = [*((alert.name, "firing") for alert in alerts), (alerts[0].name, "resolved")]
        assert judge(expected, channel.told, (await records(sqlite(tmp_path))).rows).faults == ""


@asynccontextmanager
async def in_this_process(folder: Path, config: Mapping[str, Any], now: Now) -> AsyncIterator[Receiver]:
    """A receiver whose clock is the test's, without its web server."""
    install_recorder()
    file, url = folder / "receiver.yml", make_url(sqlite(folder))
    file.write_text(json.dumps(config))
    migrate(url, MIGRATIONS)
    options = Options(file, Listen("127.0.0.1", 0), WebConfig(), "http://receiver", False, url, "info", "logfmt")
    metrics = ReceiverMetrics(CollectorRegistry())
    async with AsyncExitStack() as exits:
        database = Database(url)
        exits.push_async_callback(database.close)
        session = await exits.enter_async_context(aiohttp.ClientSession())
        background = Background()
        exits.push_async_callback(background.close)
        receiver = Receiver(options, Store(database), session, background.spawn, metrics, now, structlog.get_logger())
        exits.push_async_callback(receiver.stop)
        await receiver.start()
        background.spawn(receiver.pipeline.run(), "pipeline")
        yield receiver
