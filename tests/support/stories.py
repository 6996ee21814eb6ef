"""The five stories with a chart each, and the moments of one that end it: what golden files and pictures show."""

import io
from collections.abc import Mapping
from functools import cache

from msgspec.structs import replace
from PIL import Image, ImageDraw

from receiver.message import Message
from receiver.notifiers import stories

WIDTH, HEIGHT = 600, 160
_BARS = "▁▂▃▄▅▆▇█"


@cache
def chart(sparkline: str) -> bytes:
    """A PNG of 600 x 160 that draws a sparkline's values, with a grey band for what is normal."""
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([255, 255, 255, 223, 235, 247, 9, 105, 218, 208, 215, 222])
    draw = ImageDraw.Draw(image)
    points = [(20 + 560 * place / (len(sparkline) - 1), _height(bar)) for place, bar in enumerate(sparkline)]
    normal = points[0][1]
    draw.rectangle((20, normal - 12, WIDTH - 20, normal + 12), fill=1)
    draw.line((20, HEIGHT - 15, WIDTH - 20, HEIGHT - 15), fill=3)
    draw.line(points, fill=2, width=3)
    png = io.BytesIO()
    image.save(png, "PNG", optimize=True)
    return png.getvalue()


def _height(bar: str) -> float:
    return HEIGHT - 25 - _BARS.index(bar) * 16


STORIES: Mapping[str, Message] = {
    name: replace(story, chart=chart(story.sparkline)) for name, story in stories.STORIES.items()
}
MOMENTS: Mapping[str, Message] = {
    **STORIES,
    "checkout-drop-acknowledged": stories.acknowledged(STORIES["checkout-drop"]),
    "checkout-drop-resolved": stories.resolved(STORIES["checkout-drop"]),
}
