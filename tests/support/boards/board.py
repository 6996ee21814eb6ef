"""A dashboard: its variables, annotations and links, and the places of its panels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.support.boards.looks import INCIDENTS_BUTTON, Json
from tests.support.boards.panels import DATASOURCE, Panel

EVERYTHING = {"selected": True, "text": ["All"], "value": ["$__all"]}
REFRESHES = ["15s", "30s", "1m", "5m", "15m"]


@dataclass(frozen=True)
class Variable:
    """A choice at the top. `query` is Grafana's, such as `label_values(up, job)`; `only` is chosen first, one alone: without
    it, several or all may be. `pattern` leaves out what it does not match."""

    name: str
    label: str
    description: str
    query: str
    only: str | None = None
    pattern: str = ""

    def written(self) -> Json:
        """The variable as Grafana reads it."""
        several = self.only is None
        current = EVERYTHING if several else {"selected": True, "text": self.only, "value": self.only}
        kind = 0 if self.query.startswith("label_names") else 1
        return {
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "type": "query",
            "datasource": DATASOURCE,
            **({"allValue": ".*"} if several else {}),
            "current": current,
            "hide": 0,
            "includeAll": several,
            "multi": several,
            "options": [],
            "query": {"qryType": kind, "query": self.query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "refresh": 2,
            "regex": self.pattern,
            "skipUrlSync": False,
            "sort": 5,
        }


@dataclass(frozen=True)
class Board:
    """A dashboard; `alerts` selects those of ALERTS that are its own, and `about` are their labels that say what of it."""

    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    alerts: str
    about: Sequence[str]
    rows: Sequence[Sequence[Panel]]
    since: str = "now-6h"
    refresh: str = "30s"
    changes_of: str = ".*"
    """Which services' changes are drawn, as a pattern."""

    def written(self) -> Json:
        """The dashboard as Grafana reads it."""
        return {
            "uid": f"tocsin-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": ["tocsin"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "id": None,
            "refresh": self.refresh,
            "time": {"from": self.since, "to": "now"},
            "timepicker": {"refresh_intervals": REFRESHES},
            "timezone": "browser",
            "weekStart": "",
            "annotations": {"list": [BUILT_IN, self._firing(), self._changes()]},
            "links": [INCIDENTS_BUTTON, OTHERS],
            "templating": {"list": [PROMETHEUS, *(each.written() for each in self.variables)]},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[Json]:
        number, top = 1, 0
        for row in self.rows:
            left = 0
            for panel in row:
                place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
                yield {"id": number, **panel.content, "gridPos": place}
                number, left = number + 1, left + panel.width
            top += row[0].height

    def _firing(self) -> Json:
        labels = ", ".join(("alertname", "severity", "owner", *self.about))
        about = " ".join(f"{{{{{label}}}}}" for label in self.about)
        return {
            **_annotation("Firing alerts", "red", f'max by ({labels}) (ALERTS{{alertstate="firing", {self.alerts}}})'),
            "titleFormat": "{{alertname}}",
            "textFormat": f"{about} ({{{{severity}}}}), owner {{{{owner}}}}",
            "tagKeys": ",".join(("severity", "owner", *self.about)),
            "useValueForTime": False,
        }

    def _changes(self) -> Json:
        changed = f'tocsin_receiver_last_change_timestamp_seconds{{service=~"{self.changes_of}|other"}}'
        return {
            **_annotation("Changes", "blue", f"1000 * max by (kind, service) ({changed})"),
            "titleFormat": "{{kind}} of {{service}}",
            "textFormat": "GET /v1/changes of the receiver tells more",
            "tagKeys": "kind,service",
            "useValueForTime": True,
        }


def _annotation(name: str, colour: str, expr: str) -> Json:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "target": {"refId": "Anno", "expr": expr, "interval": "60s", "instant": False, "range": True},
    }


BUILT_IN: Json = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}

OTHERS: Json = {
    "asDropdown": True,
    "icon": "dashboard",
    "includeVars": False,
    "keepTime": True,
    "tags": ["tocsin"],
    "targetBlank": False,
    "title": "Tocsin dashboards",
    "tooltip": "The other Tocsin dashboards, over the same time",
    "type": "dashboards",
    "url": "",
}

PROMETHEUS: Json = {
    "name": "datasource",
    "label": "Prometheus",
    "description": "The Prometheus that scrapes Tocsin.",
    "type": "datasource",
    "current": {"selected": True, "text": "Prometheus", "value": "prometheus"},
    "hide": 0,
    "includeAll": False,
    "multi": False,
    "options": [],
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
    "skipUrlSync": False,
}
