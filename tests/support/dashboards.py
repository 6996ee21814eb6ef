"""Asks a real Prometheus what Grafana would ask it for a dashboard: every variable and every panel's queries."""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.stack import ROOT

FOLDER = ROOT / "grafana" / "dashboards"
EVERYTHING = ".*"
PER_REQUEST_SECONDS = 60
ANNOTATED_SECONDS = 6 * 3600
Series = Mapping[str, Any]
"""One of a Prometheus answer's results: `metric`, and `value` or `values`."""


def dashboards() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name of its file, what it holds) of each dashboard."""
    for path in sorted(FOLDER.glob("*.json")):
        yield path.stem, json.loads(path.read_text(encoding="utf-8"))


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Its panels, those within rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panels({"panels": panel.get("panels", [])})


@dataclass
class Grafana:
    """What Grafana's data source does: fills in variables, and asks. `chosen` are choices at the top of a dashboard."""

    url: str
    rate_interval: str = "1m"
    span: str = "1h"
    chosen: Mapping[str, str] = field(default_factory=dict)

    def variables(self, dashboard: Mapping[str, Any]) -> dict[str, str]:
        """Each variable's value, as an expression needs it: what is chosen, everything, or else the first there is."""
        values = {"__rate_interval": self.rate_interval, "__interval": "15s", "__range": self.span}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                values[variable["name"]] = self._value(variable, values)
        return values

    def _value(self, variable: Mapping[str, Any], values: Mapping[str, str]) -> str:
        if variable["includeAll"]:
            return self.chosen.get(variable["name"], EVERYTHING)
        offered = self.offered(variable, values)
        wanted = self.chosen.get(variable["name"], variable["current"]["value"])
        return wanted if wanted in offered else next(iter(offered), "")

    def offered(self, variable: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
        """What a variable offers to choose from."""
        query = filled(variable["query"]["query"], values)
        pattern = re.compile(variable["regex"].strip("/"))
        return [value for value in self._listed(query) if pattern.search(value)]

    def _listed(self, query: str) -> list[str]:
        names = re.fullmatch(r"label_names\((.+)\)", query)
        if names:
            return self._get("labels", {"match[]": names[1]})  # type: ignore[no-any-return]  # a list of names, by Prometheus's API
        series, label = re.fullmatch(r"label_values\((.+), *(\w+)\)", query).groups()  # type: ignore[union-attr]  # else: no query that we write
        return self._get(f"label/{label}/values", {"match[]": series})  # type: ignore[no-any-return]  # as above

    def now(self, expr: str, at: float | None = None) -> list[Series]:
        """The values of an expression now, or at a time in seconds since the epoch."""
        moment = {} if at is None else {"time": f"{at:.3f}"}
        return self._get("query", {"query": expr, **moment})["result"]  # type: ignore[no-any-return]  # by Prometheus's API

    def course(self, expr: str, start: float, end: float, step: float) -> list[Series]:
        """Its values between two times, every `step` seconds."""
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return self._get("query_range", {"query": expr, **span})["result"]  # type: ignore[no-any-return]  # by Prometheus's API

    def _get(self, path: str, asked: Mapping[str, str]) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=PER_REQUEST_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{asked}: {error.read().decode()}") from error


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with its variables filled in; `$1` belongs to PromQL."""
    return re.sub(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", lambda found: values[found[1] or found[2]], text)


def empty_queries(grafana: Grafana, wanted: Iterable[str]) -> list[str]:
    """The queries of these dashboards that return nothing: of panels now, of annotations in the last hours (one that fails
    raises)."""
    return [
        f"{name}: {query}" for name, dashboard in dashboards() if name in wanted for query in _empty(grafana, dashboard)
    ]


def _empty(grafana: Grafana, dashboard: Mapping[str, Any]) -> Iterator[str]:
    values, now = grafana.variables(dashboard), time.time()
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            if not grafana.now(filled(target["expr"], values)):
                yield f"{panel['title']} [{target['refId']}]"
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            expr = filled(annotation["target"]["expr"], values)
            if not grafana.course(expr, now - ANNOTATED_SECONDS, now, 60):
                yield f"{annotation['name']} (annotation)"
