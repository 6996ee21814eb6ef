"""What the exporter must not forget: provider states and usage counts, in SQLite."""

from exporter.ledger.ledger import MIGRATIONS, Ledger

__all__ = ["MIGRATIONS", "Ledger"]
