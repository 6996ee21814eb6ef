"""Round numbers and round times for axes."""

import datetime
import math
from collections.abc import Iterator

from tests.support.drawing.answers import Span
from tests.support.drawing.svg import Plot, text

HOURS = (0.25, 0.5, 1, 2, 3, 4, 6, 12)
SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86400, 5 * 86400, 20 * 86400, 60 * 86400)
MOST_TIMES = 8


def ticks(low: float, high: float, unit: str, most: int = 4) -> list[float]:
    """Round values from the lowest to the one that is above the highest."""
    width = (high - low) or 1.0
    step = _step(width / most, unit)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _step(rough: float, unit: str) -> float:
    if unit == "s" and rough >= 1:
        return float(next((step for step in SECONDS if step >= rough), SECONDS[-1]))
    base = 2.0 ** (10 * math.floor(math.log2(rough) / 10)) if unit == "bytes" and rough > 1 else 1.0
    power: float = 10.0 ** math.floor(math.log10(rough / base))
    return base * power * next(step for step in (1, 2, 5, 10) if step * power >= rough / base * 0.999)


def times(span: Span) -> Iterator[tuple[float, str]]:
    """(a round time, how it is written), a handful of them."""
    hours = (span.end - span.start) / 3600
    step = 3600 * next((each for each in HOURS if hours / each <= MOST_TIMES), 24)
    at = math.ceil(span.start / step) * step
    while at <= span.end:
        yield at, datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%H:%M")
        at += step


def hours(plot: Plot, y: float) -> Iterator[str]:
    """Round times below a plot, none beyond its ends."""
    for at, said in times(plot.span):
        yield text(min(max(plot.x(at), plot.left + 14), plot.left + plot.width - 14), y, said, "middle")
