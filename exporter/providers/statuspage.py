"""What a vendor's status page says: an incident, or that all is well. Pure.

It only ever holds a suspicion back: pages are late, and tell of regions and products that are not ours. The formats
are those of Atlassian Statuspage and Rootly (`status.indicator`), Better Stack (`aggregate_state`) and Instatus
(`page.status`).
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import msgspec

from exporter.providers.answer import Exchange
from exporter.providers.paths import values_at

PATHS = ("/api/v2/status.json", "/index.json", "/summary.json")
"""Where such pages tell it to programs, most frequent first."""
ASKED_EVERY_SECONDS = 120.0
_PLACES = ("status.indicator", "data.attributes.aggregate_state", "aggregate_state", "page.status")
_FINE = frozenset({"none", "operational", "up"})
_PLANNED = frozenset({"maintenance", "undermaintenance", "under_maintenance"})
_TROUBLE = frozenset(
    {"minor", "major", "critical", "degraded", "downtime", "degraded_performance", "hasissues", "partial_outage"}
)


def addresses(page: str) -> list[str]:
    """The addresses to ask, in this order, for a page that people read at `page`."""
    return [urljoin(f"{page.rstrip('/')}/", path) for path in PATHS]


def incident(answer: Exchange) -> bool | None:
    """Whether the page tells of an incident or a maintenance; None for an answer that is none of these formats."""
    if answer.status != 200:
        return None
    try:
        data = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for value in _states(data):
        if value in _FINE:
            return False
        if value in _TROUBLE or value in _PLANNED:
            return True
    return None


def _states(data: Any) -> Iterator[str]:
    for place in _PLACES:
        yield from (str(value).strip().lower() for value in values_at(data, place))
