"""What the audit and a drill read, on both kinds of database: rows as other parts write them, and what is made of them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, insert, make_url, update

from receiver.alerts import AlertEvent, Origin, Status
from receiver.drills.drill import ALERT, Drill, Heard, Record, Told
from receiver.message import Message
from receiver.store import MIGRATIONS, Store
from receiver.store.tables import alerts, decisions, deliveries, events, incidents, outbox
from receiver.upkeep.audit import Mark
from toolkit.storage import Database, migrate

NOW = 1000.0
DRILL = {"alertname": ALERT, "drill": "true"}


class Rows:
    """A store, and what the tests put into its tables."""

    def __init__(self, database: Database) -> None:
        self.database, self.store = database, Store(database)

    async def add(self, table: Table, **values: Any) -> None:
        async with self.database.write() as connection:
            await connection.execute(insert(table).values(values))

    async def change(self, table: Table, **values: Any) -> None:
        async with self.database.write() as connection:
            await connection.execute(update(table).values(values))

    async def incident(self, id_: int = 1, **more: Any) -> None:
        values = {"id": id_, "key": str(id_), "state": "open", "severity": "info", "opened_at": NOW, "revision": 1}
        await self.add(incidents, **values, **more)

    async def event(
        self,
        id_: int,
        status: Status,
        labels: dict[str, str],
        incident: int | None,
        origin: Origin = "webhook",
        **more: Any,
    ) -> None:
        event = AlertEvent("f", status, NOW, None if status == "firing" else NOW + id_, labels, {}, "", origin)
        values = {"fingerprint": "f", "starts_at": NOW, "status": status}
        text = msgspec.json.encode(event).decode()
        at = {"received_at": NOW + id_, "ends_at": event.ends_at or 0.0}
        await self.add(events, id=id_, event_json=text, incident_id=incident, **at, **values, **more)

    async def alert(self, incident: int = 1, status: Status = "firing") -> None:
        values = {"fingerprint": str(incident), "starts_at": NOW, "status": status}
        await self.add(alerts, incident_id=incident, event_json="{}", **values)

    async def message(self, id_: int, target: str = "chat", status: Status = "firing", **more: Any) -> None:
        message = Message(
            incident=1, revision=1, status=status, reason="", severity="info", alert=ALERT, summary="", since=NOW
        )
        values: dict[str, Any] = {
            "incident_id": 1,
            "revision": id_,
            "target": target,
            "message_json": msgspec.json.encode(message).decode(),
            "route": "",
            "state": "planned",
            "attempts": 0,
            "may_repeat": False,
            "received_at": NOW,
            "planned_at": NOW,
            "next_attempt_at": NOW,
        }
        await self.add(outbox, id=id_, **(values | more))

    async def attempt(self, message: int, result: str, detail: str) -> None:
        times = {"started_at": NOW, "ended_at": NOW}
        await self.add(deliveries, outbox_id=message, attempt=1, result=result, detail=detail, **times)


@pytest.fixture
async def rows(any_database: str) -> AsyncIterator[Rows]:
    url = make_url(any_database)
    migrate(url, MIGRATIONS)
    database = Database(url)
    yield Rows(database)
    await database.close()


async def test_a_drill_knows_its_own_traces(rows: Rows) -> None:
    assert await rows.store.drills.last() is None
    await rows.incident()
    await rows.event(1, "firing", DRILL, 1)  # of the drill before
    await rows.message(1, state="sent")
    drill = await rows.store.drills.order("chat", 1234.5678)
    assert drill == Drill(1234.568, "chat", None, 1, 1)
    assert await rows.store.drills.last() == drill
    assert await rows.store.drills.record(drill) == Record()
    await rows.event(2, "resolved", DRILL, 1, "reconciled")
    await rows.event(3, "resolved", {"alertname": "Down", "drill": "true"}, 1)
    await rows.event(4, "resolved", DRILL, None)
    assert await rows.store.drills.record(drill) == Record((Heard("resolved", 1004.0, None),))
    await rows.change(events, incident_id=1)
    await rows.message(2, state="failed", attempts=2)
    await rows.attempt(2, "unknown", "timeout")
    await rows.attempt(2, "failed", "404")
    await rows.message(3, "mail")
    told = (Told("chat", "firing", "failed", "failed", "404"), Told("mail", "firing", "planned"))
    assert await rows.store.drills.record(drill) == Record((Heard("resolved", 1004.0, 1),), told, open=True)
    await rows.change(incidents, resolved_at=NOW)
    assert not (await rows.store.drills.record(drill)).open


async def marks(rows: Rows) -> list[Mark]:
    return await rows.store.audit.marks(["chat", "mail"], NOW)


async def test_the_audit_of_nothing_is_nothing(rows: Rows) -> None:
    assert await marks(rows) == []


async def test_the_audit_marks_what_waits(rows: Rows) -> None:
    await rows.incident()
    await rows.alert()
    await rows.event(1, "firing", {}, 1)
    assert await marks(rows) == [Mark("events_unprocessed", "1")]
    await rows.change(events, processed_at=NOW)
    for id_, attempts in ((1, 0), (2, 3)):
        await rows.message(id_, attempts=attempts, state="failed" if attempts else "planned")
    await rows.message(3, "chat", state="sent", finished_at=NOW, attempts=7)
    await rows.message(4, "mail", attempts=1, state="failed", next_attempt_at=NOW + 60)
    found = await marks(rows)
    assert found == [Mark("rows_overdue", "chat", (2, 3))]
    assert found[0].count == 2
    await rows.change(outbox, target="gone", state="sending", lease_until=NOW, leased_by="a", finished_at=None)
    expired = [Mark("lease_expired", str(id_), (NOW, "a")) for id_ in (1, 2, 3, 4)]
    assert await marks(rows) == [*expired, Mark("rows_unserved", "gone")]


async def test_the_audit_marks_live_incidents_that_nothing_will_end_or_tell(rows: Rows) -> None:
    await rows.incident(1)
    await rows.alert(1, "resolved")
    await rows.incident(2, resolved_at=NOW)
    await rows.incident(3)
    await rows.alert(3)
    decision = {"at": NOW, "incident_id": 3, "reason": "opened", "detail": ""}
    await rows.add(decisions, id=1, what="not_told", revision=1, **decision)
    await rows.add(decisions, id=2, what="told", revision=2, **decision)
    async with rows.database.write() as connection:
        await connection.execute(update(incidents).where(incidents.c.id == 2).values(state="resolved"))
    assert await marks(rows) == [Mark("incident_without_alert", "1"), Mark("notice_without_rows", "2")]
    await rows.message(2, incident_id=3, state="sent", finished_at=NOW)
    assert await marks(rows) == [Mark("incident_without_alert", "1")]
