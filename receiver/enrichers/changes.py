"""What was changed near the start of the trouble, the likeliest cause first.

The order: a change of the leading alert's service, which is the probable cause where one is known; then of the others
that have alerts, then of what these need, for most trouble is homemade; then one of which no service is known, since it
may concern any. Among equals what was made before the start, for an effect follows its cause; a deploy may be told when
it ends, so some minutes after the start count too. Then the closest to the start.
"""

from collections.abc import Collection

from receiver.changes.change import ToldChange
from receiver.enrichers.records import read
from receiver.enrichers.surroundings import agree, environment, own_services
from receiver.incidents import Incident
from receiver.message import Change, Found
from receiver.services import ServiceGraph
from receiver.stages.plan import began
from receiver.store.changes import ChangeStore

BEFORE_SECONDS = 7200.0
AFTER_SECONDS = 300.0
MOST_SHOWN = 3
MOST_READ = 500


class ChangesEnricher:
    """Looks into the store. `graph` tells what each service needs."""

    def __init__(self, store: ChangeStore, graph: ServiceGraph) -> None:
        self._store, self._graph = store, graph

    async def __call__(self, incident: Incident) -> Found | None:
        """The changes near the incident's start; None where there were none. Raises Absent."""
        lead, start, own = incident.leading, began(incident), own_services(incident)
        needed = frozenset(below for service in own for below in self._graph.below(service))
        window = (start - BEFORE_SECONDS, start + AFTER_SECONDS)
        found = await read("changes", self._store.between(*window, MOST_READ, own | needed | {""}))
        here = [change for change in found if agree(change.environment, environment(lead.labels))]
        likely = likeliest(here, start, lead.service, own)[:MOST_SHOWN]
        return (
            {"changes": tuple(Change(one.words, one.at, one.url, one.undo_url) for one in likely)} if likely else None
        )


def likeliest(found: Collection[ToldChange], start: float, lead: str, own: Collection[str]) -> list[ToldChange]:
    """Changes of the services `own`, among them `lead`, of what they need, and of no service, in the order that the
    module tells."""

    def order(change: ToldChange) -> tuple[int, bool, float, str]:
        distant = [not change.service, change.service not in own, change.service != lead]
        return sum(distant), change.at > start, abs(change.at - start), change.key

    return sorted(found, key=order)
