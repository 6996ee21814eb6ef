"""How values look, in Grafana's words: thresholds, texts for values, links."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
Steps = Sequence[tuple[float | None, str]]
"""(from this value on, the colour); the first begins at None."""
Texts = Mapping[str, tuple[str, str]]
"""A value -> (the text shown for it, its colour)."""

INCIDENTS = "http://localhost:9971/v1/incidents"
NEUTRAL: Steps = ((None, "text"),)
ANY_IS_BAD: Steps = ((None, "green"), (1, "red"))
ANY_IS_A_WARNING: Steps = ((None, "green"), (1, "orange"))
SEVERITIES: Texts = {"critical": ("critical", "red"), "warning": ("warning", "orange"), "info": ("info", "blue")}
DASH = "\u2013"


def thresholds(steps: Steps) -> Json:
    """Absolute thresholds."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in steps]}


def mappings(texts: Texts, empty: str = "") -> list[Json]:
    """Texts for values, and one for no value where `empty` is given: none, no number, or the empty text."""
    options = {
        value: {"color": colour, "index": i, "text": text} for i, (value, (text, colour)) in enumerate(texts.items())
    }
    found: list[Json] = [{"type": "value", "options": options}] if options else []
    for index, match in enumerate(("null+nan", "empty") if empty else (), 90):
        result = {"color": "text", "index": index, "text": empty}
        found.append({"type": "special", "options": {"match": match, "result": result}})
    return found


def link(title: str, url: str, new_tab: bool = False) -> Json:
    """A link on a value."""
    return {"title": title, "url": url, "targetBlank": new_tab}


def board_link(title: str, board: str, **variables: str) -> Json:
    """To one of our dashboards over the same time; `variables` are chosen there."""
    chosen = "&".join(f"var-{name}={value}" for name, value in variables.items())
    return link(title, f"/d/tocsin-{board}?{chosen}&${{__url_time_range}}")


def explore(title: str, expr: str) -> Json:
    """To Explore with this expression, over the same time; Grafana fills in `${__data.fields.x}` and the like."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    query = {"refId": "A", "datasource": source, "expr": expr, "range": True, "instant": False}
    span = {"from": "${__from}", "to": "${__to}"}
    panes = json.dumps({"tocsin": {"datasource": "${datasource}", "queries": [query], "range": span}})
    return link(title, f"/explore?schemaVersion=1&orgId=1&panes={quote(panes, safe='${}._:,')}", new_tab=True)


OPEN_INCIDENTS = link("Open incidents", INCIDENTS, new_tab=True)
RUNBOOK = link("Runbook of ${__value.raw}", "http://localhost:9971/runbooks/${__value.raw}", new_tab=True)

INCIDENTS_BUTTON: Json = {
    "asDropdown": False,
    "icon": "external link",
    "includeVars": False,
    "keepTime": False,
    "tags": [],
    "targetBlank": True,
    "title": "Open incidents",
    "tooltip": "What the receiver has told, to whom, and who has acknowledged it",
    "type": "link",
    "url": INCIDENTS,
}
"""The same at the top of a panel or a dashboard."""
