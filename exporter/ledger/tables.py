"""The ledger's tables. A change here needs a migration; a test holds the two equal."""

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()
BIG = BigInteger().with_variant(Integer, "sqlite")
"""A hundred commits a second are more than 32 bits in a year. SQLite's integers have 64, and it numbers rows by this
name only."""

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

usage_series = Table(
    "usage_series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("rule", "kind", "labels", name="usage_series_once"),
)
"""Every series that was ever counted. `labels` is JSON: [[name, value], ...] in the rule's order."""

usage_journal = Table(
    "usage_journal",
    metadata,
    Column("seq", BIG, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("deltas", LargeBinary, nullable=False),
)
"""What each commit added, in the order of the commits: msgpack, [[series, delta], ...]."""

usage_totals = Table(
    "usage_totals",
    metadata,
    Column("page", Integer, primary_key=True),
    Column("seq", BIG, nullable=False),
    Column("totals", LargeBinary, nullable=False),
)
"""Values of PAGE series each, as of entry `seq` of the journal: msgpack, [[series, value, last grown], ...]."""

usage_head = Table(
    "usage_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BIG, nullable=False),
    Column("folded", BIG, nullable=False),
)
"""One row: the journal's last entry, and the last that every page of totals holds. Who writes, locks it first, so that
entries become visible in their order."""

usage_positions = Table(
    "usage_positions",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("part", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("at", Float, nullable=False),
)
"""How far each stream was read: part of the commit that holds what was counted up to there."""

usage_memory = Table(
    "usage_memory",
    metadata,
    Column("part", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("state", LargeBinary, nullable=False),
)
"""What rules about keys remember of each: part of the commit that counts what they decided."""

usage_keys = Table(
    "usage_keys",
    metadata,
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("answer", LargeBinary, nullable=False),
    Column("at", Float, nullable=False, index=True),
)
"""The idempotency keys of the last days, and what was answered."""
