"""Whose look gave a verdict, what good answers were, when certificates end, and what vendors tell of accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds columns and a table. A provider that was answered well before keeps that: "text" says no more than this."""
    op.add_column("providers", sa.Column("ok_shape", sa.Text, nullable=False, server_default=""))
    op.add_column("providers", sa.Column("source", sa.Text, nullable=False, server_default="probe"))
    op.add_column("providers", sa.Column("seen_at", sa.Float, nullable=False, server_default="0"))
    op.add_column("providers", sa.Column("certificate_expires", sa.Float))
    op.execute("UPDATE providers SET ok_shape = 'text' WHERE last_success IS NOT NULL")
    op.create_table(
        "accounts",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("read_at", sa.Float, nullable=False),
        sa.Column("credit", sa.Float),
        sa.Column("spent", sa.Float, nullable=False),
        sa.Column("quota_used_ratio", sa.Float),
        sa.Column("quota_resets_at", sa.Float),
        sa.Column("renews_at", sa.Float),
    )
