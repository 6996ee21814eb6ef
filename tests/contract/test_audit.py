"""The audit on a real database: what is well is left alone, and each thing that can stand still is found."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog
from sqlalchemy import URL

from receiver.app import Receiver
from receiver.store import AuditStore
from receiver.upkeep.audit import Finding
from receiver.upkeep.auditor import Auditor
from tests.contract.conftest import Client, StartReceiver, sql
from tests.contract.test_receiver import NO_TARGET, NOW, Sink, alert, config, metric, post, settle, sink  # noqa: F401 - sink is a fixture
from toolkit.storage import Database


class Clock:
    """A steady clock that the test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class Looking:
    """A receiver's auditor with a clock of ours."""

    def __init__(self, receiver: Receiver, url: str) -> None:
        self.clock, self.url = Clock(), url
        log = structlog.get_logger()
        self.auditor = Auditor(receiver.store.audit, lambda: ["inbox"], receiver.metrics, lambda: NOW, log, self.clock)

    async def for_minutes(self, minutes: int) -> dict[Finding, int]:
        for _ in range(minutes + 1):
            await self.auditor.look()
            self.clock.at += 60
        return dict(self.auditor.findings)

    async def change(self, statement: str) -> None:
        assert await sql(self.url, f"{statement} returning 1"), "nothing was changed"


@pytest.fixture
async def told(start_receiver: StartReceiver, sink: Sink, any_database: str) -> tuple[Client, Looking]:  # noqa: F811 - the fixture
    """A receiver with an open incident that was told."""
    client, receiver = await start_receiver(config(sink))
    await post(client, alert())
    await settle(receiver, sink, 1)
    return client, Looking(receiver, any_database)


async def test_an_incident_that_was_told_and_still_fires_is_well(told: tuple[Client, Looking]) -> None:
    assert await told[1].for_minutes(20) == {}


STUCK = [
    ("an event that is not worked off", "update events set processed_at = null", {"events_unprocessed": 1}),
    ("an incident whose alerts have all ended", "update alerts set status = 'resolved'", {"incident_without_alert": 1}),
    ("a decision to tell somebody, without a message", "update decisions set revision = 99", {"notice_without_rows": 1}),
    ("a message for a target that is not configured", "update outbox set target = 'gone', state = 'planned', finished_at = null", {"rows_unserved": 1}),
    ("a message whose sender is gone", "update outbox set state = 'sending', finished_at = null, lease_until = 1, leased_by = 'x'", {"lease_expired": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "found"), [row[1:] for row in STUCK], ids=[row[0] for row in STUCK])
async def test_what_stands_still_is_found_and_shown(
    told: tuple[Client, Looking], change: str, found: dict[str, int]
) -> None:
    client, looking = told
    await looking.change(change)
    assert await looking.for_minutes(5) == found
    for finding, count in found.items():
        assert await metric(client, f'tocsin_receiver_audit_findings{{finding="{finding}"}} {count:.1f}')


async def test_a_message_that_is_due_and_nobody_sends_is_found(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
    any_database: str,
) -> None:
    client, receiver = await start_receiver(config(sink))
    await receiver.stop()  # no worker is left
    receiver.ready = True
    await post(client, alert())
    await receiver.pipeline.process()
    looking = Looking(receiver, any_database)
    assert await looking.for_minutes(9) == {}
    assert await looking.for_minutes(3) == {"rows_overdue": 1}
    await looking.change(f"update outbox set attempts = 1, next_attempt_at = {NOW + 300}")
    assert await looking.for_minutes(20) == {}


async def test_a_store_that_cannot_be_read_is_a_finding_at_once(
    start_receiver: StartReceiver, folder: Path, exits: AsyncExitStack
) -> None:
    client, receiver = await start_receiver(NO_TARGET)
    nowhere = Database(URL.create("sqlite", database=str(folder / "gone" / "receiver.db")))
    exits.push_async_callback(nowhere.close)
    auditor = Auditor(AuditStore(nowhere), list, receiver.metrics, lambda: NOW, structlog.get_logger())
    await auditor.look()
    assert auditor.findings == {"store_unreadable": 1}
    assert await metric(client, 'tocsin_receiver_audit_findings{finding="store_unreadable"} 1.0')


async def test_a_moment_without_the_store_forgets_nothing(
    told: tuple[Client, Looking], folder: Path, exits: AsyncExitStack
) -> None:
    _, looking = told
    await looking.change("update events set processed_at = null")
    assert await looking.for_minutes(0) == {}
    nowhere = Database(URL.create("sqlite", database=str(folder / "gone" / "receiver.db")))
    exits.push_async_callback(nowhere.close)
    readable, looking.auditor._store = looking.auditor._store, AuditStore(nowhere)
    assert await looking.for_minutes(0) == {"store_unreadable": 1}
    looking.auditor._store = readable
    assert await looking.for_minutes(0) == {"events_unprocessed": 1}
