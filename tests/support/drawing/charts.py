"""Courses over time: lines, areas, bands."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.support.drawing.answers import Line
from tests.support.drawing.axes import hours, ticks
from tests.support.drawing.fields import PALETTE, Field, hexed
from tests.support.drawing.frame import Frame, Mark
from tests.support.drawing.legend import CHARACTER, LEGEND_ROW, legend
from tests.support.drawing.svg import Plot, area, drawing, path, rule, text
from tests.support.drawing.units import shown


def chart(panel: Mapping[str, Any], lines: Sequence[Line], frame: Frame) -> str:
    """A panel of courses with its legend."""
    drawn = _stacked(lines) if _is_stacked(panel) else [Drawn(line, line.points, ()) for line in lines]
    coloured = list(zip(drawn, colours(lines), strict=True))
    names = legend(_named(coloured), frame)
    height = frame.height - names.count("<div") * LEGEND_ROW - 6
    plot = _plot(panel, drawn, frame, height)
    marks = [*_axes(plot, panel["fieldConfig"]["defaults"]["unit"]), *_limits(panel, plot), *_areas(coloured, plot)]
    marks += [each for one, colour in coloured for each in _course(one, colour, plot)]
    marks += _happened(plot, frame.marks)
    return drawing(frame.width, height, marks) + names


@dataclass(frozen=True)
class Drawn:
    """A line where it is drawn; `below` is what it is stacked upon."""

    line: Line
    points: Sequence[tuple[float, float]]
    below: Sequence[tuple[float, float]]


def colours(lines: Sequence[Line]) -> list[str]:
    """Each line's own colour, or the next of the palette."""
    palette = iter(PALETTE * (len(lines) // len(PALETTE) + 1))
    return [_fixed(line.field) or next(palette) for line in lines]


def _fixed(field: Field) -> str | None:
    colour = field["color"] or {}
    return hexed(colour["fixedColor"]) if colour.get("mode") in ("fixed", "shades") else None


def _is_stacked(panel: Mapping[str, Any]) -> bool:
    stacking = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {})
    return bool(stacking.get("mode") == "normal")


def _stacked(lines: Sequence[Line]) -> list[Drawn]:
    heaps: dict[float, float] = {}
    found = []
    for line in lines:
        below = [(at, heaps.get(at, 0.0)) for at, _ in line.points]
        points = [
            (at, base + (0 if math.isnan(value) else value))
            for (at, value), (_, base) in zip(line.points, below, strict=True)
        ]
        heaps.update(points)
        found.append(Drawn(line, points, below))
    return found


def _plot(panel: Mapping[str, Any], drawn: Sequence[Drawn], frame: Frame, height: float) -> Plot:
    defaults = panel["fieldConfig"]["defaults"]
    values = [value for one in drawn for _, value in one.points if math.isfinite(value)] or [0.0, 1.0]
    low = min([*values, defaults["min"]] if "min" in defaults else values)
    soft = defaults.get("custom", {}).get("axisSoftMax")
    round_values = ticks(low, max([*values, *([] if soft is None else [soft])]), defaults["unit"])
    longest = max(len(_tick(value, defaults["unit"], round_values)) for value in round_values)
    left = 10 + longest * CHARACTER
    return Plot(left, 8, frame.width - left - 10, height - 30, frame.span, round_values[0], round_values[-1])


def _tick(value: float, unit: str, among: Sequence[float]) -> str:
    """A value at an axis: as few decimals as tell it from its neighbours."""
    step = (among[1] - among[0]) * (100 if unit == "percentunit" else 1)
    plain = unit not in ("s", "bytes")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if plain and step > 0 else None
    said = shown(value, unit, decimals, 0)
    return said.replace(".0 ", " ") if unit == "s" else said


def _axes(plot: Plot, unit: str) -> Iterator[str]:
    values = ticks(plot.low, plot.high, unit)
    for value in values:
        yield rule(plot.left, plot.y(value), plot.left + plot.width, plot.y(value))
        yield text(plot.left - 6, plot.y(value) + 4, _tick(value, unit, values), "end")
    yield from hours(plot, plot.top + plot.height + 16)


def _limits(panel: Mapping[str, Any], plot: Plot) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode", "off").startswith("dashed"):
        return
    steps = defaults["thresholds"]["steps"]
    for before, step in pairwise(steps):
        if plot.low < step["value"] <= plot.high:
            colour = before["color"] if step["color"] == "transparent" else step["color"]
            yield rule(
                plot.left, plot.y(step["value"]), plot.left + plot.width, plot.y(step["value"]), hexed(colour), "4 4"
            )


def _areas(coloured: Sequence[tuple[Drawn, str]], plot: Plot) -> Iterator[str]:
    by_name = {one.line.name: one for one, _ in coloured}
    for one, colour in coloured:
        floor = by_name.get(one.line.field["custom.fillBelowTo"] or "")
        lower = floor.points if floor else one.below
        fill = (one.line.field["custom.fillOpacity"] or 0) / 100
        if fill and not lower:
            lower = [(at, plot.low) for at, _ in one.points]
        if fill and lower:
            yield area(_placed(one.points, plot), _placed(lower, plot), colour, fill)


def _placed(points: Sequence[tuple[float, float]], plot: Plot) -> list[tuple[float, float]]:
    """Points on the plot; a gap of several steps, or no number, lifts the pen."""
    found: list[tuple[float, float]] = []
    for n, (at, value) in enumerate(points):
        if n and at - points[n - 1][0] > 3 * plot.span.step:
            found.append((plot.x(at), math.nan))
        if math.isfinite(value):
            found.append((plot.x(at), plot.y(value)))
    return found


def _course(one: Drawn, colour: str, plot: Plot) -> Iterator[str]:
    width = one.line.field["custom.lineWidth"]
    dash = "6 5" if (one.line.field["custom.lineStyle"] or {}).get("fill") == "dash" else ""
    if width:
        yield path(_placed(one.points, plot), colour, 1.6 if width > 1 else 1.1, dash)


def _happened(plot: Plot, marks: Sequence[Mark]) -> Iterator[str]:
    bottom = plot.top + plot.height
    for mark in marks:
        if plot.span.start < mark.at < plot.span.end:
            x = plot.x(mark.at)
            yield rule(x, plot.top, x, bottom, mark.colour, "2 3")
            yield f'<polygon points="{x - 4:.1f},{bottom + 5} {x + 4:.1f},{bottom + 5} {x:.1f},{bottom - 1}" fill="{mark.colour}"/>'


def _named(coloured: Sequence[tuple[Drawn, str]]) -> list[tuple[Line, str]]:
    """The lines that a legend names, with their colours."""
    return [
        (one.line, colour) for one, colour in coloured if not (one.line.field["custom.hideFrom"] or {}).get("legend")
    ]
