"""The store's tables. A change here needs a migration; a test holds the two equal.

Times are seconds since the epoch. Columns named `*_json` hold JSON.
"""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("received_at", Float, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("starts_at", Float, nullable=False),
    Column("status", Text, nullable=False),
    Column("ends_at", Float, nullable=False),  # 0 while firing: NULLs would never be equal in the unique index
    Column("event_json", Text, nullable=False),
    Column("processed_at", Float),
    Column("reason", Text),
    Index("events_key", "fingerprint", "starts_at", "status", "ends_at", unique=True),
    Index("events_unprocessed", "id", sqlite_where=text("processed_at IS NULL")),
)

refused = Table(
    "refused",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("received_at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("resolved_at", Float),
    Column("revision", Integer, nullable=False),
    Index("incidents_one_open", "key", unique=True, sqlite_where=text("state = 'open'")),
)

alerts = Table(
    "alerts",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("starts_at", Float, primary_key=True),
    Column("status", Text, nullable=False),
    Column("incident_id", Integer, ForeignKey("incidents.id")),  # NULL: its resolve came, its firing never did
    Column("event_json", Text, nullable=False),
    Index("alerts_incident", "incident_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", Integer, ForeignKey("incidents.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("message_json", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("may_repeat", Boolean, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("planned_at", Float, nullable=False),
    Column("next_attempt_at", Float, nullable=False),
    Column("finished_at", Float),
    Index("outbox_once", "incident_id", "revision", "target", unique=True),
    Index("outbox_due", "target", "next_attempt_at", sqlite_where=text("finished_at IS NULL")),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("outbox_id", Integer, ForeignKey("outbox.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("result", Text, nullable=False),
    Column("http_status", Integer),
    Column("retry_after", Float),
    Column("detail", Text, nullable=False),
    Index("deliveries_outbox", "outbox_id"),
)
