"""What a field of an event has to be, as the configuration says it: a value, or a pattern."""

from typing import Annotated

import pydantic
from pydantic import Discriminator, Tag

from toolkit.configfile import Model, Regex

Scalar = str | int | float | bool


class Match(Model):
    """A condition on one field: the whole value must match the pattern."""

    regex: Regex


def _condition(value: object) -> object:
    if isinstance(value, (dict, Match, str, int, float)):
        return value
    raise ValueError("should be a text, a number, true, false or {regex: PATTERN}")


Condition = Annotated[
    Annotated[Scalar, Tag("value")] | Annotated[Match, Tag("match")],
    Discriminator(lambda value: "match" if isinstance(value, (dict, Match)) else "value"),
    pydantic.BeforeValidator(_condition),
]
