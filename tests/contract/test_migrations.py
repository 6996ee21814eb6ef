import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from exporter.ledger import MIGRATIONS as LEDGER
from exporter.ledger.tables import metadata as ledger
from receiver.store import MIGRATIONS as STORE
from receiver.store.tables import metadata as store
from toolkit.storage import Database, migrate, storage_url
from toolkit.storage.database import newest

SCHEMAS = [("ledger", LEDGER, ledger), ("store", STORE, store)]


@pytest.mark.parametrize(("scripts", "metadata"), [row[1:] for row in SCHEMAS], ids=[row[0] for row in SCHEMAS])
async def test_the_migrations_of_an_empty_database_end_in_the_declared_tables(
    any_database: str, tmp_path: Path, scripts: Path, metadata: MetaData
) -> None:
    url = storage_url(any_database, tmp_path, "")
    migrate(url, scripts)
    migrate(url, scripts)

    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    database = Database(url)
    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


@pytest.mark.parametrize("scripts", [LEDGER, STORE])
def test_a_migrations_file_is_named_by_its_revision(scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts))
    assert ScriptDirectory.from_config(config).get_current_head() == newest(scripts)


async def test_a_database_of_a_newer_version_is_refused_without_its_password(any_database: str, tmp_path: Path) -> None:
    url = storage_url(any_database, tmp_path, "")
    migrate(url, STORE)
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(ValueError, match="was written by a newer version of Tocsin") as refused:
        migrate(url, STORE)
    assert url.password is None or url.password not in str(refused.value)


async def test_processes_that_start_together_migrate_once(postgres: str) -> None:
    program = f"""if True:
        from pathlib import Path
        from toolkit.storage import migrate, storage_url
        print("ready", flush=True)
        input()
        migrate(storage_url({postgres!r}, Path(), ""), Path({str(STORE)!r}))
    """
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=PIPE, stdout=PIPE) for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
