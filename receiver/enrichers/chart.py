"""A course as a PNG: the value, the band of its normal, the threshold, the start of the alert. Pure.

No word of a label or an annotation stands in it: what may not leave is taken out of the message beside it, and nobody
can take it out of a picture.
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from PIL import Image, ImageColor, ImageDraw, ImageFont

from receiver.enrichers.course import WINDOW_SECONDS, Course
from receiver.enrichers.expression import Threshold
from receiver.enrichers.wording import alerts, digits, scaled
from toolkit.clock import format_utc

WIDTH, HEIGHT = 600, 240
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 50, 588, 200
"""The sides of the plot."""
_SCALE = 2
"""Drawn larger and made smaller, for smooth lines."""
_SHADES = 8
"""Of each colour, from the paper's on."""
_TICK_SECONDS = 1800
_LEAST = 1e-200
"""What is nearer to 0 than this is drawn as 0."""

_PAPER, _GRID, _INK, _FAINT = "#ffffff", "#e6e8eb", "#1f2933", "#6b7785"
_NORMAL, _VALUE, _LIMIT, _ALERT = "#d7ead9", "#1f5fbf", "#c0392b", "#d97706"
_FONT, _TITLE_FONT = (ImageFont.load_default(size * _SCALE) for size in (11, 13))


def _palette() -> Image.Image:
    """Every colour with its shades towards the paper. A palette that is made for each picture blends the thin lines'
    colours."""
    paper = ImageColor.getrgb(_PAPER)
    colours = [ImageColor.getrgb(one) for one in (_INK, _FAINT, _VALUE, _LIMIT, _ALERT)]
    shades = [
        round(white + (part - white) * shade / _SHADES)
        for colour in colours
        for shade in range(1, _SHADES + 1)
        for white, part in zip(paper, colour, strict=True)
    ]
    palette = Image.new("P", (1, 1))
    # what is pale has no shades: the paper would be taken for one of them
    palette.putpalette([*paper, *ImageColor.getrgb(_GRID), *ImageColor.getrgb(_NORMAL), *shades])
    return palette


_PALETTE = _palette()
T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """What is drawn. `unit`: "%" for a ratio. `started`: when the alert began, in seconds since the epoch."""

    course: Course
    unit: Literal["", "%"]
    threshold: Threshold | None
    started: float


