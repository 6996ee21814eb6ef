"""Events, incidents, outbox, deliveries and refused bodies."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates every table."""
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("starts_at", sa.Float, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ends_at", sa.Float, nullable=False),
        sa.Column("event_json", sa.Text, nullable=False),
        sa.Column("processed_at", sa.Float),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "refused",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("resolved_at", sa.Float),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("starts_at", sa.Float, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id")),
        sa.Column("event_json", sa.Text, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("message_json", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("may_repeat", sa.Boolean, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("planned_at", sa.Float, nullable=False),
        sa.Column("next_attempt_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("outbox_id", sa.Integer, sa.ForeignKey("outbox.id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("retry_after", sa.Float),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("events_key", "events", ["fingerprint", "starts_at", "status", "ends_at"], unique=True)
    op.create_index("events_unprocessed", "events", ["id"], sqlite_where=sa.text("processed_at IS NULL"))
    op.create_index("incidents_one_open", "incidents", ["key"], unique=True, sqlite_where=sa.text("state = 'open'"))
    op.create_index("alerts_incident", "alerts", ["incident_id"])
    op.create_index("outbox_once", "outbox", ["incident_id", "revision", "target"], unique=True)
    op.create_index("outbox_due", "outbox", ["target", "next_attempt_at"], sqlite_where=sa.text("finished_at IS NULL"))
    op.create_index("deliveries_outbox", "deliveries", ["outbox_id"])
