"""What is shown as of now: a number, bars, a table."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.drawing.answers import Line, Row
from tests.support.drawing.fields import COLOURS, field_of
from tests.support.drawing.frame import Frame
from tests.support.drawing.svg import GREY, Plot, area, box, drawing, path, text

HEAD, ROW = 27, 25
"""Pixels that a table's head and each of its rows take."""
BAR, PADDING = 30, 22
"""Pixels of a bar with its gap, and of a panel's padding on both sides."""


def stat(panel: Mapping[str, Any], lines: Sequence[Line], frame: Frame) -> str:
    """Each query's last value; of one alone, its course behind it."""
    named = panel["options"]["textMode"] == "value_and_name" or len(lines) > 1
    numbers = "".join(_number(line, named, frame.span.end) for line in lines)
    spark = _spark(lines[0], frame) if len(lines) == 1 and panel["options"]["graphMode"] == "area" else ""
    return f'<div class="stats">{numbers}</div>{spark}'


def _number(line: Line, named: bool, now: float) -> str:
    said, colour = line.field.text(line.last, now)
    name = f'<div class="name">{html.escape(line.name)}</div>' if named and line.name else ""
    return f'<div class="stat">{name}<div class="value" style="color:{colour}">{html.escape(said)}</div></div>'


def _spark(line: Line, frame: Frame) -> str:
    points = [(at, value) for at, value in line.points if math.isfinite(value)]
    values = [value for _, value in points]
    if len(set(values)) < 2:
        return ""
    plot = Plot(0, 4, frame.width + PADDING, 40, frame.span, min([*values, 0]), max(values))
    placed = [(plot.x(at), plot.y(value)) for at, value in points]
    floor = [(x, 46.0) for x, _ in placed]
    colour = line.field.text(line.last, frame.span.end)[1]
    marks = [area(placed, floor, colour, 0.1), path(placed, colour, 1)]
    return f'<div class="spark">{drawing(frame.width + PADDING, 46, marks)}</div>'


def bars(panel: Mapping[str, Any], lines: Sequence[Line], frame: Frame) -> str:
    """A bar for each line's last value."""
    defaults = panel["fieldConfig"]["defaults"]
    low, high = defaults["min"], defaults["max"]
    fits = max(int(frame.height // BAR), 1)
    marks = []
    for n, line in enumerate(lines[:fits]):
        said, colour = line.field.text(line.last, frame.span.end)
        part = 0.0 if math.isnan(line.last) else (min(max(line.last, low), high) - low) / (high - low)
        top, left, right = n * BAR + 4, 0.4 * frame.width, 74
        wide = frame.width - left - right
        marks.append(text(left - 8, top + 15, line.name, "end", COLOURS["text"], 12))
        marks.append(box(left, top + 2, wide, BAR - 13, GREY, 0.5, 2))
        marks.append(box(left, top + 2, wide * part, BAR - 13, colour, 0.85, 2))
        marks.append(text(frame.width - right + 8, top + 15, said, "start", colour, 12))
    return drawing(frame.width, frame.height, marks)


def table(panel: Mapping[str, Any], rows: Sequence[Row], frame: Frame) -> str:
    """Rows and columns as the panel orders and sorts them."""
    if not rows:
        return f'<div class="nothing">{html.escape(panel["fieldConfig"]["defaults"].get("noValue", "No data"))}</div>'
    columns = _columns(panel, rows)
    titles = dict(columns)
    for name, down in _sorting(panel):
        rows = _sorted(rows, name, down)
    fits = max(int((frame.height - HEAD) // ROW), 1)
    shown_rows = rows if len(rows) <= fits else rows[: fits - 1]
    numeric = {name for name, title in columns if _is_numeric(panel, title, [row.get(name) for row in rows])}
    head = "".join(f'<th class="{"n" if name in numeric else ""}">{html.escape(title)}</th>' for name, title in columns)
    body = "".join(
        f"<tr>{''.join(_cell(panel, titles, row, name, name in numeric, frame) for name in titles)}</tr>"
        for row in shown_rows
    )
    more = len(rows) - len(shown_rows)
    rest = f'<tr><td class="more" colspan="{len(columns)}">and {more} more</td></tr>' if more else ""
    return f"<table><tr>{head}</tr>{body}{rest}</table>"


def _is_numeric(panel: Mapping[str, Any], title: str, values: Sequence[float | str | None]) -> bool:
    aligned = field_of(panel["fieldConfig"], title)["custom.align"]
    return aligned != "left" and any(isinstance(value, float) for value in values)


def _columns(panel: Mapping[str, Any], rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(name, title) of the columns that there are, in the panel's order."""
    organized: Mapping[str, Any] = next(
        (each["options"] for each in panel["transformations"] if each["id"] == "organize"), {}
    )
    places, titles = organized["indexByName"], organized["renameByName"]
    names = {name for row in rows for name in row} - {name for name, gone in organized["excludeByName"].items() if gone}
    return [(name, titles.get(name, name)) for name in sorted(names, key=lambda name: (places.get(name, 99), name))]


def _sorting(panel: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """(name of a column, whether its greatest values come first), by the transformation and then by the table itself."""
    for step in panel["transformations"]:
        if step["id"] == "sortBy":
            yield from ((by["field"], by.get("desc", False)) for by in step["options"]["sort"])
        if step["id"] == "organize":
            titles = {title: name for name, title in step["options"]["renameByName"].items()}
            sorts = panel["options"].get("sortBy", [])
            yield from ((titles.get(by["displayName"], by["displayName"]), by["desc"]) for by in sorts)


def _sorted(rows: Sequence[Row], name: str, down: bool) -> list[Row]:
    return sorted(rows, key=lambda row: _rank(row.get(name)), reverse=down)


def _rank(value: float | str | None) -> tuple[int, float, str]:
    """No value is the least, as in Grafana."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return (-1, 0.0, "")
    return (0, value, "") if isinstance(value, float) else (1, 0.0, value)


def _cell(panel: Mapping[str, Any], titles: Mapping[str, str], row: Row, name: str, numeric: bool, frame: Frame) -> str:
    field = field_of(panel["fieldConfig"], titles[name])
    said, colour = field.text(row.get(name), frame.span.end)
    kind = (field["custom.cellOptions"] or {}).get("type", "auto")
    if kind == "auto" or colour == COLOURS["text"]:
        look = ""
    elif kind == "color-background":
        look = f"background:{colour};color:#fff"
    else:
        look = f"color:{colour};font-weight:600"
    linked = ' class="link"' if field["links"] and row.get(name) not in (None, "") else ""
    align = ' class="n"' if numeric else ""
    return f'<td{align} style="{look}"><span{linked}>{html.escape(said)}</span></td>'
