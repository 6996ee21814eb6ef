"""A whole dashboard as a page."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.dashboards import EVERYTHING, Grafana, filled
from tests.support.drawing.answers import Asker, Span
from tests.support.drawing.blocks import bars, stat, table
from tests.support.drawing.charts import chart
from tests.support.drawing.fields import hexed
from tests.support.drawing.frame import Frame, Mark
from tests.support.drawing.lanes import lanes
from toolkit.clock import parse_duration

WIDTH = 1560
COLUMN = WIDTH / 24
ROW = 33
GAP = 8
TITLE = 30
"""Pixels: of the page, of a column, of a row of the grid, between panels, of a panel's head."""

PAGE_WIDTH = WIDTH + 2 * GAP

STYLE = f"""
* {{ box-sizing: border-box; margin: 0 }}
body {{ width: {PAGE_WIDTH}px; padding: 10px {GAP}px; background: #f3f5f8; color: #2b3440;
        font: 13px/1.35 "DejaVu Sans", "Liberation Sans", sans-serif }}
header {{ padding: 4px 4px 12px }} h1 {{ font-size: 21px }} header p {{ color: #56606c; margin-top: 2px }}
header span {{ display: inline-block; background: #fff; border: 1px solid #d9dee5; border-radius: 3px;
               padding: 2px 8px; margin: 8px 6px 0 0 }} header span b {{ font-weight: 600 }}
main {{ position: relative }}
section {{ position: absolute; background: #fff; border: 1px solid #dfe4ea; border-radius: 4px; overflow: hidden;
           padding: 7px 10px }}
h2 {{ font-size: 13px; font-weight: 600; height: 23px; white-space: nowrap }}
svg {{ display: block }}
.legend {{ height: 19px; white-space: nowrap; font-size: 11px; color: #56606c }}
.legend span {{ margin-right: 14px }} .legend b {{ color: #2b3440; font-weight: 600; margin-left: 3px }}
.legend i {{ display: inline-block; width: 12px; height: 3px; margin: 0 5px 3px 0; vertical-align: middle }}
.legend .lane {{ height: 10px; border-radius: 2px }}
.more, .nothing {{ color: #6b7684; font-style: italic }} .nothing {{ padding-top: 20px; text-align: center }}
.stats {{ display: flex; gap: 18px; position: relative; z-index: 1; justify-content: space-around }}
.stat {{ text-align: center; flex: 1 }} .value {{ font-size: 30px; line-height: 46px; font-weight: 600; white-space: nowrap }}
.name {{ color: #56606c; font-size: 12px; white-space: nowrap; height: 16px; margin-bottom: -4px }}
.spark {{ position: absolute; left: 0; bottom: 0 }}
table {{ border-collapse: collapse; width: 100%; font-size: 12px }}
th {{ text-align: left; font-weight: 600; color: #56606c; height: 27px; border-bottom: 1px solid #d9dee5; white-space: nowrap;
      padding: 0 8px }}
td {{ height: 25px; padding: 0 8px; border-bottom: 1px solid #edf0f4; white-space: nowrap; max-width: 260px; overflow: hidden;
      text-overflow: ellipsis }}
.n {{ text-align: right }} .link {{ text-decoration: underline; text-decoration-color: #a8b6c8; text-underline-offset: 3px }}
"""


def page(dashboard: Mapping[str, Any], grafana: Grafana, now: float) -> tuple[str, int]:
    """(the page, how many pixels high it is) of a dashboard with a Prometheus's answers; `now` in seconds since the epoch."""
    back = parse_duration(dashboard["time"]["from"].removeprefix("now-"))
    asker = Asker(grafana, grafana.variables(dashboard), Span(now - back, now))
    marks = list(_marks(dashboard, asker))
    sections = "".join(_section(panel, asker, marks) for panel in dashboard["panels"])
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"]) * ROW
    body = f"{_header(dashboard, asker)}<main style='height:{bottom}px'>{sections}</main>"
    return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style><body>{body}</body>", bottom + 118


def _header(dashboard: Mapping[str, Any], asker: Asker) -> str:
    chosen = [
        f"<span>{html.escape(each['label'])} <b>{html.escape(_chosen(asker.values[each['name']]))}</b></span>"
        for each in dashboard["templating"]["list"]
        if each["type"] == "query"
    ]
    hours = f"<span>Last {asker.span.text.removesuffix('h')} hours, UTC</span>"
    about = html.escape(dashboard["description"])
    return f"<header><h1>{html.escape(dashboard['title'])}</h1><p>{about}</p>{''.join(chosen)}{hours}</header>"


def _chosen(value: str) -> str:
    return "All" if value == EVERYTHING else value


def _marks(dashboard: Mapping[str, Any], asker: Asker) -> Iterator[Mark]:
    """What the annotations tell of: when alerts began, and when something was changed."""
    span = asker.span
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            expr = filled(annotation["target"]["expr"], asker.values)
            for series in asker.grafana.course(expr, span.start, span.end, span.step):
                at, value = series["values"][0]
                moment = float(value) / 1000 if annotation["useValueForTime"] else float(at)
                yield Mark(moment, hexed(annotation["iconColor"]))


def _section(panel: Mapping[str, Any], asker: Asker, marks: list[Mark]) -> str:
    place = panel["gridPos"]
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    where = f"left:{place['x'] * COLUMN:.0f}px;top:{place['y'] * ROW}px;width:{width:.0f}px;height:{height:.0f}px"
    frame = Frame(width - 22, height - TITLE - 8, asker.span, marks)
    title = html.escape(filled(panel["title"], asker.values))
    return f'<section style="{where}"><h2>{title}</h2>{_content(panel, asker, frame)}</section>'


def _content(panel: Mapping[str, Any], asker: Asker, frame: Frame) -> str:
    if panel["type"] == "table":
        return table(panel, asker.rows(panel), frame)
    lines = asker.lines(panel)
    if not lines:
        return '<div class="nothing">No data</div>'
    if panel["type"] == "timeseries":
        return chart(panel, lines, frame)
    if panel["type"] == "state-timeline":
        return lanes(lines, frame)
    return (stat if panel["type"] == "stat" else bars)(panel, lines, frame)
