"""A series, its band, what was told of it and what really happened, as a picture (SVG). Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from exporter.rulegen.conditions import Watched
from exporter.rulegen.episodes import Episode, Incident
from exporter.rulegen.history import Grid
from exporter.rulegen.model import STEP
from exporter.rulegen.sliding import Values
from toolkit.clock import format_utc

LEFT, TOP, STRIP, FOOT = 56, 8, 10, 18
"""Pixels: for the numbers, above, for the episodes, for the days."""


@dataclass(frozen=True)
class Mark:
    """An episode, and whether it is about an incident."""

    alert: str
    episode: Episode
    is_true: bool


@dataclass(frozen=True)
class Frame:
    """How large a picture is (pixels), from which evaluation to which it goes (without the last), and into how many
    columns these are gathered."""

    width: int
    height: int
    first: int
    last: int
    columns: int


def chart(
    one: Watched, grid: Grid, frame: Frame, marks: Iterable[Mark], incidents: Iterable[Incident], scale: float
) -> Markup:
    """The picture; `scale` turns recorded values into those that are shown."""
    drawing = _Drawing(one, grid, frame, scale)
    body = Markup("").join([*drawing.incidents(incidents), *drawing.courses(), *drawing.axes(), *drawing.marks(marks)])
    return Markup('<svg viewBox="0 0 {} {}" role="img">{}</svg>').format(frame.width, frame.height, body)


class _Drawing:
    def __init__(self, one: Watched, grid: Grid, frame: Frame, scale: float) -> None:
        self._one, self._grid, self._frame, self._scale = one, grid, frame, scale
        self._floor = frame.height - FOOT - STRIP
        drawn = [self._gathered(row) for row in (one.recorded.level, one.recorded.normal)]
        edges = [values for pair in drawn for values in pair]
        band = [np.clip(edge, 0.0, None) for edge in self._band()]
        highest = max((float(np.nanmax(row)) for row in edges if not np.all(np.isnan(row))), default=1.0)
        beyond = max((float(np.nanpercentile(row, 98)) for row in band if not np.all(np.isnan(row))), default=1.0)
        lowest = min((float(np.nanmin(row)) for row in edges if not np.all(np.isnan(row))), default=0.0)
        self._low, self._high = min(0.0, lowest), _round_up(max(highest, beyond, 1e-12))

    def _gathered(self, row: Values) -> tuple[Values, Values]:
        """The lowest and the highest of each column."""
        piece = self._scale * row[self._frame.first : self._frame.last]
        size = math.ceil(len(piece) / self._frame.columns)
        padded = np.pad(piece, (0, -len(piece) % size), constant_values=np.nan).reshape(-1, size)
        return np.fmin.reduce(padded, axis=1), np.fmax.reduce(padded, axis=1)

    def _band(self) -> tuple[Values, Values]:
        return self._gathered(self._one.recorded.lower)[0], self._gathered(self._one.recorded.upper)[1]

    def _x(self, at: float) -> float:
        place = (at - self._grid.start) / STEP - self._frame.first
        share = place / max(1, self._frame.last - self._frame.first)
        return round(LEFT + min(max(share, 0.0), 1.0) * (self._frame.width - LEFT), 1)

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return round(self._floor - min(max(share, 0.0), 1.0) * (self._floor - TOP), 1)

    def courses(self) -> Iterator[Markup]:
        """The band, its normal and the level."""
        yield from self._area("band", *self._band())
        low, high = self._gathered(self._one.recorded.normal)
        yield from self._line("normal", (low + high) / 2)
        yield from self._area("level", *self._gathered(self._one.recorded.level))

    def _columns(self, *rows: Values) -> Iterator[list[int]]:
        """The places of columns in which all rows have a value, in runs."""
        there = np.flatnonzero(~np.any(np.isnan(np.stack(rows)), axis=0))
        if len(there):
            yield from (run.tolist() for run in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1))

    def _column_x(self, place: int) -> float:
        size = math.ceil((self._frame.last - self._frame.first) / self._frame.columns)
        return self._x(self._grid.start + (self._frame.first + (place + 0.5) * size) * STEP)

    def _area(self, name: str, low: Values, high: Values) -> Iterator[Markup]:
        for run in self._columns(low, high):
            there = [(self._column_x(place), self._y(high[place])) for place in run]
            back = [(self._column_x(place), self._y(low[place])) for place in reversed(run)]
            yield Markup('<path class="{}" d="{}Z"/>').format(name, _path([*there, *back]))

    def _line(self, name: str, row: Values) -> Iterator[Markup]:
        for run in self._columns(row):
            points = [(self._column_x(place), self._y(row[place])) for place in run]
            yield Markup('<path class="{}" d="{}"/>').format(name, _path(points))

    def incidents(self, incidents: Iterable[Incident]) -> Iterator[Markup]:
        """Behind everything."""
        for one in incidents:
            if self._is_seen(one.start, one.end):
                title = f"{one.name or 'incident'}: {format_utc(one.start)} to {format_utc(one.end)}"
                yield self._box("incident", one.start, one.end, TOP, self._floor - TOP, title)

    def marks(self, marks: Iterable[Mark]) -> Iterator[Markup]:
        """A strip below the course."""
        for one in marks:
            if self._is_seen(one.episode.start, one.episode.end):
                title = f"{one.alert}: {format_utc(one.episode.start)} to {format_utc(one.episode.end)}"
                name = "true" if one.is_true else "false"
                yield self._box(name, one.episode.start, one.episode.end, self._floor + 2, STRIP - 4, title)

    def _is_seen(self, start: float, end: float) -> bool:
        first, last = (self._grid.start + place * STEP for place in (self._frame.first, self._frame.last))
        return start < last and end > first

    def _box(self, name: str, start: float, end: float, top: float, height: float, title: str) -> Markup:
        x, width = self._x(start), max(2.0, round(self._x(end) - self._x(start), 1))
        text = '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        return Markup(text).format(  # noqa: S704 - a constant; what goes in is escaped
            name, x, top, width, height, escape(title)
        )

    def axes(self) -> Iterator[Markup]:
        """The lowest and the highest value, and days."""
        for value in (self._low, (self._low + self._high) / 2, self._high):
            y = self._y(value)
            yield Markup('<path class="rule" d="M{} {}H{}"/>').format(LEFT, y, self._frame.width)
            yield Markup('<text x="{}" y="{}" class="right">{}</text>').format(LEFT - 6, y + 4, _short(value))
        for at, text in self._days():
            yield Markup('<text x="{}" y="{}">{}</text>').format(self._x(at), self._frame.height - 4, text)

    def _days(self) -> Iterator[tuple[float, str]]:
        first, last = (self._grid.start + place * STEP for place in (self._frame.first, self._frame.last))
        days = (last - first) / 86_400
        every = next((size for size in (1, 2, 7, 14, 28, 56) if days / size <= self._frame.width / 90), 56)
        start = -(-first // 86_400) * 86_400
        while start < last - 0.09 * (last - first):
            yield start, format_utc(start, "%-d %b")
            start += every * 86_400


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _round_up(value: float) -> float:
    """To one of 1, 1.2, 1.5, 2 ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999999)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
