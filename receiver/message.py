"""What people are told, as one structured value that each channel renders within its limits."""

import hashlib
from typing import Literal, TypedDict

import msgspec


class Unwritable(Exception):
    """A message that can't be put into words: a defect of ours, or of a template."""


class Change(msgspec.Struct, frozen=True):
    """What somebody changed near the start of the trouble: `what` is ready to read ("deploy of checkout 1.42 by ana"),
    `at` in seconds since the epoch, `url` leads to it, `undo_url` to where it is undone. Either may be empty."""

    what: str
    at: float
    url: str = ""
    undo_url: str = ""


class Found(TypedDict, total=False):
    """The fields of a message that an enricher found out; each is described at Message."""

    measured: str
    normal: str
    factor: str
    sparkline: str
    chart: bytes
    impact_measured: str
    changes: tuple[Change, ...]
    history: str
    related: tuple[str, ...]
    vendor_status: str
    logs: tuple[str, ...]
    logs_url: str
    trace_url: str
    owner: str
    tier: int
    dashboard_url: str
    description: str
    first_steps: tuple[str, ...]
    fallback: str
    runbook_url: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One notice of one incident. Stored in the outbox as JSON, so every field has a default for older rows.

    Times are seconds since the epoch. `measured` and `normal` are ready to read ("100 % of calls ..."), and so is
    `factor`, how far they are apart ("6.2 times below normal"). `sparkline` is the value's last hours in a few block
    characters, `chart` the same as a PNG, with its normal. `impact` is what stops and what that costs as the rule words
    it, `impact_measured` what a query counted of it; `pays` who pays and where. `kind` is the class of the trouble
    ("vendor_billing", ...). `changes` are the likeliest first. `history` tells how often it happened before and what
    ended it, `related` what else fires nearby, `vendor_status` what the vendor's status page says, `logs` some lines.
    `on_call` is who is called, `next_step` what happens if nobody acknowledges it, and when. `acknowledged_by` has it.
    `priority` is P1 to P4 and `rank` why. `cause` tells which alert probably causes the others, `spread` how many
    alerts of which services a large incident holds, `reopened` how often it came back. `absent` names what could not be
    found out, so that silence is not read as "nothing there". `stands_in`: why this target is told in another's place.
    `untold`: this tells that it ended, and the message that it began was never delivered for sure. `digest`: a line for
    each incident, of a message that tells of several; `incident` is 0 then, and `revision` tells it from other digests.
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
    kind: str = ""
    measured: str = ""
    normal: str = ""
    factor: str = ""
    sparkline: str = ""
    chart: bytes = b""
    impact: str = ""
    impact_measured: str = ""
    pays: str = ""
    tier: int = 0
    changes: tuple[Change, ...] = ()
    history: str = ""
    related: tuple[str, ...] = ()
    vendor_status: str = ""
    logs: tuple[str, ...] = ()
    on_call: str = ""
    next_step: str = ""
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    note: str = ""
    first_steps: tuple[str, ...] = ()
    fallback: str = ""
    runbook_url: str = ""
    query_url: str = ""
    dashboard_url: str = ""
    logs_url: str = ""
    trace_url: str = ""
    silence_url: str = ""
    acknowledge_url: str = ""
    incident_url: str = ""
    absent: tuple[str, ...] = ()
    stands_in: str = ""
    untold: bool = False
    digest: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for every message of an incident, and for no other of any Tocsin; each digest has its own."""
        name = self.incident or f"digest-{self.revision}"
        return f"tocsin-{name}-{hashlib.sha256(self.incident_url.encode()).hexdigest()[:16]}"
