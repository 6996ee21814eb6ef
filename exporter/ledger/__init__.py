"""What the exporter must not forget: provider states in SQLite, usage counts there or in PostgreSQL."""

from exporter.ledger.ledger import MIGRATIONS, Ledger
from exporter.ledger.usage import UsageLedger

__all__ = ["MIGRATIONS", "Ledger", "UsageLedger"]
