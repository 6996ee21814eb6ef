"""What else fires nearby: alerts of the same service and of its neighbours, in other incidents."""

from collections.abc import Collection, Iterable

from receiver.enrichers.records import read
from receiver.enrichers.surroundings import agree, environment, own_services
from receiver.incidents import SEVERITIES, Incident, severity_of
from receiver.message import Found
from receiver.services import ServiceGraph
from receiver.store.past import Nearby, PastStore
from toolkit.clock import format_utc

MOST_SHOWN = 5


class RelatedEnricher:
    """Looks into the store. `graph` tells which services are neighbours."""

    def __init__(self, store: PastStore, graph: ServiceGraph) -> None:
        self._store, self._graph = store, graph

    async def __call__(self, incident: Incident) -> Found | None:
        """The alerts nearby in words; None where there are none. Raises Absent."""
        own = own_services(incident)
        around = own | self._graph.neighbours(incident.leading.service)
        if not around:
            return None
        here = environment(incident.leading.labels)
        found = await read("related", self._store.nearby(around, incident.id))
        near = nearest_first((one for one in found if agree(environment(one.alert.labels), here)), own)
        shown = tuple(words(one) for one in near[:MOST_SHOWN])
        return {"related": shown} if shown else None


def nearest_first(found: Iterable[Nearby], own: Collection[str]) -> list[Nearby]:
    """Those of the services `own` first, then the most severe, then the oldest."""

    def order(one: Nearby) -> tuple[bool, int, float, str]:
        severity = -SEVERITIES.index(severity_of(one.alert.labels))
        return one.alert.service not in own, severity, one.alert.starts_at, one.alert.fingerprint

    return sorted(found, key=order)


def words(one: Nearby) -> str:
    """`"critical DbSlow of db since 02:51 UTC (incident 12)"`."""
    alert, since = one.alert, format_utc(one.alert.starts_at, "%H:%M UTC")
    return f"{severity_of(alert.labels)} {alert.name} of {alert.service} since {since} (incident {one.incident})"
