"""Alembic's entry: runs the migrations on the connection that `toolkit.storage.migrate` opened."""

from alembic import context

from exporter.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
