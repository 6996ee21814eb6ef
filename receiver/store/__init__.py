"""What the receiver must not forget: events, incidents, outbox, deliveries, refused bodies; in SQLite."""

from receiver.store.store import MIGRATIONS, Store

__all__ = ["MIGRATIONS", "Store"]
