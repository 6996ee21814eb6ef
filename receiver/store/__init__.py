"""What the receiver must not forget: events, incidents, outbox, deliveries, refused bodies; on SQLite or PostgreSQL."""

from receiver.store.outbox import OutboxStore
from receiver.store.signs import Sign, SignStore
from receiver.store.store import MIGRATIONS, Decision, Store

__all__ = ["MIGRATIONS", "Decision", "OutboxStore", "Sign", "SignStore", "Store"]
