"""What people are told, as one structured value that each channel renders within its limits."""

import hashlib
from typing import Literal

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One notice of one incident. Stored in the outbox as JSON, so every field has a default for older rows.

    Times are seconds since the epoch. `measured` and `normal` are ready to read ("100 % of calls ...").
    `impact` is what stops and what that costs, `pays` who pays and where, both as the rule words them.
    `priority` is P1 to P4 and `rank` why. `cause` tells which alert probably causes the others, `spread` how many
    alerts of which services a large incident holds, `reopened` how often it came back. `absent` names what could not be
    found out, so that silence is not read as "nothing there". `stands_in`: why this target is told in another's place.
    `untold`: this tells that it ended, and the message that it began was never delivered for sure.
    """

    incident: int
    revision: int
    status: Literal["firing", "resolved"]
    reason: str
    severity: str
    alert: str
    summary: str
    description: str = ""
    service: str = ""
    environment: str = ""
    owner: str = ""
    since: float
    until: float | None = None
    firing_count: int = 0
    priority: str = ""
    rank: str = ""
    cause: str = ""
    spread: str = ""
    reopened: int = 0
    measured: str = ""
    normal: str = ""
    impact: str = ""
    pays: str = ""
    first_steps: tuple[str, ...] = ()
    fallback: str = ""
    runbook_url: str = ""
    query_url: str = ""
    incident_url: str = ""
    absent: tuple[str, ...] = ()
    stands_in: str = ""
    untold: bool = False

    @property
    def key(self) -> str:
        """The same for every message of an incident, and for no other incident of any Tocsin."""
        return f"tocsin-{self.incident}-{hashlib.sha256(self.incident_url.encode()).hexdigest()[:16]}"