@dataclass(frozen=True)
class _Plot:
    """Where a time and a value lie, in the pixels of the large picture."""

    pen: ImageDraw.ImageDraw
    begins: float
    low: float
    high: float

    def x(self, at: float) -> float:
        return (_LEFT + (at - self.begins) / WINDOW_SECONDS * (_RIGHT - _LEFT)) * _SCALE

    def y(self, value: float) -> float:
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return (_BOTTOM - share * (_BOTTOM - _TOP)) * _SCALE

    def line(self, x: float, y: float, to_x: float, to_y: float, colour: str) -> None:
        """A thin one, upright or level."""
        left, top, right, bottom = (int(place) // _SCALE * _SCALE for place in (x, y, to_x, to_y))
        # whole pixels of the small picture, for between two of them it would be pale
        self.pen.rectangle([left, top, right + _SCALE - 1, bottom + _SCALE - 1], fill=colour)


def draw(picture: Picture) -> bytes:
    """The picture as a PNG of WIDTH by HEIGHT; empty when fewer than two values are known."""
    if picture.course.known < 2:
        return b""
    image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), _PAPER)
    low, high = _range(picture)
    plot = _Plot(ImageDraw.Draw(image), picture.course.times[0], low, high)
    for part in (_band, _values_axis, _times_axis, _limit, _start, _values, _words):
        part(plot, picture)
    small = image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    out = io.BytesIO()
    small.quantize(palette=_PALETTE, dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()


def _range(picture: Picture) -> tuple[float, float]:
    """The least and the greatest value that are shown, with some air."""
    unit = picture.unit
    shown = [scaled(value, unit) for value in picture.course.values if value is not None]
    shown += [scaled(edge, unit) for band in picture.course.bands if band for edge in (band.low, band.high)]
    if picture.threshold is not None:
        shown.append(scaled(picture.threshold.value, unit))
    low, high = min(shown), max(shown)
    size = max(abs(low), abs(high))
    moves = high - low > size * 1e-9
    air = 1.0 if size < _LEAST else (high - low) * 0.08 if moves else size * 0.1
    # what counts things never falls below 0, nor does its axis
    return (0.0 if 0 <= low < air * 4 else low - air), high + air


def _band(plot: _Plot, picture: Picture) -> None:
    course, unit = picture.course, picture.unit
    for run in _runs(course.bands):
        low = [(plot.x(course.times[at]), plot.y(scaled(band.low, unit))) for at, band in run]
        high = [(plot.x(course.times[at]), plot.y(scaled(band.high, unit))) for at, band in run]
        # a band of no height is seen too
        plot.pen.polygon([*low, *reversed(high)], fill=_NORMAL)
        plot.pen.line(low, fill=_NORMAL, width=2 * _SCALE)


def _values(plot: _Plot, picture: Picture) -> None:
    course = picture.course
    for run in _runs(course.values):
        places = [(plot.x(course.times[at]), plot.y(scaled(value, picture.unit))) for at, value in run]
        if len(places) > 1:
            plot.pen.line(places, fill=_VALUE, width=2 * _SCALE, joint="curve")
        x, y = places[-1]
        plot.pen.ellipse([x - 2 * _SCALE, y - 2 * _SCALE, x + 2 * _SCALE, y + 2 * _SCALE], fill=_VALUE)


def _runs(row: Sequence[T | None]) -> Iterator[list[tuple[int, T]]]:
    """What is known without a gap in between, with its places."""
    run: list[tuple[int, T]] = []
    for at, value in enumerate(row):
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _values_axis(plot: _Plot, _: Picture) -> None:
    for tick in _ticks(plot.low, plot.high):
        y = plot.y(tick)
        plot.line(_LEFT * _SCALE, y, _RIGHT * _SCALE, y, _GRID)
        plot.pen.text(((_LEFT - 6) * _SCALE, y), digits(tick), _FAINT, _FONT, anchor="rm")


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from `low` to `high`."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [(first + number) * step for number in range(8) if (first + number) * step <= high]


def _times_axis(plot: _Plot, picture: Picture) -> None:
    first = math.ceil(plot.begins / _TICK_SECONDS) * _TICK_SECONDS
    for at in range(first, int(picture.course.times[-1]) + 1, _TICK_SECONDS):
        x = plot.x(at)
        plot.line(x, _BOTTOM * _SCALE, x, (_BOTTOM + 4) * _SCALE, _FAINT)
        plot.pen.text((x, (_BOTTOM + 7) * _SCALE), format_utc(at, "%H:%M"), _FAINT, _FONT, anchor="mt")
    plot.line(_LEFT * _SCALE, _BOTTOM * _SCALE, _RIGHT * _SCALE, _BOTTOM * _SCALE, _FAINT)


def _limit(plot: _Plot, picture: Picture) -> None:
    if picture.threshold is None:
        return
    y = plot.y(scaled(picture.threshold.value, picture.unit))
    for x in range(_LEFT, _RIGHT, 9):
        plot.line(x * _SCALE, y, min(x + 5, _RIGHT) * _SCALE, y, _LIMIT)
    # above the line, or below it where there is no room
    below = y < (_TOP + 14) * _SCALE
    place = (_LEFT + 6) * _SCALE, y + (4 if below else -3) * _SCALE
    words = alerts(picture.threshold, picture.unit)
    plot.pen.text(place, words, _LIMIT, _FONT, anchor="lt" if below else "lb")


def _start(plot: _Plot, picture: Picture) -> None:
    if not plot.begins <= picture.started <= picture.course.times[-1]:
        return
    x = plot.x(picture.started)
    plot.line(x, _TOP * _SCALE, x, _BOTTOM * _SCALE, _ALERT)
    words = f"alert {format_utc(picture.started, '%H:%M')}"
    middle = min(max(x, (_LEFT + 30) * _SCALE), (_RIGHT - 30) * _SCALE)
    plot.pen.text((middle, (_TOP - 3) * _SCALE), words, _ALERT, _FONT, anchor="mb")


def _words(plot: _Plot, picture: Picture) -> None:
    title = f"the value{f' in {picture.unit}' if picture.unit else ''}, last {WINDOW_SECONDS / 3600:g} hours"
    plot.pen.text((12 * _SCALE, 10 * _SCALE), title, _INK, _TITLE_FONT, anchor="lt")
    plot.pen.text(
        (_RIGHT * _SCALE, 12 * _SCALE),
        format_utc(picture.course.times[-1], "%Y-%m-%d, UTC"),
        _FAINT,
        _FONT,
        anchor="rt",
    )
    if any(picture.course.bands):
        x, y = _LEFT * _SCALE, (HEIGHT - 11) * _SCALE
        plot.pen.rectangle([x, y - 4 * _SCALE, x + 14 * _SCALE, y + 4 * _SCALE], fill=_NORMAL)
        words = f"normal at this hour, {picture.course.days} days"
        plot.pen.text((x + 19 * _SCALE, y), words, _FAINT, _FONT, anchor="lm")
