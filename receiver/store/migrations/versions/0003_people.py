"""What people do to incidents, escalations, changes; where messages stand, and digests."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    """Adds columns and tables."""
    op.add_column("incidents", sa.Column("root", sa.Text, nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("tell_at", sa.Float))
    _partial("incidents_root", "incidents", ["root"], "root != ''")
    _partial("incidents_tell_at", "incidents", ["tell_at"], "tell_at IS NOT NULL")
    op.add_column("outbox", sa.Column("place", sa.Text))
    op.add_column("outbox", sa.Column("digest", sa.Text))
    op.add_column("outbox", sa.Column("reason", sa.Text, nullable=False, server_default=""))
    for name in ("assigned_to", "owner", "kind"):
        op.add_column("incidents", sa.Column(name, sa.Text))
    op.add_column("incidents", sa.Column("snoozed_until", sa.Float))
    op.add_column("outbox", sa.Column("held_until", sa.Float))
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id"), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("actions_incident", "actions", ["incident_id"])
    op.create_table(
        "escalations",
        sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id"), primary_key=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float),
        sa.Column("ended_by", sa.Text),
        sa.Column("called_json", sa.Text, nullable=False),
        sa.Column("called_at", sa.Integer, nullable=False),
    )
    _partial("escalations_due", "escalations", ["due_at"], "due_at IS NOT NULL")
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("undo_url", sa.Text, nullable=False),
    )
    op.create_index("changes_once", "changes", ["source", "key"], unique=True)
    op.create_index("changes_at", "changes", ["at"])
