"""The upper bounds of a histogram's buckets, as the configuration lists them."""

import math
from typing import Annotated

import pydantic


def _ascending(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if any(not math.isfinite(bound) for bound in bounds) or list(bounds) != sorted(set(bounds)):
        raise ValueError("the bounds have to be finite and ascend; +Inf is added")
    return bounds


Bounds = Annotated[tuple[float, ...], pydantic.AfterValidator(_ascending)]
"""Finite, ascending, without +Inf."""
