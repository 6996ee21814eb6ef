"""Courses over time: lines, areas, bands, and lanes of states."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from tests.support.drawing.answers import Line, Span
from tests.support.drawing.axes import ticks, times
from tests.support.drawing.fields import PALETTE, Field, hexed
from tests.support.drawing.svg import DIM, GREY, Plot, area, box, drawing, path, rule, text
from tests.support.drawing.units import shown

LEGEND_ROW = 19
LEGEND_MOST = 5
CHARACTER = 6.4
"""Pixels that a character of the legend takes, about."""


@dataclass(frozen=True)
class Mark:
    """Something that happened: a deploy, or an alert that began."""

    at: float
    colour: str


@dataclass(frozen=True)
class Frame:
    """Where a chart is drawn: pixels, the time shown, and what happened then."""

    width: float
    height: float
    span: Span
    marks: Sequence[Mark]


def chart(panel: Mapping[str, Any], lines: Sequence[Line], frame: Frame) -> str:
    """A panel of courses with its legend."""
    drawn = _stacked(lines) if _is_stacked(panel) else [Drawn(line, line.points, ()) for line in lines]
    coloured = list(zip(drawn, colours(lines), strict=True))
    legend = _legend(coloured, frame)
    height = frame.height - legend.count("<div") * LEGEND_ROW - 6
    plot = _plot(panel, drawn, frame, height)
    marks = [*_axes(plot, panel["fieldConfig"]["defaults"]["unit"]), *_limits(panel, plot), *_areas(coloured, plot)]
    marks += [each for one, colour in coloured for each in _course(one, colour, plot)]
    marks += _happened(plot, frame.marks)
    return drawing(frame.width, height, marks) + legend


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
    return hexed(colour["fixedColor"]) if colour.get("mode") == "fixed" else None


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
    yield from _hours(plot, plot.top + plot.height + 16)


def _hours(plot: Plot, y: float) -> Iterator[str]:
    for at, said in times(plot.span):
        yield text(min(max(plot.x(at), plot.left + 14), plot.left + plot.width - 14), y, said, "middle")


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


def _legend(coloured: Sequence[tuple[Drawn, str]], frame: Frame) -> str:
    """The lines' names with their last values, in as many rows as it takes, up to a few."""
    entries = []
    for one, colour in coloured:
        if not (one.line.field["custom.hideFrom"] or {}).get("legend"):
            last = shown(one.line.last, one.line.field["unit"], one.line.field["decimals"], frame.span.end)
            entries.append((f"{one.line.name}  {last}", _entry(one.line.name, last, colour)))
    rows, used = [[]], 0.0  # type: list[list[str]], float
    for words, entry in entries:
        width = 30 + CHARACTER * len(words)
        if rows[-1] and used + width > frame.width:
            rows, used = [*rows, []], 0.0
        rows[-1].append(entry)
        used += width
    more = sum(map(len, rows[LEGEND_MOST:]))
    if more:
        rows[LEGEND_MOST - 1].append(f'<span class="more">and {more} more</span>')
    return "".join(f'<div class="legend">{"".join(row)}</div>' for row in rows[:LEGEND_MOST])


def _entry(name: str, last: str, colour: str) -> str:
    return f'<span><i style="background:{colour}"></i>{html.escape(name)} <b>{html.escape(last)}</b></span>'


def lanes(lines: Sequence[Line], frame: Frame) -> str:
    """A lane for each line, coloured and named by what its values stand for."""
    left = 16 + CHARACTER * max(len(line.name) for line in lines)
    bottom = frame.height - LEGEND_ROW - 14
    plot = Plot(left, 4, frame.width - left - 10, bottom - 8, frame.span, 0, 1)
    tall = min((plot.height - LEGEND_ROW) / len(lines), 34)
    marks = list(_hours(plot, plot.top + tall * len(lines) + 16))
    for n, line in enumerate(lines):
        top = plot.top + n * tall
        marks.append(text(left - 8, top + tall / 2 + 4, line.name, "end", "#2b3440"))
        marks.append(box(left, top + 3, plot.width, tall - 6, GREY, 0.35, 2))
        marks += _states(line, plot, top + 3, tall - 6)
    return drawing(frame.width, tall * len(lines) + 32, marks) + _key(lines)


def _key(lines: Sequence[Line]) -> str:
    """What the colours of lanes mean."""
    seen = dict.fromkeys(state for line in lines for _, value in line.points if (state := line.field.mapped(value)))
    entries = (
        f'<span><i class="lane" style="background:{colour}"></i>{html.escape(said)}</span>' for said, colour in seen
    )
    return f'<div class="legend">{"".join(entries)}</div>'


def _states(line: Line, plot: Plot, top: float, tall: float) -> Iterator[str]:
    step = plot.span.step
    spread = [(at, line.field.mapped(value) or (f"{value:g}", DIM)) for at, value in line.points]
    runs: list[tuple[float, float, tuple[str, str]]] = []
    for state, points in groupby(spread, key=lambda point: point[1]):
        stamps = [at for at, _ in points]
        for first, last in _unbroken(stamps, step):
            runs.append((first, last, state))
    for first, last, (said, colour) in runs:
        x, end = plot.x(first), min(plot.x(last + step), plot.left + plot.width)
        yield box(x, top, end - x, tall, colour, 0.82, 2)
        if end - x > CHARACTER * len(said) + 12:
            yield text(x + 6, top + tall / 2 + 4, said, colour="#ffffff")


def _unbroken(stamps: Sequence[float], step: float) -> Iterator[tuple[float, float]]:
    first = before = stamps[0]
    for at in stamps[1:]:
        if at - before > 2 * step:
            yield first, before
            first = at
        before = at
    yield first, before
