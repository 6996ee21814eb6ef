"""The ledger's tables. A change here needs a migration; a test holds the two equal."""

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

metadata = MetaData()

providers = Table(
    "providers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("certainty", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("signature", Text, nullable=False, server_default=""),
    Column("since", Float, nullable=False),
    Column("streak", Integer, nullable=False),
    Column("watched_since", Float, nullable=False),
    Column("last_probe", Float, nullable=False),
    Column("last_success", Float),
    Column("failing_since", Float),
    Column("ok_credential", Text, nullable=False, server_default=""),
    Column("probe_seconds", Float, nullable=False),
    Column("ok_shape", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default="probe"),
    Column("seen_at", Float, nullable=False, server_default="0"),
    Column("certificate_expires", Float),
)

accounts = Table(
    "accounts",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("read_at", Float, nullable=False),
    Column("credit", Float),
    Column("spent", Float, nullable=False),
    Column("quota_used_ratio", Float),
    Column("quota_resets_at", Float),
    Column("renews_at", Float),
)

usage_counts = Table(
    "usage_counts",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)
