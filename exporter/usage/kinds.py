"""What a series holds and how two of it add up: numbers, histograms, last values, distinct users. Pure.

A delta is of the same shape as a value, and `add` is the only thing that is ever done with one: batches, replicas and
restarts may add them in any grouping. The text of a kind (`count`, `histogram:0.1,1`) is stored with each series, so
that the ledger can add up what no rule speaks of any more.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Protocol

SECONDS_OF_A_DAY = 86_400
DAYS_OF_A_WEEK = 7
SKETCH_SIZE = 12
"""log2 of a sketch's registers: 2 KB a day and series, and an estimate within 1.6 % in two cases of three."""


class Kind(Protocol):
    """How values of one shape behave. Values are never changed in place once they were added."""

    @property
    def text(self) -> str:
        """The kind as it is stored."""

    def zero(self) -> Any:
        """The value of a series that nothing was added to."""

    def add(self, value: Any, delta: Any) -> Any:
        """Both together."""

    def dump(self, value: Any) -> Any:
        """The value as msgpack can hold it."""

    def load(self, stored: Any) -> Any:
        """What `dump` made of a value, as the value."""


class Number:
    """A count or a sum."""

    def __init__(self, text: str) -> None:
        self.text = text

    def zero(self) -> int:
        """None were counted."""
        return 0

    def add(self, value: float, delta: float) -> float:
        """The sum."""
        return value + delta

    def dump(self, value: float) -> float:
        """As it is."""
        return value

    def load(self, stored: float) -> float:
        """As it is."""
        return stored


class Buckets:
    """A histogram: how many were at most each bound (not cumulated), how many above all, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.text = "histogram:" + ",".join(map(repr, self.bounds))

    def zero(self) -> list[float]:
        """No bucket holds any."""
        return [0] * (len(self.bounds) + 1) + [0.0]

    def of(self, value: float) -> list[float]:
        """What one measurement adds."""
        found = self.zero()
        found[bisect_left(self.bounds, value)] = 1
        found[-1] = value
        return found

    def add(self, value: list[float], delta: list[float]) -> list[float]:
        """Bucket by bucket."""
        return [one + other for one, other in zip(value, delta, strict=True)]

    def dump(self, value: list[float]) -> list[float]:
        """As it is."""
        return value

    def load(self, stored: list[float]) -> list[float]:
        """As it is."""
        return stored


Stamped = tuple[float, float]
"""(Unix time, value)."""


class Newest:
    """The value that was true last."""

    text = "last"

    def zero(self) -> Stamped:
        """From before all times."""
        return (0.0, 0.0)

    def add(self, value: Stamped, delta: Stamped) -> Stamped:
        """The newer; of two at one time the greater, so that their order doesn't matter."""
        return max(value, delta)

    def dump(self, value: Stamped) -> Stamped:
        """As it is."""
        return value

    def load(self, stored: Sequence[float]) -> Stamped:
        """A pair again."""
        return (stored[0], stored[1])


Sketches = dict[int, Any]
"""A sketch by day, as days since 1970 in UTC."""


class Sketched:
    """Distinct identities by day, as HyperLogLog sketches (Apache DataSketches). Only the last week's days are kept."""

    text = "distinct"

    def zero(self) -> Sketches:
        """Nobody on any day."""
        return {}

    def add(self, value: Sketches, delta: Sketches) -> Sketches:
        """The union, day by day."""
        days = value.keys() | delta.keys()
        newest = max(days, default=0)
        return {
            day: _union([sketches[day] for sketches in (value, delta) if day in sketches])
            for day in days
            if day > newest - DAYS_OF_A_WEEK
        }

    def dump(self, value: Sketches) -> dict[int, bytes]:
        """Each day's sketch as bytes."""
        return {day: sketch.serialize_compact() for day, sketch in value.items()}

    def load(self, stored: dict[int, bytes]) -> Sketches:
        """Sketches again."""
        from datasketches import hll_sketch  # noqa: PLC0415 - it brings numpy, which few rules need

        return {day: hll_sketch.deserialize(raw) for day, raw in stored.items()}


def sketch(identities: Sequence[str], at: float) -> Sketches:
    """What `identities` that were seen at `at` (Unix time) add."""
    from datasketches import hll_sketch, tgt_hll_type  # noqa: PLC0415 - as above

    one = hll_sketch(SKETCH_SIZE, tgt_hll_type.HLL_4)
    for identity in identities:
        one.update(identity)
    return {int(at // SECONDS_OF_A_DAY): one}


def seen(value: Sketches, now: float, days: int) -> float:
    """How many distinct identities the last `days` days in UTC saw, the one that goes on included."""
    today = int(now // SECONDS_OF_A_DAY)
    wanted = [one for day, one in value.items() if today - days < day <= today]
    return round(float(_union(wanted).get_estimate())) if wanted else 0


def _union(sketches: Sequence[Any]) -> Any:
    if len(sketches) == 1:
        return sketches[0]
    from datasketches import hll_union, tgt_hll_type  # noqa: PLC0415 - as above

    union = hll_union(SKETCH_SIZE)
    for one in sketches:
        union.update(one)
    return union.get_result(tgt_hll_type.HLL_4)


def kind_of(text: str) -> Kind:
    """The kind that a series was stored with. Raises ValueError for one that this version doesn't know."""
    name, _, shape = text.partition(":")
    if name == "histogram":
        return Buckets([float(bound) for bound in shape.split(",")])
    simple: dict[str, Kind] = {"last": Newest(), "distinct": Sketched()}
    if name in simple:
        return simple[name]
    if name in ("count", "good", "sum"):
        return Number(name)
    raise ValueError(f"no kind of series is called {text!r}")
