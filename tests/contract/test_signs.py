"""Signs on real databases."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url

from receiver.store import MIGRATIONS, Sign, SignStore
from toolkit.storage import Database, migrate


@pytest.fixture
async def signs(any_database: str) -> AsyncIterator[SignStore]:
    url = make_url(any_database)
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
