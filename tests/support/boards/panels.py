"""Panels: each function returns one as Grafana reads it, but for its id and place, which the board gives it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.boards.looks import DASH, INCIDENTS_BUTTON, NEUTRAL, Json, Steps, Texts, mappings, thresholds

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
VERSION = "12.4.11"
LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
DASHED = {"dash": [8, 8], "fill": "dash"}


@dataclass(frozen=True)
class Panel:
    """`content` as Grafana reads it; `width` of 24 columns, `height` in rows of 30 pixels."""

    content: Json
    width: int
    height: int


@dataclass(frozen=True)
class Query:
    """An expression; `legend` with labels in double braces. `at_once` asks for the value at the end of the time alone."""

    expr: str
    legend: str = ""
    at_once: bool = False

    def target(self, number: int, table: bool = False) -> Json:
        """The query as Grafana reads it, as A, B, C ..."""
        now = table or self.at_once
        legend = {} if table else {"legendFormat": self.legend}
        return {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": self.expr,
            "format": "table" if table else "time_series",
            "instant": now,
            "range": not now,
            **legend,
        }


@dataclass(frozen=True)
class Column:
    """A column of a table: `source` is a label, or `A`, `B` ... for the value of a query; `title` is its head."""

    source: str
    title: str
    unit: str = ""
    decimals: int | None = None
    steps: Steps = ()
    texts: Texts = field(default_factory=dict)
    links: Sequence[Json] = ()
    width: int = 0
    empty: str = ""
    filled: bool = False

    @property
    def name(self) -> str:
        """What the data frame calls it."""
        return f"Value #{self.source}" if self.source.isupper() else self.source

    def override(self) -> Json:
        """The settings of this column alone."""
        properties: list[Json] = []
        if self.unit:
            properties.append({"id": "unit", "value": self.unit})
        if self.decimals is not None:
            properties.append({"id": "decimals", "value": self.decimals})
        if self.texts or self.empty:
            properties.append({"id": "mappings", "value": mappings(self.texts, self.empty or DASH)})
        if self.steps:
            properties.append({"id": "thresholds", "value": thresholds(self.steps)})
        if self.steps or any(colour != "text" for _, colour in self.texts.values()):
            cell = {"type": "color-background", "mode": "basic"} if self.filled else {"type": "color-text"}
            properties.append({"id": "custom.cellOptions", "value": cell})
        if self.texts and not (self.unit or self.steps):
            properties.append({"id": "custom.align", "value": "left"})
        if self.links:
            properties.append({"id": "links", "value": list(self.links)})
        if self.width:
            properties.append({"id": "custom.minWidth", "value": self.width})
        return {"matcher": {"id": "byName", "options": self.title}, "properties": properties}


@dataclass(frozen=True)
class Line:
    """How the lines whose name matches `pattern` are drawn; what is None stays as the others are."""

    pattern: str
    colour: str | None = None
    width: int | None = None
    fill: int | None = None
    dashed: bool = False
    band_to: str | None = None
    """The name of the line down to which the area is filled."""
    in_legend: bool = True
    shades: bool = False
    """Several lines of the colour differ by their shade."""

    def override(self) -> Json:
        """The settings of these lines alone."""
        properties: list[Json] = []
        if self.colour is not None:
            properties.append(
                {"id": "color", "value": {"mode": "shades" if self.shades else "fixed", "fixedColor": self.colour}}
            )
        if self.width is not None:
            properties.append({"id": "custom.lineWidth", "value": self.width})
        if self.fill is not None:
            properties.append({"id": "custom.fillOpacity", "value": self.fill})
        if self.dashed:
            properties.append({"id": "custom.lineStyle", "value": DASHED})
        if self.band_to is not None:
            properties.append({"id": "custom.fillBelowTo", "value": self.band_to})
        if not self.in_legend:
            hidden = {"legend": True, "tooltip": False, "viz": False}
            properties.append({"id": "custom.hideFrom", "value": hidden})
        return {"matcher": {"id": "byRegexp", "options": f"/{self.pattern}/"}, "properties": properties}


def stat(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "none",
    steps: Steps = NEUTRAL,
    width: int = 6,
    decimals: int | None = None,
    texts: Texts | None = None,
    names: bool = False,
    links: Sequence[Json] = (),
    spark: bool = True,
) -> Panel:
    """One number, with its course behind it; `names` shows the legend above it."""
    defaults = {
        "color": {"mode": "thresholds"},
        "links": list(links),
        "mappings": mappings(texts or {}),
        "thresholds": thresholds(steps),
        "unit": unit,
        **_decimals(decimals),
    }
    options = {
        "colorMode": "value",
        "graphMode": "area" if spark and not query.at_once else "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": LAST,
        "showPercentChange": False,
        "textMode": "value_and_name" if names else "auto",
        "wideLayout": True,
    }
    return _panel(
        "stat", title, description, [query.target(0)], {"defaults": defaults, "overrides": []}, options, width, 4
    )


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = "none",
    steps: Steps = NEUTRAL,
    width: int = 12,
    height: int = 8,
    axis: str = "",
    drawn: Sequence[Line] = (),
    stacked: bool = False,
    limits: bool = False,
    links: Sequence[Json] = (),
    decimals: int | None = None,
    low: float | None = 0,
    high: float | None = None,
) -> Panel:
    """Courses over time. `limits` draws the thresholds as dashed lines; `low` is the axis's end, `high` at least its top."""
    custom: Json = {
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": axis,
        "axisPlacement": "auto",
        "barAlignment": 0,
        "drawStyle": "line",
        "fillOpacity": 30 if stacked else 0,
        "gradientMode": "none",
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "lineInterpolation": "linear",
        "lineWidth": 1 if stacked else 2,
        "pointSize": 5,
        "scaleDistribution": {"type": "linear"},
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if limits else "off"},
        **({} if high is None else {"axisSoftMax": high}),
    }
    defaults = {
        "color": {"mode": "palette-classic"},
        "custom": custom,
        "links": list(links),
        "mappings": [],
        "thresholds": thresholds(steps),
        "unit": unit,
        **({} if low is None else {"min": low}),
        **_decimals(decimals),
    }
    options = {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    field_config = {"defaults": defaults, "overrides": [each.override() for each in drawn]}
    return _panel("timeseries", title, description, _targets(queries), field_config, options, width, height)


def timeline(
    title: str,
    description: str,
    query: Query,
    *,
    texts: Texts,
    width: int = 24,
    height: int = 6,
    links: Sequence[Json] = (),
    nothing: str = "No data",
) -> Panel:
    """A lane for each series, coloured by what its value stands for; `nothing` is shown where there is none."""
    defaults = {
        "color": {"mode": "thresholds"},
        "custom": {"fillOpacity": 80, "lineWidth": 0, "hideFrom": {"legend": False, "tooltip": False, "viz": False}},
        "links": list(links),
        "mappings": mappings(texts),
        "noValue": nothing,
        "thresholds": thresholds(NEUTRAL),
        "unit": "none",
    }
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "perPage": 20,
        "rowHeight": 0.85,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    config = {"defaults": defaults, "overrides": []}
    return _panel("state-timeline", title, description, [query.target(0)], config, options, width, height)


def bars(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str,
    steps: Steps,
    high: float,
    low: float = 0,
    width: int = 8,
    height: int = 8,
    decimals: int = 0,
    texts: Texts | None = None,
    links: Sequence[Json] = (),
) -> Panel:
    """A bar for each series between `low` and `high`."""
    defaults = {
        "color": {"mode": "thresholds"},
        "decimals": decimals,
        "links": list(links),
        "mappings": mappings(texts or {}, empty="none"),
        "max": high,
        "min": low,
        "thresholds": thresholds(steps),
        "unit": unit,
    }
    options = {
        "displayMode": "basic",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "maxVizHeight": 40,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "orientation": "horizontal",
        "reduceOptions": LAST,
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    }
    config = {"defaults": defaults, "overrides": []}
    return _panel("bargauge", title, description, [query.target(0)], config, options, width, height)


def table(
    title: str,
    description: str,
    exprs: Sequence[str],
    columns: Sequence[Column],
    *,
    sort: str = "",
    descending: bool = False,
    order: str = "",
    width: int = 24,
    height: int = 8,
    nothing: str = "No data",
) -> Panel:
    """The values of `exprs` now, joined by their labels; columns in this order, rows sorted by the column titled `sort`.
    What no column names is left out; rows can be ordered by it, the greatest first: `order` is its query. `nothing` is shown where there is no row."""
    defaults = {
        "color": {"mode": "thresholds"},
        "custom": {
            "align": "auto",
            "cellOptions": {"type": "auto"},
            "filterable": True,
            "inspect": False,
            "minWidth": 80,
        },
        "mappings": mappings({}, empty=DASH),
        "noValue": nothing,
        "thresholds": thresholds(NEUTRAL),
        "unit": "none",
    }
    overrides = [each.override() for each in columns]
    options = {
        "cellHeight": "sm",
        "frameIndex": 0,
        "showHeader": True,
        "sortBy": [{"displayName": sort, "desc": descending}] if sort else [],
    }
    values = (f"Value #{chr(ord('A') + number)}" for number in range(len(exprs)))
    unshown = [value for value in values if value not in {each.name for each in columns}]
    organized = {
        "excludeByName": {"Time": True, **dict.fromkeys(unshown, True)},
        "includeByName": {},
        "indexByName": {each.name: place for place, each in enumerate(columns)},
        "renameByName": {each.name: each.title for each in columns},
    }
    targets = [Query(expr).target(number, table=True) for number, expr in enumerate(exprs)]
    config = {"defaults": defaults, "overrides": [each for each in overrides if each["properties"]]}
    panel = _panel("table", title, description, targets, config, options, width, height)
    ordered = {"fields": {}, "sort": [{"field": f"Value #{order}", "desc": True}]}
    steps: list[Json] = [
        {"id": "merge", "options": {}},
        *([{"id": "sortBy", "options": ordered}] if order else []),
        {"id": "organize", "options": organized},
    ]
    return Panel({**panel.content, "transformations": steps}, panel.width, panel.height)


def _targets(queries: Sequence[Query]) -> list[Json]:
    return [query.target(number) for number, query in enumerate(queries)]


def _decimals(decimals: int | None) -> Mapping[str, Any]:
    return {} if decimals is None else {"decimals": decimals}


def _panel(
    kind: str, title: str, description: str, targets: list[Json], config: Json, options: Json, width: int, height: int
) -> Panel:
    content = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "links": [INCIDENTS_BUTTON] if kind in ("table", "state-timeline") else [],
        "targets": targets,
        "fieldConfig": config,
        "options": options,
        "pluginVersion": VERSION,
    }
    return Panel(content, width, height)
