"""Product usage is kept as a journal of what each commit added, and totals that it is folded into."""

import time

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes the tables, and carries over what was counted: every count, under a series of its own."""
    series = op.create_table(
        "usage_series",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.UniqueConstraint("rule", "kind", "labels", name="usage_series_once"),
    )
    op.create_table(
        "usage_journal",
        sa.Column("seq", BIG, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("deltas", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "usage_totals",
        sa.Column("page", sa.Integer, primary_key=True),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("totals", sa.LargeBinary, nullable=False),
    )
    head = op.create_table(
        "usage_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("folded", BIG, nullable=False),
    )
    op.create_table(
        "usage_positions",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("position", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table(
        "usage_memory",
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "usage_keys",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("ix_usage_keys_at", "usage_keys", ["at"])
    counted = op.get_bind().execute(sa.text("SELECT rule, labels, value FROM usage_counts")).all()
    now = time.time()
    rows = [
        {"id": number, "rule": rule, "kind": "count", "labels": labels, "created_at": now}
        for number, (rule, labels, _) in enumerate(counted, start=1)
    ]
    deltas = [(number, value) for number, (_, _, value) in enumerate(counted, start=1)]
    if rows:
        op.bulk_insert(series, rows)
        statement = sa.text("INSERT INTO usage_journal (seq, at, deltas) VALUES (1, :at, :deltas)")
        op.get_bind().execute(statement, {"at": now, "deltas": msgspec.msgpack.encode(deltas)})
    op.bulk_insert(head, [{"id": 1, "seq": 1 if rows else 0, "folded": 0}])
    op.drop_table("usage_counts")
