"""Reads and writes the store. Every method raises StorageUnavailable when the database can't serve."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent, Occurrence, Status, StoredEvent
from receiver.delivery.outbox import Planned
from receiver.escalation.policy import Progress
from receiver.incidents import STORM_KEY, Incident, Reason, Step
from receiver.stages.correlate import Known, Rules, key_of
from receiver.store import correlation
from receiver.store import escalations as escalating
from receiver.store.actions import Action, ActionStore, action_row
from receiver.store.audit import AuditStore
from receiver.store.changes import ChangeStore
from receiver.store.drills import DrillStore
from receiver.store.escalations import EscalationStore
from receiver.store.explained import ExplainStore
from receiver.store.outbox import OutboxStore
from receiver.store.past import PastStore
from receiver.store.rows import (
    Decision,
    alert_row,
    decision_row,
    event_key,
    event_row,
    outbox_row,
    read_incident,
    save_incident,
    save_reasons,
)
from receiver.store.signs import SignStore
from receiver.store.tables import actions, alerts, decisions, deliveries, events, incidents, outbox, refused
from receiver.upkeep.reconcile import Held
from toolkit.redaction import printable
from toolkit.storage import Database

MIGRATIONS = Path(__file__).parent / "migrations"
REFUSED_KEPT = 100
REFUSED_BYTES = 1024 * 1024
REFUSED_DETAIL = 500
"""How many refused bodies are kept, and how much of each: enough to see what is wrong, bounded whatever is sent."""

EVENT_KEY = (events.c.fingerprint, events.c.starts_at, events.c.status, events.c.ends_at)
"""What tells one event from another."""

_ALIEN: tuple[Reason, ...] = ("never_fired_here", "stale")
"""What has one of these reasons is no alert of the incident: a stale firing would be taken for one that fires."""

_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(AlertEvent)


@dataclass(frozen=True)
class Record:
    """What goes on record together with a new revision of an incident, besides why: messages, what a person did, how
    far its escalation is now, and events that are to be worked on as if they had been received."""

    rows: Sequence[Planned] = ()
    action: Action | None = None
    escalation: Progress | None = None
    events: Sequence[AlertEvent] = ()
    more: Sequence[Decision] = field(default=())


class Store:
    """The receiver's one door to its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.outbox = OutboxStore(database)
        self.signs = SignStore(database)
        self.explained = ExplainStore(database)
        self.drills = DrillStore(database, self.signs)
        self.audit = AuditStore(database)
        self.changes = ChangeStore(database)
        self.past_incidents = PastStore(database)
        self.escalations = EscalationStore(database)
        self.actions = ActionStore(database)

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the same database."""
        return self._database.shared

    async def leads(self) -> bool:
        """Whether this process is, now, the one that works on events. Raises StorageUnavailable."""
        return await self._database.lead("events")

    # --- intake

    async def add_events(self, found: Sequence[AlertEvent], now: float) -> list[bool]:
        """Stores what is new and says of each whether it was. On disk when this returns."""
        rows = {event_key(event): event_row(event, now) for event in found}
        if not rows:
            return []
        statement = self._database.insert(events).on_conflict_do_nothing().returning(*EVENT_KEY)
        async with self._database.write() as connection:
            # in one order everywhere: two that store the same alerts must not wait for each other crosswise
            inserted = await connection.execute(statement, [rows[key] for key in sorted(rows)])
            fresh = {tuple(row) for row in inserted}
        new: list[bool] = []
        for event in found:
            new.append(event_key(event) in fresh)
            fresh.discard(event_key(event))
        return new

    async def keep_refused(self, body: bytes, reason: str, detail: str, now: float) -> None:
        """Keeps the beginning of a refused body for a person to look at; the oldest beyond REFUSED_KEPT go."""
        body, detail = body[:REFUSED_BYTES], printable(detail[:REFUSED_DETAIL])
        async with self._database.write() as connection:
            await connection.execute(
                insert(refused), {"received_at": now, "reason": reason, "detail": detail, "body": body}
            )
            newest = select(refused.c.id).order_by(refused.c.id.desc()).limit(REFUSED_KEPT)
            await connection.execute(delete(refused).where(refused.c.id.not_in(newest)))

    async def unprocessed(self, limit: int) -> list[StoredEvent]:
        """The oldest events that are not processed yet."""
        query = select(events.c.id, events.c.received_at, events.c.event_json)
        query = query.where(events.c.processed_at.is_(None)).order_by(events.c.id).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [StoredEvent(id_, received_at, _event.decode(text)) for id_, received_at, text in rows]

    # --- incidents

    async def known(self, found: Sequence[AlertEvent], rules: Rules) -> Known:
        """What correlation asks about `found`."""
        async with self._database.read() as connection:
            by_fingerprint = await correlation.by_fingerprint(connection, {event.fingerprint for event in found})
            by_key, ended = await correlation.by_key(connection, {key_of(event, rules.labels) for event in found})
            near = await correlation.neighbours(connection, found, rules) if rules.graph.depends_on else []
        return Known(by_fingerprint, by_key, ended, near)

    async def storm(self) -> int | None:
        """The live incident that takes in a storm, if there is one."""
        async with self._database.read() as connection:
            by_key, _ = await correlation.by_key(connection, {STORM_KEY})
        return by_key.get(STORM_KEY)

    async def past(self, occurrences: Iterable[Occurrence]) -> dict[Occurrence, Status]:
        """How these alerts' occurrences stand, as far as we know them."""
        query = select(alerts.c.fingerprint, alerts.c.starts_at, alerts.c.status)
        found: dict[Occurrence, Status] = {}
        async with self._database.read() as connection:
            for some in correlation.portions({fingerprint for fingerprint, _ in occurrences}):
                rows = await connection.execute(query.where(alerts.c.fingerprint.in_(some)))
                found.update(((fingerprint, starts_at), status) for fingerprint, starts_at, status in rows)
        return found

    async def held(self) -> list[Held]:
        """The alerts that fire in live incidents, with when they were last heard of anew."""
        heard = select(func.max(events.c.received_at)).where(events.c.fingerprint == alerts.c.fingerprint)
        query = (
            select(alerts.c.event_json, heard.scalar_subquery())
            .join(incidents, incidents.c.id == alerts.c.incident_id)
            .where(incidents.c.resolved_at.is_(None), alerts.c.status == "firing")
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Held(_event.decode(text), heard_at or 0.0) for text, heard_at in rows]

    async def to_tell(self, now: float, furthest: float) -> list[int]:
        """The live incidents that were put off, and whose time has come; or is later than `furthest`, which only a
        clock that was ahead can have said. Both in seconds since the epoch."""
        is_time = (incidents.c.tell_at <= now) | (incidents.c.tell_at > furthest)
        query = select(incidents.c.id).where(is_time, incidents.c.resolved_at.is_(None))
        async with self._database.read() as connection:
            return list((await connection.execute(query.order_by(incidents.c.id))).scalars())

    async def load(self, ids: Sequence[int]) -> list[Incident]:
        """These incidents, the oldest first."""
        async with self._database.read() as connection:
            found = [await read_incident(connection, id_) for id_ in sorted(ids)]
        return [incident for incident in found if incident is not None]

    async def commit(
        self,
        step: Step,
        before: Incident | None,
        handled: Sequence[StoredEvent],
        plan: Callable[[Incident], tuple[Sequence[Planned], Sequence[Decision]]],
        now: float,
        escalation: Progress | None = None,
    ) -> Incident | None:
        """Stores the incident, its alerts, the reasons and the outbox rows that `plan` makes for it, and how far its
        `escalation` is, where that is new: all or nothing.

        Returns the incident with its id. Raises Changed when it is no longer as `before`, or when somebody else has
        processed one of the events.
        """
        async with self._database.write() as connection:
            incident = await save_incident(connection, step.incident, before)
            await self._save_merged(connection, step, incident)
            await self._save_alerts(connection, step, incident, before, handled)
            await save_reasons(connection, step, incident, handled, now)
            if incident is not None:
                await self._save_escalation(connection, step, incident, escalation)
                received_at = min((stored.received_at for stored in handled), default=now)
                rows, decisions_made = plan(incident)
                for planned in rows:
                    await connection.execute(insert(outbox), outbox_row(incident, planned, received_at, now))
                for decision in decisions_made:
                    await connection.execute(insert(decisions), decision_row(incident, decision, now))
        return incident

    async def change(
        self, after: Incident, before: Incident, decision: Decision, now: float, record: Record | None = None
    ) -> Incident:
        """Stores what a person or the time did to an incident, with all that `record` holds, or nothing. Raises
        Changed."""
        record = record or Record()
        async with self._database.write() as connection:
            incident = await save_incident(connection, after, before)
            if incident is None or incident.revision == before.revision:
                return before
            for made in (decision, *record.more):
                await connection.execute(insert(decisions), decision_row(incident, made, now))
            for planned in record.rows:
                await connection.execute(insert(outbox), outbox_row(incident, planned, now, now))
            if record.action is not None:
                await connection.execute(insert(actions), action_row(incident, record.action, now))
            if record.escalation is not None and incident.id is not None:
                await escalating.save(connection, self._database, incident.id, record.escalation)
            if record.events:
                statement = self._database.insert(events).on_conflict_do_nothing()
                await connection.execute(statement, [event_row(event, now) for event in record.events])
        return incident

    async def _save_escalation(
        self, connection: AsyncConnection, step: Step, incident: Incident, escalation: Progress | None
    ) -> None:
        merged = [other.id for other in step.merged if other.id is not None]
        await escalating.end(connection, merged, "merged")
        if incident.id is not None and not incident.live:
            await escalating.end(connection, [incident.id], incident.state)
        elif incident.id is not None and escalation is not None:
            await escalating.save(connection, self._database, incident.id, escalation)

    async def _save_merged(self, connection: AsyncConnection, step: Step, incident: Incident | None) -> None:
        for merged in step.merged:
            if incident is None or merged.id is None:
                continue
            into = replace(merged, merged_into=incident.id)
            await save_incident(connection, into, replace(merged, revision=merged.revision - 1))
            # what it had taken in before is part of the new whole as well
            parts = update(incidents).where(incidents.c.merged_into == merged.id)
            await connection.execute(parts.values(merged_into=incident.id))
            await connection.execute(
                update(alerts).where(alerts.c.incident_id == merged.id).values(incident_id=incident.id)
            )

    async def _save_alerts(
        self,
        connection: AsyncConnection,
        step: Step,
        incident: Incident | None,
        before: Incident | None,
        handled: Sequence[StoredEvent],
    ) -> None:
        """Stores how each occurrence stands; one that is resolved stays so."""
        rows = [
            alert_row(stored.event, incident.id if incident is not None and reason not in _ALIEN else None)
            for stored, reason in zip(handled, step.reasons, strict=True)
        ]
        if incident is not None:
            # an alert may have been ended by the resolve of another start of it
            rows += [alert_row(alert, incident.id) for alert in set_apart(incident, before)]
        if not rows:
            return
        statement = self._database.insert(alerts)
        update_to = {"status": statement.excluded.status, "event_json": statement.excluded.event_json}
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["fingerprint", "starts_at"], set_=update_to, where=alerts.c.status == "firing"
            ),
            rows,
        )

    # --- what people and Prometheus read

    async def figures(self) -> "Figures":
        """Counts for the self-metrics."""

        def by_state(table: Any) -> Select[Any]:
            return select(table.c.state, func.count()).group_by(table.c.state)

        waiting = select(func.count()).where(events.c.processed_at.is_(None)).select_from(events)
        oldest = select(func.min(func.coalesce(outbox.c.held_until, outbox.c.planned_at))).where(
            outbox.c.finished_at.is_(None)
        )
        async with self._database.read() as connection:
            return Figures(
                incidents={row[0]: row[1] for row in await connection.execute(by_state(incidents))},
                outbox={row[0]: row[1] for row in await connection.execute(by_state(outbox))},
                oldest_planned_at=(await connection.execute(oldest)).scalar() or 0.0,
                unprocessed=(await connection.execute(waiting)).scalar() or 0,
            )

    async def incidents(self, limit: int) -> list[Incident]:
        """The newest incidents first."""
        query = select(incidents.c.id).order_by(incidents.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            ids = (await connection.execute(query)).scalars().all()
            found = [await read_incident(connection, id_) for id_ in ids]
        return [incident for incident in found if incident is not None]

    async def incident(self, id_: int) -> Incident | None:
        """One incident."""
        async with self._database.read() as connection:
            return await read_incident(connection, id_)

    async def notices(self, incident: int) -> list[Mapping[str, Any]]:
        """An incident's outbox rows with their attempts, oldest first, as plain values for the API."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(outbox).where(outbox.c.incident_id == incident).order_by(outbox.c.id)
            )
            found: list[Mapping[str, Any]] = []
            for row in rows.mappings().all():
                attempts = await connection.execute(
                    select(deliveries).where(deliveries.c.outbox_id == row["id"]).order_by(deliveries.c.id)
                )
                found.append({**row, "deliveries": [dict(attempt) for attempt in attempts.mappings()]})
        return found


@dataclass(frozen=True)
class Figures:
    """Counts by state, since when the oldest unfinished outbox row is to be told (0: none), and events to process."""

    incidents: Mapping[str, int]
    outbox: Mapping[str, int]
    oldest_planned_at: float
    unprocessed: int


def set_apart(incident: Incident, before: Incident | None) -> Iterable[AlertEvent]:
    """The alerts of `incident` that are no longer as they were `before`."""
    known = {alert.occurrence: alert.status for alert in before.alerts} if before is not None else {}
    return (alert for alert in incident.alerts if known.get(alert.occurrence) != alert.status)
