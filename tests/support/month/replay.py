"""The month replayed through the receiver's pipeline and outbox, on a clock that leaps from event to event."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from receiver.delivery.digest import as_one
from receiver.delivery.outbox import Claimed, Next, Receipt
from receiver.message import Message
from receiver.metrics import ReceiverMetrics
from receiver.pipeline import Pipeline, Settings
from receiver.settings import ReceiverConfig
from receiver.stages.deliver import Deliverer
from receiver.store import MIGRATIONS, Store
from receiver.store.tables import incidents, outbox
from tests.support.month.generator import NEEDS, TEAMS, Alert
from toolkit.clock import format_utc
from toolkit.service import Background
from toolkit.storage import Database, migrate, storage_url

PEOPLE = {"ana": "shop", "bo": "shop", "cy": "money", "di": "money", "eve": "platform", "flo": "platform"}
ZONES = {"shop": "Europe/Lisbon", "money": "America/New_York", "platform": "Europe/Berlin"}
NIGHT = {"from": "20:00", "to": "08:00"}
WEEKEND = {"from": "00:00", "to": "00:00", "days": ["saturday", "sunday"]}
LOG = structlog.wrap_logger(None, processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])


def targets(severity: str, team: str) -> list[str]:
    """Who is told of an alert: the team's people, of what is critical on their phones, and the team's room."""
    device = "phone" if severity == "critical" else "chat"
    return [*(f"{name}-{device}" for name, whose in PEOPLE.items() if whose == team), f"{team}-room"]


def config() -> ReceiverConfig:
    """The receiver's configuration: quiet hours for people, digests for their chats, a room that hears at once."""
    every = [f"{name}-{device}" for name in PEOPLE for device in ("phone", "chat")] + [f"{team}-room" for team in TEAMS]
    severities = ("info", "warning", "critical")
    people = {
        name: {
            "timezone": ZONES[team],
            "contacts": {"critical": [f"{name}-phone"], "default": [f"{name}-chat"]},
            "quiet_hours": [NIGHT, WEEKEND],
        }
        for name, team in PEOPLE.items()
    }
    chats = [f"{name}-chat" for name in PEOPLE]
    digests = {
        "daily": {"every": "day", "at": "09:00", "targets": chats, "severities": ["info"]},
        "hourly": {"every": "hour", "at": "00:00", "targets": chats, "severities": ["warning"]},
    }
    return ReceiverConfig.model_validate(
        {
            "services": {name: {"depends_on": needs} for name, needs in NEEDS.items()},
            "targets": [{"name": name, "url": "json://x"} for name in every],
            "routes": [
                *(
                    {"match": {"team": team, "severity": severity}, "targets": targets(severity, team)}
                    for team in TEAMS
                    for severity in severities
                ),
                {"targets": []},
            ],
            "people": people,
            "digests": digests,
        }
    )


@dataclass(frozen=True)
class Told:
    """A message that was sent, to whom, when, and the rows of the outbox that it was sent for."""

    at: float
    target: str
    message: Message
    rows: tuple[Claimed, ...]

    @property
    def incidents(self) -> set[int]:
        """The incidents that a reader finds in it."""
        if not self.message.digest:
            return {self.message.incident}
        return {int(found[1]) for line in self.message.digest if (found := re.search(r"#(\d+) ", line))}


@dataclass
class Month:
    """What was told, the incidents there were (each with the one that it is part of, if any), and since when what is
    critical was known: (incident, target) -> seconds since the epoch."""

    told: list[Told] = field(default_factory=list)
    incidents: dict[int, int | None] = field(default_factory=dict)
    critical: dict[tuple[int, str], float] = field(default_factory=dict)

    @property
    def lost(self) -> list[int]:
        """The incidents that no sent message tells of, nor of what they are part of."""
        seen = {incident for one in self.told for incident in one.incidents}
        return [one for one, whole in self.incidents.items() if one not in seen and whole not in seen]

    @property
    def delayed(self) -> list[tuple[int, str]]:
        """What was critical and not told to a target in the second in which it was known."""
        first: dict[tuple[int, str], float] = {}
        for one in self.told:
            for row in one.rows:
                if row.message.severity == "critical" and row.message.status == "firing":
                    first.setdefault((row.incident, row.target), one.at)
        return [key for key, known in self.critical.items() if first.get(key) != known]


