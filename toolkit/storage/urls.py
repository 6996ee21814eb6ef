"""What `--storage.url` may say."""

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

_POSTGRESQL = ("postgresql", "postgres", "postgresql+asyncpg")


def storage_url(url: str | None, folder: Path, name: str) -> URL:
    """The database's URL: `url` where given, else the file `name` in `folder`, which is made.

    `url` is `sqlite:///path` or `postgresql://user@host/database`; asyncpg reads what follows a `?` as libpq does, and
    takes a password that is not in the URL from PGPASSWORD or ~/.pgpass. Raises ValueError when `url` is none that is
    supported; the message doesn't repeat it, for it may hold a password.
    """
    if url is None:
        folder.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(folder / name))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ValueError(
            "--storage.url is not a database URL; write it like sqlite:////var/lib/tocsin/x.db "
            "or postgresql://user@host/database"
        ) from None
    if parsed.drivername in _POSTGRESQL:
        return _postgresql(parsed)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise ValueError(
            "--storage.url: only sqlite:///path and postgresql://user@host/database are supported, "
            f"not {parsed.drivername}://"
        )
    return parsed


def _postgresql(url: URL) -> URL:
    if not url.database:
        raise ValueError("--storage.url names no database; write it like postgresql://user@host/database")
    if find_spec("asyncpg") is None:
        raise ValueError("--storage.url: PostgreSQL needs asyncpg: pip install 'tocsin[postgres]'")
    return url.set(drivername="postgresql")
