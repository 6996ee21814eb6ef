"""What the fault lanes may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.receivers import sqlite


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL server of this test worker's own."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh database, of the kind that the test's row names."""
    if request.param == "sqlite":
        yield sqlite(tmp_path)
        return
    server: postgres.Server = request.getfixturevalue("server")
    with server.database() as url:
        yield url