async def replay(alerts: Sequence[Alert], config_: ReceiverConfig, folder: Path) -> Month:
    """What the receiver makes of the month, on a fresh database in `folder`."""
    async with AsyncExitStack() as stack:
        url = storage_url(None, folder, "receiver.db")
        migrate(url, MIGRATIONS)
        database = Database(url)
        stack.push_async_callback(database.close)
        return await _Replay(database, config_).run(alerts)


class _Replay:
    def __init__(self, database: Database, config_: ReceiverConfig) -> None:
        self._database, self._store, self._now, self._month = database, Store(database), 0.0, Month()
        self._seen = 0
        metrics, spawn = ReceiverMetrics(CollectorRegistry()), Background().spawn
        deliverer = Deliverer(self._store.outbox, _no_sink, spawn, metrics, self._clock, LOG)
        settings = Settings(config_, {}, "http://receiver")
        self._pipeline = Pipeline(
            self._store, deliverer, settings, lambda _: None, lambda _: None, spawn, metrics, self._clock, LOG
        )

    def _clock(self) -> float:
        return self._now

    async def run(self, alerts: Sequence[Alert]) -> Month:
        for at, body in _webhooks(alerts):
            await self._until(at)
            self._now = at
            await self._pipeline.accept(body)
            await self._pipeline.process()
            await self._note_critical()
            await self._deliver()
        await self._until(float("inf"))
        async with self._database.read() as connection:
            rows = await connection.execute(select(incidents.c.id, incidents.c.merged_into))
            self._month.incidents = {id_: whole for id_, whole in rows}  # noqa: C416 - rows are no pairs
        return self._month

    async def _until(self, at: float) -> None:
        """Tells what is due before `at`, each thing at its time."""
        while (due := await self._next_due()) is not None and due < at:
            self._now = max(self._now, due)
            await self._deliver()

    async def _next_due(self) -> float | None:
        return min((await self._due()).values(), default=None)

    async def _due(self) -> dict[str, float]:
        """When the next message of each target is due."""
        waits = select(outbox.c.target, func.min(outbox.c.next_attempt_at)).where(outbox.c.finished_at.is_(None))
        async with self._database.read() as connection:
            return {target: at for target, at in await connection.execute(waits.group_by(outbox.c.target))}  # noqa: C416 - rows are no pairs

    async def _deliver(self) -> None:
        for target in [target for target, due in (await self._due()).items() if due <= self._now]:
            while rows := await self._claim(target):
                self._month.told.append(Told(self._now, target, as_one(rows).message, tuple(rows)))
                sent = Receipt("sent", ""), Next("sent", None)
                await self._store.outbox.finish_all(rows, *sent, self._now, self._now)

    async def _claim(self, target: str) -> list[Claimed]:
        row = await self._store.outbox.claim(target, "replay", self._now)
        return [row] if row is not None else await self._store.outbox.claim_digest(target, "replay", self._now)

    async def _note_critical(self) -> None:
        """Since when each target should know of what is critical."""
        new = select(outbox).where(outbox.c.id > self._seen).order_by(outbox.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(new)).mappings().all()
        for row in rows:
            self._seen = row["id"]
            if row["status"] == "firing" and json.loads(row["message_json"])["severity"] == "critical":
                self._month.critical.setdefault((row["incident_id"], row["target"]), row["planned_at"])


def _no_sink(_: object) -> Any:
    raise AssertionError("no target is followed: the replay sends")


def _webhooks(alerts: Iterable[Alert]) -> Iterator[tuple[float, bytes]]:
    """(when, body): a webhook for each alert that begins, and one for each that ends."""
    moments = [(one.starts, "firing", one) for one in alerts] + [(one.ends, "resolved", one) for one in alerts]
    for at, status, one in sorted(moments, key=lambda moment: (moment[0], moment[1], moment[2].fingerprint)):
        ends = format_utc(one.ends, "%Y-%m-%dT%H:%M:%SZ") if status == "resolved" else "0001-01-01T00:00:00Z"
        alert = {
            "status": status,
            "labels": one.labels,
            "annotations": {"summary": f"{one.name} on {one.instance}"},
            "startsAt": format_utc(one.starts, "%Y-%m-%dT%H:%M:%SZ"),
            "endsAt": ends,
            "fingerprint": one.fingerprint,
        }
        yield at, json.dumps({"version": "4", "externalURL": "http://am", "alerts": [alert]}).encode()
