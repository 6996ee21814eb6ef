"""Receivers as an operator runs them, any number on one database, and what that database says in the end."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from receiver.delivery.outbox import UNFINISHED
from receiver.store.tables import events, outbox
from tests.support.ports import free_ports
from tests.support.processes import Process
from tests.support.sink import Channel
from toolkit.storage import Database

NO_STORM = 10_000
"""So many new incidents in a minute would be put together as one."""
NO_LIMIT = "1000/s"


def sqlite(folder: Path) -> str:
    """The URL of a database file in `folder`."""
    return f"sqlite:///{folder / 'receiver.db'}"


def configuration(channels: Iterable[Channel], **of_each: Any) -> dict[str, Any]:
    """A `receiver.yml` with every channel as a target; `of_each` has what all targets are given besides."""
    targets = [{"name": channel.name, "url": channel.url, "rate": NO_LIMIT, **of_each} for channel in channels]
    return {"storm": {"incidents": NO_STORM}, "targets": targets}


def receivers(
    count: int, config: Mapping[str, Any], storage: str, folder: Path, session: aiohttp.ClientSession
) -> list[Process]:
    """`tocsin-receiver run`, `count` times on the database at the URL `storage`."""
    file = folder / "receiver.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    return [_receiver(number, file, storage, folder, session) for number in range(1, count + 1)]


def _receiver(number: int, config: Path, storage: str, folder: Path, session: aiohttp.ClientSession) -> Process:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    argv = [
        *(sys.executable, "-m", "receiver", "run"),
        f"--config.file={config}",
        f"--storage.path={folder}",
        f"--storage.url={storage}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    return Process(f"receiver-{number}", argv, url, folder, session)


@dataclass(frozen=True)
class Row:
    """One message in the outbox."""

    alert: str
    status: str
    target: str
    state: str
    may_repeat: bool
    attempts: int = 1


@dataclass(frozen=True)
class Records:
    """What the receivers have put down: their messages, and how many events they have still to work on."""

    rows: tuple[Row, ...]
    unprocessed: int

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self.unprocessed and not any(row.state in UNFINISHED for row in self.rows)


async def records(storage: str) -> Records:
    """Reads the database at the URL `storage`, which the receivers may be using."""
    database = Database(make_url(storage))
    columns = (outbox.c.message_json, outbox.c.target, outbox.c.state, outbox.c.may_repeat, outbox.c.attempts)
    waiting = select(func.count()).select_from(events).where(events.c.processed_at.is_(None))
    try:
        async with database.read() as connection:
            rows = (await connection.execute(select(*columns).order_by(outbox.c.id))).all()
            unprocessed = (await connection.execute(waiting)).scalar_one()
    finally:
        await database.close()
    return Records(tuple(_row(*row) for row in rows), unprocessed)


def _row(message: str, target: str, state: str, may_repeat: bool, attempts: int) -> Row:
    told = json.loads(message)
    return Row(told["summary"], told["status"], target, state, may_repeat, attempts)
