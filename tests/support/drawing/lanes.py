"""Lanes of states over time."""

import html
from collections.abc import Iterator, Sequence
from itertools import groupby

from tests.support.drawing.answers import Line
from tests.support.drawing.axes import hours
from tests.support.drawing.frame import Frame
from tests.support.drawing.legend import CHARACTER, LEGEND_ROW
from tests.support.drawing.svg import DIM, GREY, Plot, box, drawing, text


def lanes(lines: Sequence[Line], frame: Frame) -> str:
    """A lane for each line, coloured and named by what its values stand for."""
    left = 16 + CHARACTER * max(len(line.name) for line in lines)
    bottom = frame.height - LEGEND_ROW - 14
    plot = Plot(left, 4, frame.width - left - 10, bottom - 8, frame.span, 0, 1)
    tall = min((plot.height - LEGEND_ROW) / len(lines), 34)
    marks = list(hours(plot, plot.top + tall * len(lines) + 16))
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
