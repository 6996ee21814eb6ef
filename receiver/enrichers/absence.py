"""How an enricher says that it could not find something out."""

from typing import Literal

from receiver.message import Found

Reason = Literal["timeout", "unreachable", "refused", "no_data", "unreadable", "defect"]


class Absent(Exception):
    """A fact that could not be had. `reason` is a metric's label; the text goes into the message. `found` is what could
    be had all the same."""

    def __init__(self, enricher: str, reason: Reason, detail: str, found: Found | None = None) -> None:
        self.enricher: str = enricher
        self.reason: Reason = reason
        self.found: Found = found or {}
        super().__init__(f"{enricher}: {detail}")
