"""What is on record of an incident or an alert, for `explain` and the report.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, func, select

from receiver.alerts import AlertEvent
from receiver.explain import Attempt, Decided, Facts, Heard, Notice, Summary
from receiver.store.tables import decisions, deliveries, events, incidents, outbox
from toolkit.storage import Database

MOST_EVENTS = 500
"""How many of an incident's events are shown, the newest."""
SEARCHED = 20_000
"""How many of the newest events are searched for an alert's name."""

_event = msgspec.json.Decoder(AlertEvent)


class ExplainStore:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def facts(self, incident: int) -> Facts | None:
        """Everything on record of an incident, or None when there is none."""
        heard = _heard().where(events.c.incident_id == incident)
        made = select(decisions).where(decisions.c.incident_id == incident).order_by(decisions.c.id)
        planned = select(outbox).where(outbox.c.incident_id == incident).order_by(outbox.c.id)
        async with self._database.read() as connection:
            row = (await connection.execute(select(incidents).where(incidents.c.id == incident))).mappings().first()
            if row is None:
                return None
            heard_rows = (await connection.execute(heard)).mappings().all()
            made_rows = (await connection.execute(made)).mappings().all()
            planned_rows = [dict(one) for one in (await connection.execute(planned)).mappings()]
            tried = select(deliveries).where(deliveries.c.outbox_id.in_([one["id"] for one in planned_rows]))
            tried_rows = [dict(one) for one in (await connection.execute(tried.order_by(deliveries.c.id))).mappings()]
        return Facts(
            incident,
            row["state"],
            row["severity"],
            tuple(_heard_of(one) for one in reversed(heard_rows)),
            tuple(Decided(one["at"], one["what"], one["reason"], one["detail"]) for one in made_rows),
            tuple(_notice(one, tried_rows) for one in planned_rows),
        )

    async def alert(self, wanted: str, limit: int = 50) -> list[Heard]:
        """The newest events of the alert with this fingerprint or name, the oldest of them first."""
        by_fingerprint = _heard().where(events.c.fingerprint == wanted).limit(limit)
        newest = select(func.max(events.c.id)).scalar_subquery()
        named = f'%"alertname":{msgspec.json.encode(wanted).decode()}%'.replace("\\", "\\\\")
        by_name = _heard().where(events.c.id > newest - SEARCHED, events.c.event_json.like(named, escape="\\"))
        async with self._database.read() as connection:
            rows = (await connection.execute(by_fingerprint)).mappings().all()
            rows = rows or (await connection.execute(by_name.limit(limit))).mappings().all()
        found = [_heard_of(one) for one in reversed(rows)]
        return [one for one in found if wanted in (one.fingerprint, one.name)]

    async def names(self) -> list[str]:
        """The names of the alerts heard of last."""
        query = select(events.c.event_json).order_by(events.c.id.desc()).limit(MOST_EVENTS)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).scalars().all()
        return sorted({_event.decode(text).name for text in rows})

    async def summary(self, since: float) -> Summary:
        """Counts of what came in and what was, or would have been, told since a time (seconds since the epoch)."""
        heard = select(events.c.status, func.count()).where(events.c.received_at >= since).group_by(events.c.status)
        first = select(outbox.c.incident_id).where(outbox.c.planned_at >= since).distinct().subquery()
        told = (
            select(outbox.c.target, outbox.c.state, func.count())
            .where(outbox.c.planned_at >= since)
            .group_by(outbox.c.target, outbox.c.state)
        )
        why = (
            select(decisions.c.reason, func.count())
            .where(decisions.c.at >= since, decisions.c.what == "not_told")
            .group_by(decisions.c.reason)
        )
        messages: Counter[tuple[str, bool]] = Counter()
        async with self._database.read() as connection:
            for target, state, count in await connection.execute(told):
                messages[target, state == "shadow"] += count
            return Summary(
                since=since,
                events={status: count for status, count in await connection.execute(heard)},  # noqa: C416 - rows
                incidents=(await connection.execute(select(func.count()).select_from(first))).scalar() or 0,
                messages=messages,
                not_told={reason: count for reason, count in await connection.execute(why)},  # noqa: C416 - rows
            )


def _heard() -> Select[Any]:
    return select(events).order_by(events.c.id.desc()).limit(MOST_EVENTS)


def _heard_of(row: Mapping[str, Any]) -> Heard:
    event = _event.decode(row["event_json"])
    return Heard(
        at=row["received_at"],
        fingerprint=event.fingerprint,
        name=event.name,
        labels=event.labels,
        status=event.status,
        origin=event.origin,
        reason=row["reason"],
        processed_at=row["processed_at"],
        incident=row["incident_id"],
    )


def _notice(row: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> Notice:
    return Notice(
        id=row["id"],
        at=row["planned_at"],
        target=row["target"],
        status=row["status"],
        revision=row["revision"],
        route=row["route"],
        state=row["state"],
        next_attempt_at=None if row["finished_at"] is not None else row["next_attempt_at"],
        finished_at=row["finished_at"],
        superseded_by=row["superseded_by"],
        attempts=tuple(
            Attempt(one["started_at"], one["ended_at"], one["result"], one["http_status"], one["detail"])
            for one in tried
            if one["outbox_id"] == row["id"]
        ),
    )
