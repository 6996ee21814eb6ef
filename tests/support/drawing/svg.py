"""The few marks that charts are made of, as text of SVG. Places in pixels."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.drawing.answers import Span

Point = tuple[float, float]
GREY = "#d9dee5"
DIM = "#6b7684"


@dataclass(frozen=True)
class Plot:
    """A rectangle into which times and values are put."""

    left: float
    top: float
    width: float
    height: float
    span: Span
    low: float
    high: float

    def x(self, at: float) -> float:
        """Where a time is."""
        return self.left + self.width * (at - self.span.start) / (self.span.end - self.span.start)

    def y(self, value: float) -> float:
        """Where a value is; what lies outside is drawn at the edge."""
        part = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1)
        return self.top + self.height * (1 - part)


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = DIM, size: int = 11) -> str:
    """Words at a place."""
    said = html.escape(words)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{said}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, colour: str = GREY, dash: str = "", width: float = 1) -> str:
    """A straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dashed}/>'


def path(points: Sequence[Point], colour: str, width: float, dash: str = "") -> str:
    """A line through points; NaN lifts the pen."""
    said, pen = [], "M"
    for x, y in points:
        if math.isnan(y):
            pen = "M"
        else:
            said.append(f"{pen}{x:.1f},{y:.1f}")
            pen = "L"
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    look = f'stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dashed}'
    return f'<path d="{"".join(said)}" fill="none" {look}/>'


def area(upper: Sequence[Point], lower: Sequence[Point], colour: str, opacity: float) -> str:
    """What lies between two lines."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*upper, *reversed(lower)))
    return f'<polygon points="{corners}" fill="{colour}" fill-opacity="{opacity:.2f}"/>'


def box(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1, corner: float = 0) -> str:
    """A filled rectangle."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" rx="{corner}"'
    return f'<rect {place} fill="{colour}" fill-opacity="{opacity}"/>'


def drawing(width: float, height: float, marks: Sequence[str]) -> str:
    """A picture of these marks."""
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{"".join(marks)}</svg>'
    )
