"""Reads and writes the ledger. Every method raises StorageUnavailable when the database can't serve."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from exporter.ledger.tables import accounts, providers
from exporter.providers.account import Account
from exporter.providers.history import State
from exporter.providers.kinds import Certainty, Kind
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

    async def accounts(self) -> dict[str, Account]:
        """What was last read of every provider's account, by name."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(accounts))).mappings().all()
        return {row["provider"]: Account(**{k: v for k, v in row.items() if k != "provider"}) for row in rows}

    async def save(self, states: Mapping[str, State], known: Mapping[str, Account]) -> None:
        """Stores these providers' states and accounts in one transaction."""
        async with self._database.write() as connection:
            await _replace(connection, providers, "name", states)
            await _replace(connection, accounts, "provider", known)


async def _replace(connection: AsyncConnection, table: Table, key: str, values: Mapping[str, Any]) -> None:
    if not values:
        return
    statement = insert(table)
    columns = {column.name: statement.excluded[column.name] for column in table.c if column.name != key}
    statement = statement.on_conflict_do_update(index_elements=[key], set_=columns)
    await connection.execute(statement, [{key: name, **vars(value)} for name, value in values.items()])
