"""The names of lines with their last values, below a chart."""

import html
from collections.abc import Iterator, Sequence

from tests.support.drawing.answers import Line
from tests.support.drawing.frame import Frame
from tests.support.drawing.units import shown

LEGEND_ROW = 19
LEGEND_MOST = 5
CHARACTER = 6.4
"""Pixels that a character of the legend takes, about."""


def legend(lines: Sequence[tuple[Line, str]], frame: Frame) -> str:
    """Lines and their colours, in as many rows as it takes, up to a few."""
    rows = list(_rows(lines, frame))
    more = sum(map(len, rows[LEGEND_MOST:]))
    if more:
        rows[LEGEND_MOST - 1].append(f'<span class="more">and {more} more</span>')
    return "".join(f'<div class="legend">{"".join(row)}</div>' for row in rows[:LEGEND_MOST])


def _rows(lines: Sequence[tuple[Line, str]], frame: Frame) -> Iterator[list[str]]:
    row: list[str] = []
    used = 0.0
    for line, colour in lines:
        last = shown(line.last, line.field["unit"], line.field["decimals"], frame.span.end)
        width = 30 + CHARACTER * len(f"{line.name}  {last}")
        if row and used + width > frame.width:
            yield row
            row, used = [], 0.0
        row.append(_entry(line.name, last, colour))
        used += width
    yield row


def _entry(name: str, last: str, colour: str) -> str:
    return f'<span><i style="background:{colour}"></i>{html.escape(name)} <b>{html.escape(last)}</b></span>'
