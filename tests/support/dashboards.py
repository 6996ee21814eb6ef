"""Runs every expression of every Grafana dashboard on a real Prometheus."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.running import Running
from tests.support.stack import ROOT

VARIABLES = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
"""What Grafana fills in; a dashboard's own variables stand for everything."""


def expressions() -> Iterator[tuple[str, str]]:
    """(dashboard, panel and query, the expression as Grafana would send it)."""
    for path in sorted((ROOT / "grafana" / "dashboards").glob("*.json")):
        for panel in _panels(json.loads(path.read_text())["panels"]):
            for target in panel.get("targets", []):
                name = f"{path.stem}: {panel['title']} [{target['refId']}]"
                yield name, re.sub(r"\$\{?(\w+)(:\w+)?\}?", lambda found: VARIABLES.get(found[1], ".*"), target["expr"])


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", []))


async def empty_panels(run: Running) -> list[str]:
    """The panels whose expression returns nothing (one that fails raises)."""
    empty = []
    for name, expression in expressions():
        answer = await run.get("prometheus", "/api/v1/query", query=expression)
        if not answer["data"]["result"]:
            empty.append(name)
    return empty
