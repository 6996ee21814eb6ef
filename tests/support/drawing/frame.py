"""Where something is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.drawing.answers import Span


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
