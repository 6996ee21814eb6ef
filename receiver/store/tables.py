"""The store's tables, on SQLite and PostgreSQL alike. A change here needs a migration; a test holds them equal.

Times are seconds since the epoch. Columns named `*_json` hold JSON.
"""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData()


def _where(name: str, condition: str, *columns: str, unique: bool = False) -> Index:
    """An index of the rows that meet `condition`."""
    return Index(name, *columns, unique=unique, sqlite_where=text(condition), postgresql_where=text(condition))


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
    Column("incident_id", Integer),  # which incident it went to; NULL: to none
    Index("events_key", "fingerprint", "starts_at", "status", "ends_at", unique=True),
    _where("events_unprocessed", "processed_at IS NULL", "id"),
    Index("events_fingerprint", "fingerprint", "id"),
    Index("events_incident", "incident_id"),
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
    Column("acknowledged_at", Float),
    Column("acknowledged_by", Text),
    Column("reopened", Integer, nullable=False, server_default="0"),  # how many times
    Column("merged_into", Integer),
    Column("root", Text, nullable=False, server_default=""),
    Column("tell_at", Float),  # when it is told whom it was not told yet
    Column("assigned_to", Text),
    Column("snoozed_until", Float),
    Column("owner", Text),  # what a person said, against what the alerts say
    Column("kind", Text),
    _where("incidents_one_live", "resolved_at IS NULL", "key", unique=True),
    Index("incidents_key", "key", "id"),
    _where("incidents_root", "root != ''", "root"),
    _where("incidents_tell_at", "tell_at IS NOT NULL", "tell_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("starts_at", Float, primary_key=True),
    Column("status", Text, nullable=False),
    Column("incident_id", Integer, ForeignKey("incidents.id")),  # NULL: its resolve came, its firing never did
    Column("event_json", Text, nullable=False),
    Column("service", Text, nullable=False, server_default=""),
    Index("alerts_incident", "incident_id"),
    _where("alerts_service", "status = 'firing'", "service", "starts_at"),
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
    Column("status", Text, nullable=False, server_default="firing"),
    Column("lease_until", Float),  # while `sending`: after this its sender is taken for dead
    Column("leased_by", Text),
    Column("fallback_of", Integer),  # the row that this one stands in for
    Column("superseded_by", Integer),  # the newer row that was sent in its place
    Column("place", Text),  # where the message stands in the sink, in the sink's words
    Column("digest", Text),  # the digest that it waits for, which tells several at once
    Column("reason", Text, nullable=False, server_default=""),  # the message's
    Column("held_until", Float),  # not told before: its target is quiet until then, or its digest comes then
    Index("outbox_once", "incident_id", "revision", "target", unique=True),
    _where("outbox_due", "finished_at IS NULL", "target", "next_attempt_at"),
    _where("outbox_leased", "lease_until IS NOT NULL", "lease_until"),
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

# why something was told or not, one row per decision that no other table holds
decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("incident_id", Integer, ForeignKey("incidents.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("what", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("decisions_incident", "incident_id"),
)

# what was last seen or done, by name: the Watchdog, the heartbeat
signs = Table(
    "signs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("detail", Text, nullable=False),
)

# what people did to an incident: acknowledged, assigned, noted, silenced ...
actions = Table(
    "actions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("incident_id", Integer, ForeignKey("incidents.id"), nullable=False),
    Column("what", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("via", Text, nullable=False),  # link, slack, api
    Column("detail", Text, nullable=False),
    Column("note", Text, nullable=False),
    Index("actions_incident", "incident_id"),
)

# how far each incident's escalation is; `ended_by`: why nobody more is called; `due_at` NULL: nor is anybody reminded
escalations = Table(
    "escalations",
    metadata,
    Column("incident_id", Integer, ForeignKey("incidents.id"), primary_key=True),
    Column("policy", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("due_at", Float),
    Column("ended_by", Text),
    Column("called_json", Text, nullable=False),  # the targets of the last step
    Column("called_at", Integer, nullable=False),  # the incident's revision that told them
    _where("escalations_due", "due_at IS NOT NULL", "due_at"),
)

# deploys, flags, migrations: what may have caused an incident
changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False),  # what the source calls it; told twice, it is one change
    Column("at", Float, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("undo_url", Text, nullable=False),
    Index("changes_once", "source", "key", unique=True),
    Index("changes_at", "at"),
)
