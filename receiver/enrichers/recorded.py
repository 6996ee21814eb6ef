"""The enrichers that ask our own records, the catalogue of services, and vendors' status pages."""

import aiohttp

from receiver.config import graph
from receiver.enrichers.changes import ChangesEnricher
from receiver.enrichers.history import HistoryEnricher
from receiver.enrichers.related import RelatedEnricher
from receiver.enrichers.service import ServiceEnricher
from receiver.enrichers.vendor_status import VendorStatusEnricher
from receiver.settings import ReceiverConfig
from receiver.stages.enrich import Enricher
from receiver.store import Store
from toolkit.clock import Now
from toolkit.prometheus import Prometheus


def recorded(config: ReceiverConfig, store: Store, session: aiohttp.ClientSession, now: Now) -> dict[str, Enricher]:
    """Every enricher by its name."""
    services, past, server = graph(config), store.past_incidents, None
    if config.prometheus is not None:
        server = Prometheus(session, config.prometheus.url, config.prometheus.bearer_token_file)
    return {
        "changes": ChangesEnricher(store.changes, services),
        "history": HistoryEnricher(past, now),
        "related": RelatedEnricher(past, services),
        "service": ServiceEnricher(config.services),
        "vendor_status": VendorStatusEnricher(session, server, config.status_pages),
    }
