"""What the receiver must not forget: events, incidents, outbox, deliveries, refused bodies; in SQLite."""

from receiver.store.outbox import OutboxStore
from receiver.store.store import MIGRATIONS, Store

__all__ = ["MIGRATIONS", "OutboxStore", "Store"]
