"""What people did to incidents: acknowledged, assigned, noted, silenced ... A row is never changed.

Every method raises StorageUnavailable when the database can't serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select

from receiver.incidents import Incident
from receiver.store.tables import actions
from toolkit.storage import Database

What = Literal["acknowledged", "resolved", "assigned", "noted", "snoozed", "silenced", "reclassified"]


@dataclass(frozen=True)
class Action:
    """Something that `by` did, and how it reached us (`link`, `slack`, `api`). `detail` is for people; `note` is what
    they wrote. `at` is None until it is stored."""

    what: What
    by: str
    via: str
    detail: str = ""
    note: str = ""
    at: float | None = None


class ActionStore:
    """Reads; they are written with the revision of the incident that they make."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, incident: int) -> list[Action]:
        """What was done to an incident, the oldest first."""
        query = select(actions).where(actions.c.incident_id == incident).order_by(actions.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [Action(row["what"], row["by"], row["via"], row["detail"], row["note"], row["at"]) for row in rows]


def action_row(incident: Incident, action: Action, now: float) -> Mapping[str, Any]:
    """The row of an action that is done now."""
    return {
        "at": now,
        "incident_id": incident.id,
        "what": action.what,
        "by": action.by,
        "via": action.via,
        "detail": action.detail,
        "note": action.note,
    }
