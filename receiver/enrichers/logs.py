"""The newest log lines of the service, redacted, and a link to all of them."""

import json
from collections.abc import Iterable
from urllib.parse import urlencode

from receiver.enrichers.absence import Absent, Reason
from receiver.enrichers.settings import Loki as LokiSettings
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.clock import Now
from toolkit.loki import Line, Loki, LokiFailed
from toolkit.redaction import impersonal, printable, quoted

NAME = "logs"
MOST_LINES = 3
LINE_LENGTH = 200
_ASKED_LINES = 20
"""The same line said again tells nothing new."""
_READ_LENGTH = 2000
"""No more of a line is looked at."""
BEFORE_SECONDS = 300.0
"""What led to an alert was logged before it."""
LONGEST_SECONDS = 3600.0


class LogsEnricher:
    """Asks one Loki."""

    def __init__(self, loki: Loki, settings: LokiSettings, now: Now) -> None:
        self._loki, self._settings, self._now = loki, settings, now

    async def __call__(self, incident: Incident) -> Found | None:
        """At most MOST_LINES different lines, the newest first; None when it has ended, or its leading alert lacks a
        label that the query needs. Raises Absent, with the link to Grafana where there is one."""
        query = self._settings.query.fill(incident.leading.labels)
        if query is None or not incident.firing:
            return None
        end = self._now()
        start = min(max(incident.leading.starts_at - BEFORE_SECONDS, end - LONGEST_SECONDS), end - BEFORE_SECONDS)
        found: Found = {}
        if self._settings.grafana_url is not None:
            found["logs_url"] = explore(self._settings.grafana_url, self._settings.datasource, query, start, end)
        try:
            lines = await self._loki.newest(query, start, end, _ASKED_LINES)
        except LokiFailed as error:
            reason: Reason = "unreachable" if error.unreachable else "refused"
            raise Absent(NAME, reason, fit(str(error)), found) from None
        if not lines:
            raise Absent(NAME, "no_data", f"no line in the last {(end - start) / 60:.0f} min", found)
        found["logs"] = told(lines)
        return found


def told(lines: Iterable[Line]) -> tuple[str, ...]:
    """The first MOST_LINES different lines, each fit to be told."""
    return tuple(dict.fromkeys(text for line in lines if (text := fit(line.text))))[:MOST_LINES]


def fit(text: str) -> str:
    """`text` on one line, without secrets and personal data, LINE_LENGTH long at most."""
    flat = " ".join(impersonal(quoted(text[:_READ_LENGTH])).split())
    shown = printable(flat)
    return shown if len(shown) <= LINE_LENGTH else f"{shown[: LINE_LENGTH - 1]}…"


def explore(grafana: str, datasource: str, query: str, start: float, end: float) -> str:
    """The link to the lines in Grafana's Explore; times in seconds since the epoch."""
    pane = {
        "datasource": datasource,
        "queries": [{"refId": "A", "expr": query, "datasource": {"type": "loki", "uid": datasource}}],
        "range": {"from": str(round(start * 1000)), "to": str(round(end * 1000))},
    }
    panes = json.dumps({"logs": pane}, separators=(",", ":"))
    return f"{grafana.rstrip('/')}/explore?{urlencode({'schemaVersion': 1, 'panes': panes})}"
