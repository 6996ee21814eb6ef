"""Both services built in this process, on a real database, with real HTTP around them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, disable_created_metrics

from exporter import app as exporter_app
from exporter.ledger import MIGRATIONS as LEDGER
from exporter.ledger import Ledger, UsageLedger
from exporter.metrics import ExporterMetrics
from exporter.providers.transport import Sessions
from exporter.usage.counting import Counting
from exporter.usage.sources.http import EventEndpoints
from exporter.web import Endpoints as ExporterEndpoints
from receiver import app as receiver_app
from receiver.changes.web import ChangeEndpoints
from receiver.delivery.web import OutboxEndpoints
from receiver.desk.pages import LinkPages
from receiver.desk.web import DeskEndpoints
from receiver.drills.web import DrillEndpoints
from receiver.metrics import ReceiverMetrics
from receiver.notifiers.apprise import install_recorder
from receiver.oncall.web import RotaEndpoints
from receiver.store import MIGRATIONS as STORE
from receiver.store import Store
from receiver.web import Endpoints
from tests.support import postgres as postgresql
from tests.support.counting import World
from toolkit.cli import Options
from toolkit.httpserver import Listen, WebConfig, application
from toolkit.service import Background
from toolkit.storage import Database, migrate, storage_url

TOKEN = "a-token-for-tests"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
Client = TestClient[aiohttp.web.Request, aiohttp.web.Application]
StartExporter = Callable[[str], Awaitable[tuple[Client, exporter_app.Exporter]]]
StartReceiver = Callable[[str], Awaitable[tuple[Client, receiver_app.Receiver]]]


@pytest.fixture(autouse=True, scope="session")
def as_the_commands_do() -> None:
    """What `run` sets for the whole process."""
    disable_created_metrics()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of this test worker's own."""
    with postgresql.running() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: postgresql.Server) -> Iterator[str]:
    """The URL of a fresh database on PostgreSQL."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'x.db'}"
    url: str = request.getfixturevalue("postgres")
    return url


async def sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a statement returns, run beside whoever uses the database."""
    database = Database(storage_url(url, Path(), ""))
    try:
        async with database.write() as connection:
            result = await connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await database.close()


@pytest.fixture
async def world(any_database: str) -> AsyncIterator[World]:
    """A usage ledger on each kind of database."""
    async with AsyncExitStack() as exits:
        yield World(any_database, exits)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder with a token in it."""
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    """Releases at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start_exporter(folder: Path, exits: AsyncExitStack) -> StartExporter:
    """Starts an exporter with the given exporter.yml."""

    async def start(config: str) -> tuple[Client, exporter_app.Exporter]:
        file = folder / "exporter.yml"
        file.write_text(config)
        url = storage_url(None, folder / "data", "exporter.db")
        migrate(url, LEDGER)
        database = Database(url)
        exits.push_async_callback(database.close)
        sessions = Sessions()
        exits.push_async_callback(sessions.close)
        background = Background()
        exits.push_async_callback(background.close)
        metrics = ExporterMetrics(CollectorRegistry())
        log = structlog.get_logger()
        options = Options(file, Listen("127.0.0.1", 0), WebConfig(), "http://exporter", False, url, "info", "logfmt")
        counting = Counting(UsageLedger(database), metrics, lambda: 1000.0, log)
        exporter = exporter_app.Exporter(
            options, Ledger(database), counting, sessions, background.spawn, metrics, lambda: 1000.0, log
        )
        exits.push_async_callback(exporter.stop)
        await exporter.start()
        app = application(exporter.probes, metrics)
        background.spawn(counting.run(), "count")
        app.add_routes(ExporterEndpoints(exporter, metrics, "http://exporter").routes())
        app.add_routes(EventEndpoints(counting, lambda: exporter.doorman).routes())
        return await exits.enter_async_context(TestClient(TestServer(app))), exporter

    return start


@dataclass
class Clock:
    """What a receiver under test takes for the time, in seconds since the epoch."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    """Stands still until a test moves it."""
    return Clock()


@pytest.fixture
def start_receiver(folder: Path, exits: AsyncExitStack, clock: Clock, any_database: str) -> StartReceiver:
    """Starts a receiver with the given receiver.yml; its pipeline is driven by the test (`pipeline.process`).

    Each test runs on SQLite and on PostgreSQL.
    """
    install_recorder()

    async def start(config: str) -> tuple[Client, receiver_app.Receiver]:
        file = folder / "receiver.yml"
        file.write_text(config)
        url = storage_url(any_database, folder, "")
        migrate(url, STORE)
        database = Database(url)
        exits.push_async_callback(database.close)
        session = await exits.enter_async_context(aiohttp.ClientSession())
        background = Background()
        exits.push_async_callback(background.close)
        metrics = ReceiverMetrics(CollectorRegistry())
        options = Options(file, Listen("127.0.0.1", 0), WebConfig(), "http://receiver", False, url, "info", "logfmt")
        receiver = receiver_app.Receiver(
            options, Store(database), session, background.spawn, metrics, clock, structlog.get_logger()
        )
        exits.push_async_callback(receiver.stop)
        await receiver.start()
        app = application(receiver.probes, metrics)
        app.add_routes(Endpoints(receiver, metrics, clock).routes())
        app.add_routes(DeskEndpoints(receiver).routes())
        app.add_routes(LinkPages(receiver, clock).routes())
        app.add_routes(DrillEndpoints(receiver.driller).routes())
        app.add_routes(OutboxEndpoints(receiver, clock).routes())
        app.add_routes(RotaEndpoints(receiver, clock).routes())
        app.add_routes(ChangeEndpoints(receiver, receiver.probes.authenticator, metrics, clock).routes())
        app.add_routes(receiver.presses.routes())
        return await exits.enter_async_context(TestClient(TestServer(app))), receiver

    return start
