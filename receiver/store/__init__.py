"""What the receiver must not forget: events, incidents, outbox, deliveries, refused bodies; on SQLite or PostgreSQL."""

from receiver.store.audit import AuditStore
from receiver.store.drills import DrillStore
from receiver.store.outbox import OutboxStore
from receiver.store.signs import Sign, SignStore
from receiver.store.store import MIGRATIONS, Changed, Decision, Store

__all__ = ["MIGRATIONS", "AuditStore", "Changed", "Decision", "DrillStore", "OutboxStore", "Sign", "SignStore", "Store"]
