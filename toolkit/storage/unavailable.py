"""The one error for "can't store now"."""

from typing import Literal

Reason = Literal["locked", "full", "io", "overloaded"]


class StorageUnavailable(Exception):
    """The database can't be read or written now. Try again later.

    Nothing was stored, but for one case: PostgreSQL's answer to a commit was lost (`io`), and nobody can say.

    `reason` is `locked` (others hold what is needed, and let go by themselves), `full` (no room on disk or in memory),
    `io` (broken, out of reach, or no answer in time) or `overloaded` (more waits than can be stored in time). `detail`
    is what the database said of it, for a person at a terminal: without secrets or stored values, but not for the
    clients of a service either.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"storage is unavailable: {reason}")
