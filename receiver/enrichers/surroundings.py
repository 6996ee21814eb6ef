"""Which services an incident is about, and what is in the same environment, for enrichers that look around it."""

from collections.abc import Mapping
from itertools import islice

from receiver.incidents import Incident

MOST_SERVICES = 20
"""A storm has thousands; what they have in common is no neighbour's."""


def own_services(incident: Incident) -> frozenset[str]:
    """The services of its alerts, the leading one's among them."""
    alerts = (incident.leading, *(incident.firing or incident.alerts))
    return frozenset(islice(dict.fromkeys(alert.service for alert in alerts if alert.service), MOST_SERVICES))


def environment(labels: Mapping[str, str]) -> str:
    """The environment that labels name, or nothing."""
    return labels.get("environment", "")


def agree(one: str, other: str) -> bool:
    """Whether two environments may be the same: one that is not named may be any."""
    return not one or not other or one == other
