from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from exporter.ledger import MIGRATIONS as LEDGER
from exporter.ledger.tables import metadata as ledger
from receiver.store import MIGRATIONS as STORE
from receiver.store.tables import metadata as store
from toolkit.storage import migrate, sqlite_url


@pytest.mark.parametrize(("scripts", "metadata"), [(LEDGER, ledger), (STORE, store)], ids=["ledger", "store"])
def test_the_migrations_of_an_empty_database_end_in_the_declared_tables(
    tmp_path: Path, scripts: Path, metadata: MetaData
) -> None:
    url = sqlite_url(None, tmp_path, "x.db")
    migrate(url, scripts)
    migrate(url, scripts)
    with create_engine(url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
