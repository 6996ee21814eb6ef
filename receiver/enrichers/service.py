"""What the catalogue says of the service: who looks after it, how much it matters, where to look."""

from collections.abc import Mapping

from receiver.incidents import STORM_KEY, Incident
from receiver.message import Found
from receiver.settings import Service


class ServiceEnricher:
    """`services` is the catalogue, by name."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    async def __call__(self, incident: Incident) -> Found | None:
        """What is known of the leading alert's service; the alert's own words go before the catalogue's."""
        lead = incident.leading
        service = self._services.get(lead.service)
        if service is None:
            return None
        found = Found()
        if service.tier is not None:
            found["tier"] = service.tier
        if service.owner and not lead.labels.get("owner"):
            found["owner"] = service.owner
        if service.dashboard is not None:
            found["dashboard_url"] = service.dashboard
        if service.description and not lead.annotations.get("description") and incident.key != STORM_KEY:
            found["description"] = service.description
        return found or None
