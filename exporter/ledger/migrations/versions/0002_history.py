"""What a provider's past needs: the signature that decided, the start of the failure, the secret that was good."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns."""
    op.add_column("providers", sa.Column("signature", sa.Text, nullable=False, server_default=""))
    op.add_column("providers", sa.Column("failing_since", sa.Float))
    op.add_column("providers", sa.Column("ok_credential", sa.Text, nullable=False, server_default=""))
