"""The URL of a database -> where it is and how it is spoken to. Pure but for the look whether a driver is installed."""

from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from toolkit.configfile import nearest

_KINDS = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
_DRIVERS = {"postgresql": ("asyncpg", "postgres"), "mysql": ("aiomysql", "mysql")}
"""The module, and the extra that installs it."""


@dataclass(frozen=True)
class Address:
    """A database: `kind` is postgresql, mysql or sqlite. Its repr holds no password, and `url` does."""

    kind: str
    url: URL

    @property
    def place(self) -> tuple[object, ...]:
        """The same for every URL of the same database."""
        return self.kind, self.url.host, self.url.port, self.url.database


def address(text: str) -> Address:
    """The address that a URL tells. Raises ValueError for one that can't be used; the message doesn't repeat it, for it
    may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("holds no database URL; write it like postgresql://user:password@host/database") from None
    kind = _KINDS.get(url.drivername)
    if kind is None:
        raise ValueError(f"holds the URL of an unknown database{nearest(url.drivername, _KINDS)}")
    if url.port is not None and not 0 < url.port < 65_536:
        raise ValueError("holds a URL whose port is none")
    if not url.database:
        raise ValueError("holds a URL that names no database")
    if kind == "mysql" and set(url.query) - {"ssl"}:
        raise ValueError("holds a URL of MySQL that says more than ?ssl=true")
    module, extra = _DRIVERS.get(kind, ("sqlite3", ""))
    if find_spec(module) is None:
        raise ValueError(f"needs {module}: pip install 'tocsin[{extra}]'")
    return Address(kind, url)
