"""Provider states and usage counts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates both tables."""
    op.create_table(
        "providers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("certainty", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("streak", sa.Integer, nullable=False),
        sa.Column("watched_since", sa.Float, nullable=False),
        sa.Column("last_probe", sa.Float, nullable=False),
        sa.Column("last_success", sa.Float),
        sa.Column("probe_seconds", sa.Float, nullable=False),
    )
    op.create_table(
        "usage_counts",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("labels", sa.Text, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
    )
