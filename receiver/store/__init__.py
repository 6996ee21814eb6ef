"""What the receiver must not forget: events, incidents, outbox, deliveries, refused bodies; on SQLite or PostgreSQL."""

from receiver.store.actions import Action, ActionStore
from receiver.store.audit import AuditStore
from receiver.store.drills import DrillStore
from receiver.store.escalations import EscalationStore, Waiting
from receiver.store.outbox import OutboxStore
from receiver.store.rows import Changed, Decision
from receiver.store.signs import Sign, SignStore
from receiver.store.store import MIGRATIONS, Record, Store

__all__ = [
    "MIGRATIONS",
    "Action",
    "ActionStore",
    "AuditStore",
    "Changed",
    "Decision",
    "DrillStore",
    "EscalationStore",
    "OutboxStore",
    "Record",
    "Sign",
    "SignStore",
    "Store",
    "Waiting",
]
