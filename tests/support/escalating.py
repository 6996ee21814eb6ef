"""A receiver without its web server, on a driven clock, whose sinks are the test's: for timelines of escalations."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry

from receiver.alerts import AlertEvent, Status
from receiver.delivery.outbox import Claimed, Receipt, after
from receiver.desk import Desk
from receiver.incidents import Incident
from receiver.message import Message
from receiver.metrics import ReceiverMetrics
from receiver.pipeline import Pipeline, Settings
from receiver.settings import ReceiverConfig, Target
from receiver.stages.deliver import Deliverer
from receiver.stages.enrich import Enrichment
from receiver.stages.escalate import Escalator, Means
from receiver.store import Store
from toolkit.service import Background
from toolkit.storage import Database, storage_url

EVENING = 1_795_212_000.0
"""2026-11-20 22:00 UTC, a Friday: outside the hours of the layer `office`."""
KEY = b"k" * 32

Outcome = Literal["ok", "refuses", "is down"]
RECEIPTS: Mapping[Outcome, Receipt] = {
    "ok": Receipt("sent", "", 200),
    "refuses": Receipt("failed", "no such user", 404),
    "is down": Receipt("failed", "", 503),
}
TARGETS = ("chat", "pager", "ana-phone", "bo-phone", "cy-phone")
CONFIG: dict[str, Any] = {
    "correlation": {"labels": ["team"]},
    "targets": [{"name": name, "url": f"json://localhost/{name}"} for name in TARGETS],
    "routes": [
        {"match": {"team": "platform"}, "targets": ["chat", "pager"], "escalation": "standard"},
        {"match": {"team": "night"}, "targets": ["chat"], "escalation": "by_rota"},
        {"targets": ["chat"]},
    ],
    "people": {
        name: {"name": f"{name} Lima", "contacts": {"default": [f"{name}-phone"]}} for name in ("ana", "bo", "cy")
    },
    "teams": {"shop": {"members": ["cy"], "escalation": "by_rota"}},
    "rotas": {
        "platform": {
            "layers": [
                {
                    "name": "office",
                    "people": ["ana"],
                    "starts": "2026-01-05",
                    "handover": {"every": "week", "at": "09:00"},
                    "hours": [{"from": "09:00", "to": "17:00"}],
                }
            ]
        }
    },
    "escalations": {
        "standard": {
            "steps": [
                {"notify": ["person/ana"], "wait": "5m"},
                {"notify": ["person/bo"], "wait": "10m"},
                {"notify": ["person/cy"], "wait": "10m"},
            ],
            "repeat": 1,
            "reminder": "1h",
        },
        "by_rota": {
            "steps": [{"notify": ["rota/platform"], "wait": "5m"}, {"notify": ["person/bo"], "wait": "5m"}],
        },
    },
}


def config(**changes: Any) -> ReceiverConfig:
    return ReceiverConfig.model_validate({**CONFIG, **changes})


def alert(status: Status = "firing", name: str = "Down", at: float = EVENING, **labels: str) -> AlertEvent:
    found = {"alertname": name, "severity": "critical", "team": "platform", **labels}
    ends = None if status == "firing" else at + 1
    return AlertEvent(name, status, at, ends, found, {"summary": f"{name} it is"}, "")


@dataclass
class Time:
    """What truly passed since EVENING, and by how much the receiver's clock is wrong, in seconds."""

    passed: float = 0.0
    leap: float = 0.0

    def __call__(self) -> float:
        return EVENING + self.passed + self.leap


@dataclass
class Sinks:
    """What each target does with a message, and what arrived: (seconds since EVENING, target, message)."""

    time: Time
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    arrived: list[tuple[float, str, Message]] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        """`["0:00 ana-phone opened", ...]`, in minutes and seconds."""
        return [f"{int(at // 60)}:{int(at % 60):02d} {target} {message.reason}" for at, target, message in self.arrived]


class Replica:
    """One process's parts, on a database."""

    def __init__(
        self, url: str, folder: Any, config: ReceiverConfig, time: Time, sinks: Sinks, metrics: ReceiverMetrics
    ) -> None:
        self._database, self._background = Database(storage_url(url, folder, "")), Background()
        self.store, self.config, self.time, self.sinks = Store(self._database), config, time, sinks
        log = structlog.get_logger()
        deliverer = Deliverer(self.store.outbox, _no_sink, self._background.spawn, metrics, time, log)
        settings = Settings(config, {}, "http://receiver", KEY)
        self.pipeline = Pipeline(
            self.store, deliverer, settings, lambda _: None, lambda _: None, self._background.spawn, metrics, time, log
        )
        means = Means(config, "http://receiver", settings.signer.incident_url)
        self.escalator = Escalator(self.store, lambda: means, self._enrich, deliverer.wake, metrics, time, log)
        self.desk = Desk(self.store, lambda: means, list, _shows, deliverer.wake, time, log)
        self.meanwhile: Callable[[], Any] | None = None
        """Done once, while an escalation asks for the facts of a message."""
        self._chance = random.Random(7)

    async def _enrich(self, _: Incident) -> Enrichment:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return Enrichment()

    async def hear(self, *events: AlertEvent) -> None:
        await self.pipeline.take(events)
        assert not await self.pipeline.process()

    async def deliver(self) -> None:
        """Sends what is due. As a receiver does it, which asks again where another one was choosing at that moment."""
        for target in TARGETS:
            while (due := await self.store.outbox.next_due(target)) is not None and due <= self.time():
                row = await self.store.outbox.claim(target, "me", self.time())
                if row is not None:
                    await self._send(target, row)

    async def _send(self, target: str, row: Claimed) -> None:
        outcome = self.sinks.outcomes.get(target, "ok")
        if outcome == "ok":
            self.sinks.arrived.append((self.time.passed, target, row.message))
        following = after(row, RECEIPTS[outcome], self.time(), self._chance)
        await self.store.outbox.finish(row, RECEIPTS[outcome], following, self.time(), self.time())

    async def tick(self) -> None:
        await self.pipeline.process()
        await self.escalator.look()
        await self.deliver()

    async def close(self) -> None:
        await self._background.close()
        await self._database.close()


def _shows(target: Target) -> bool:
    return target.name == "pager"


def _no_sink(_: object) -> Any:
    raise AssertionError("no target is followed: the test sends")


def new_metrics() -> ReceiverMetrics:
    return ReceiverMetrics(CollectorRegistry())
