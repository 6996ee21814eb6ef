"""How an enricher says that it could not find something out."""

from typing import Literal

Reason = Literal["timeout", "unreachable", "refused", "no_data", "unreadable", "defect"]


class Absent(Exception):
    """A fact that could not be had. `reason` is a metric's label; the text goes into the message."""

    def __init__(self, enricher: str, reason: Reason, detail: str) -> None:
        self.enricher: str = enricher
        self.reason: Reason = reason
        super().__init__(f"{enricher}: {detail}")
