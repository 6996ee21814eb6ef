"""Signs on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from receiver.store import MIGRATIONS, Sign, SignStore
from toolkit.storage import Database, migrate, storage_url


@pytest.fixture
async def signs(tmp_path: Path) -> AsyncIterator[SignStore]:
    url = storage_url(None, tmp_path, "receiver.db")
    migrate(url, MIGRATIONS)
    database = Database(url)
    yield SignStore(database)
    await database.close()


async def test_a_sign_is_the_last_one_put_and_none_before(signs: SignStore) -> None:
    assert await signs.get("watchdog") is None
    await signs.put("watchdog", 1000.0)
    await signs.put("drill", 1500.0, '{"target": "chat"}')
    assert await signs.get("watchdog") == Sign(1000.0)
    await signs.put("watchdog", 900.0, "an older clock's, and the last word all the same")
    assert await signs.get("watchdog") == Sign(900.0, "an older clock's, and the last word all the same")
    assert await signs.get("drill") == Sign(1500.0, '{"target": "chat"}')
