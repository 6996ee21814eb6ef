"""Leases, acknowledgement, merged and reopened incidents, decisions and signs; indexes for PostgreSQL too."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _partial(name: str, table: str, columns: list[str], condition: str, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    """Adds columns and tables. The partial indexes are made anew, for those of 0001 are SQLite's alone."""
    op.add_column("events", sa.Column("incident_id", sa.Integer))
    op.drop_index("events_unprocessed", "events")
    _partial("events_unprocessed", "events", ["id"], "processed_at IS NULL")
    op.create_index("events_fingerprint", "events", ["fingerprint", "id"])
    op.create_index("events_incident", "events", ["incident_id"])

    op.add_column("incidents", sa.Column("acknowledged_at", sa.Float))
    op.add_column("incidents", sa.Column("acknowledged_by", sa.Text))
    op.add_column("incidents", sa.Column("reopened", sa.Integer, nullable=False, server_default="0"))
    op.add_column("incidents", sa.Column("merged_into", sa.Integer))
    op.drop_index("incidents_one_open", "incidents")
    _partial("incidents_one_live", "incidents", ["key"], "resolved_at IS NULL", unique=True)
    op.create_index("incidents_key", "incidents", ["key", "id"])

    op.add_column("alerts", sa.Column("service", sa.Text, nullable=False, server_default=""))
    _partial("alerts_service", "alerts", ["service", "starts_at"], "status = 'firing'")

    op.add_column("outbox", sa.Column("status", sa.Text, nullable=False, server_default="firing"))
    op.execute("UPDATE outbox SET status = 'resolved' WHERE message_json LIKE '%\"status\":\"resolved\"%'")
    op.add_column("outbox", sa.Column("lease_until", sa.Float))
    op.add_column("outbox", sa.Column("leased_by", sa.Text))
    op.add_column("outbox", sa.Column("fallback_of", sa.Integer))
    op.add_column("outbox", sa.Column("superseded_by", sa.Integer))
    op.drop_index("outbox_due", "outbox")
    _partial("outbox_due", "outbox", ["target", "next_attempt_at"], "finished_at IS NULL")
    _partial("outbox_leased", "outbox", ["lease_until"], "lease_until IS NOT NULL")

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("decisions_incident", "decisions", ["incident_id"])
    op.create_table(
        "signs",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
