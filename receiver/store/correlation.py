"""What correlation asks of the store: which incidents hold or held the alerts that came in, or are related to them."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.alerts import AlertEvent
from receiver.stages.correlate import Neighbour, Rules, place_of
from receiver.store.tables import alerts, incidents

MOST_NAMED = 500
"""How many values one statement names: SQLite takes some thousands of parameters."""

_event = msgspec.json.Decoder(AlertEvent)


def portions(found: Iterable[str]) -> Iterator[list[str]]:
    """`found` in lists that a statement can name."""
    ordered = sorted(found)
    for start in range(0, len(ordered), MOST_NAMED):
        yield ordered[start : start + MOST_NAMED]


async def by_fingerprint(connection: AsyncConnection, fingerprints: Iterable[str]) -> dict[str, int]:
    """The live incident that holds each of these alerts."""
    query = (
        select(alerts.c.fingerprint, alerts.c.incident_id)
        .join(incidents, incidents.c.id == alerts.c.incident_id)
        .where(incidents.c.resolved_at.is_(None))
    )
    found: dict[str, int] = {}
    for some in portions(fingerprints):
        rows = await connection.execute(query.where(alerts.c.fingerprint.in_(some)))
        found.update((fingerprint, incident) for fingerprint, incident in rows)
    return found


async def by_key(
    connection: AsyncConnection, keys: Iterable[str]
) -> tuple[dict[str, int], dict[str, tuple[int, float]]]:
    """The live incident of each key, and the one that ended last with its end. One that was merged is what it was
    merged into."""
    whole = incidents.alias()
    query = (
        select(incidents.c.key, whole.c.id, whole.c.resolved_at)
        .join(whole, whole.c.id == func.coalesce(incidents.c.merged_into, incidents.c.id))
        .order_by(incidents.c.id)
    )
    live: dict[str, int] = {}
    ended: dict[str, tuple[int, float]] = {}
    for some in portions(keys):
        newest = select(func.max(incidents.c.id)).where(incidents.c.key.in_(some)).group_by(incidents.c.key)
        for key, id_, resolved_at in await connection.execute(query.where(incidents.c.id.in_(newest))):
            if resolved_at is None:
                live[key] = id_
            else:
                ended[key] = (id_, resolved_at)
    return live, ended


async def neighbours(connection: AsyncConnection, found: Sequence[AlertEvent], rules: Rules) -> list[Neighbour]:
    """Alerts of live incidents that began near one of `found` and are of a service that is related to its service."""
    firing = [event for event in found if event.status == "firing" and event.service]
    services = {one for event in firing for one in rules.graph.neighbours(event.service)}
    if not services:
        return []
    first, last = (pick(event.starts_at for event in firing) for pick in (min, max))
    query = (
        select(alerts.c.incident_id, alerts.c.event_json)
        .join(incidents, incidents.c.id == alerts.c.incident_id)
        .where(incidents.c.resolved_at.is_(None), alerts.c.status == "firing")
        .where(alerts.c.starts_at.between(first - rules.window, last + rules.window))
    )
    near: list[Neighbour] = []
    for some in portions(services):
        for incident, text in await connection.execute(query.where(alerts.c.service.in_(some))):
            event = _event.decode(text)
            near.append(Neighbour(incident, event.service, place_of(event), event.starts_at))
    return near
