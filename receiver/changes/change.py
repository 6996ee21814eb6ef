"""A change as it was told: a deploy, a flag, a setting, a migration. Pure."""

from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from toolkit.clock import parse_rfc3339

Kind = Literal["deploy", "flag", "config", "migration", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST_TITLE = 200
LONGEST_NAME = 100
LONGEST_LINK = 2000

_NOUNS = {"config": "config change", "other": "change"}


class ChangeError(Exception):
    """What was posted is no change. The message names the field, for people."""


@dataclass(frozen=True)
class Post:
    """What was posted: the body, the header `X-GitHub-Event`, what the query says of service and environment (it goes
    before what a vendor says), and when it was received, in seconds since the epoch."""

    body: bytes
    received_at: float
    event: str = ""
    service: str = ""
    environment: str = ""


@dataclass(frozen=True)
class Ignored:
    """What was posted tells of no change, and why: a ping, a deployment that is still under way."""

    reason: str


@dataclass(frozen=True)
class ToldChange:
    """`key` is what `source` calls it: told twice, it is one change. `at` in seconds since the epoch.

    `title` says what was changed ("1.42", "new-pricing turned on"); a `service` that is empty stands for any. `url`
    leads to it, `undo_url` to where it is undone.
    """

    source: str
    key: str
    at: float
    kind: Kind
    title: str
    service: str = ""
    environment: str = ""
    author: str = ""
    url: str = ""
    undo_url: str = ""

    @property
    def words(self) -> str:
        """Ready to read: `"deploy of checkout 1.42 by ana"`."""
        title = self.title
        if self.service and title.casefold().startswith(f"{self.service.casefold()} "):
            title = title[len(self.service) + 1 :]
        whose = f" of {self.service}" if self.service else ""
        joint = ": " if " " in title else " "
        by = f" by {self.author}" if self.author else ""
        return f"{_NOUNS.get(self.kind, self.kind)}{whose}{joint}{title}{by}"


def instant(told: str | float, where: str) -> float:
    """An RFC 3339 time or seconds since the epoch, as seconds. Raises ChangeError, naming the field `where`."""
    try:
        return parse_rfc3339(told) if isinstance(told, str) else float(told)
    except (ValueError, OverflowError):
        raise ChangeError(f"{where}: {str(told)[:40]!r} is no RFC 3339 time") from None


def is_link(url: str) -> bool:
    """Whether people can be sent there: http or https, and nobody's password in it."""
    try:
        split = urlsplit(url)
        valid = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        return False
    plain = not (split.username or split.password) and url.isprintable() and " " not in url
    return valid and plain and len(url) <= LONGEST_LINK
