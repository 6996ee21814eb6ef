"""Opsgenie, so that a resolve closes the alert and an acknowledgement acknowledges it.

Apprise closes by the id of the request that made the alert. Opsgenie takes that with a 202 and closes nothing, for it
is no alert's id; and Apprise forgets it with the process. The alias is ours, and known to every replica.
"""

from typing import Any
from urllib.parse import quote

import requests
from apprise import NotifyType
from apprise.manager_plugins import NotificationManager
from apprise.plugins.opsgenie import OPSGENIE_API_LOOKUP, NotifyOpsgenie, OpsgenieAlertAction

_BY_ALIAS = {OpsgenieAlertAction.CLOSE: "close", OpsgenieAlertAction.ACKNOWLEDGE: "acknowledge"}


class OpsgenieByAlias(NotifyOpsgenie):
    """Apprise's plugin, but for what is done to an alert by its alias."""

    def send(self, body: str, title: str = "", notify_type: NotifyType = NotifyType.INFO, **kwargs: Any) -> bool:
        """Whether Opsgenie took it."""
        action = self.mapping[notify_type] if self.action == OpsgenieAlertAction.MAP else self.action
        if action not in _BY_ALIAS or not self.alias:
            sent = super().send(body, title=title, notify_type=notify_type, **kwargs)  # type: ignore[no-untyped-call]  # Apprise's
            return bool(sent)
        url = f"{OPSGENIE_API_LOOKUP[str(self.region_name)]}/{quote(self.alias, safe='')}/{_BY_ALIAS[action]}"
        note = {"source": self.app_desc, "note": body, **({"user": self.user} if self.user else {})}
        taken, _ = self._fetch(requests.post, url, note, {"identifierType": "alias"})  # type: ignore[no-untyped-call]  # Apprise's
        return bool(taken)


def install() -> None:
    """Puts it in the place of Apprise's own, for this process."""
    NotificationManager().add(OpsgenieByAlias, force=True)
