"""Reads and writes the ledger. Every method raises StorageUnavailable when the database can't serve."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from exporter.ledger.tables import providers, usage_counts
from exporter.providers.history import State
from exporter.providers.kinds import Certainty, Kind
from exporter.usage.rules import SeriesKey
from toolkit.storage import Database

MIGRATIONS = Path(__file__).parent / "migrations"


class Ledger:
    """The exporter's one door to its database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def states(self) -> dict[str, State]:
        """Every provider's state by name; a row whose verdict this version doesn't know is left out."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(providers))).mappings().all()
        found: dict[str, State] = {}
        for row in rows:
            fields = dict(row)
            name = fields.pop("name")
            if fields["kind"] in set(Kind) and fields["certainty"] in set(Certainty):
                kind, certainty = Kind(fields.pop("kind")), Certainty(fields.pop("certainty"))
                found[name] = State(kind=kind, certainty=certainty, **fields)
        return found

    async def save_states(self, states: Mapping[str, State]) -> None:
        """Stores these providers' states in one transaction."""
        statement = insert(providers)
        update = {column.name: statement.excluded[column.name] for column in providers.c if column.name != "name"}
        statement = statement.on_conflict_do_update(index_elements=["name"], set_=update)
        async with self._database.write() as connection:
            await connection.execute(statement, [{"name": name, **asdict(state)} for name, state in states.items()])

    async def counts(self) -> dict[SeriesKey, int]:
        """Every usage series' count."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(usage_counts))).all()
        return {
            (rule, tuple((label, text) for label, text in msgspec.json.decode(labels))): value
            for rule, labels, value in rows
        }

    async def add(self, deltas: Mapping[SeriesKey, int]) -> None:
        """Adds to the counts in one transaction: all of it is stored, or nothing is."""
        statement = insert(usage_counts)
        statement = statement.on_conflict_do_update(
            index_elements=["rule", "labels"], set_={"value": usage_counts.c.value + statement.excluded.value}
        )
        rows = [
            {"rule": rule, "labels": msgspec.json.encode(labels).decode(), "value": value}
            for (rule, labels), value in deltas.items()
        ]
        async with self._database.write() as connection:
            await connection.execute(statement, rows)
