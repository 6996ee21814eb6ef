"""What `usage.sequences` in `config/exporter.yml` says: rules about the events of one key, each a sentence."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import pydantic
from pydantic import Discriminator, Field, Tag

from exporter.usage.bounds import Bounds
from toolkit.configfile import Duration, Location, Model, Name

EventName = Annotated[str, Field(min_length=1, max_length=200)]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
CounterName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*_total$")]
COMMON = ("keyless", "untimely", "crowded", "evicted")
"""Outcomes of every rule: an event without a key; one that came too late, or from a time to come; one more than are
kept waiting for a key; a key for which there was no room any more."""
DEFAULT_BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0)
"""Seconds from one event of an order or a person to the next: a second to a week."""
FORMAT = 1
"""Of the stored rows. A new number makes every rule start anew."""


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


EventNames = Annotated[tuple[EventName, ...], pydantic.BeforeValidator(_listed), Field(min_length=1, max_length=50)]
"""One event's name, or a list of them."""


class SequenceSettings(Model):
    """What every rule has: the field whose value is the key, and how much is remembered for how long.

    `lateness` is how long after its time an event may come (seconds), `max_keys` how many keys are remembered.
    """

    name: Name
    key: str = Field(min_length=1)
    metric: CounterName
    help: str
    labels: dict[LabelName, tuple[str, ...]] = {}
    lateness: Duration = Field(default=10.0, ge=0, le=86_400.0)
    max_keys: int = Field(default=100_000, ge=1, le=10_000_000)
    service: str = ""
    owner: str

    label: ClassVar[str] = "outcome"
    """The counter's label that tells what happened."""
    words: ClassVar[tuple[str, ...]] = ()
    """The settings that name events, in the order in which two events of one moment are taken."""
    free: ClassVar[frozenset[str]] = frozenset(
        {"name", "metric", "help", "lateness", "max_keys", "service", "owner", "buckets"}
    )
    """What may change without making the rule another one."""

    def mentions(self) -> Iterator[tuple[Location, str]]:
        """Every event that it names, with its place; locations start in the rule."""
        for word in self.words:
            named = getattr(self, word)
            if isinstance(named, str):
                yield (word,), named
            else:
                yield from (((word, place), event) for place, event in enumerate(named))

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Settings that can't both be meant; locations start in the rule."""
        if self.label in self.labels:
            yield ("labels", self.label), f"the label '{self.label}' tells what happened, and is taken"
        seen: set[str] = set()
        for location, event in self.mentions():
            if event in seen:
                yield location, f"the event '{event}' stands here twice, and one could not be told from the other"
            seen.add(event)

    def version(self) -> bytes:
        """Four bytes that change when the rule does: what was remembered under another version means nothing now."""
        said = self.model_dump_json(exclude=set(self.free))
        return hashlib.blake2b(f"{FORMAT}{type(self).__name__}{said}".encode(), digest_size=4).digest()


class Timed(SequenceSettings):
    """A rule that measures seconds too, into a histogram with these buckets."""

    buckets: Bounds = DEFAULT_BUCKETS

    @property
    def histogram(self) -> str:
        """The histogram's name: that of the counter, with its unit."""
        return self.metric.removesuffix("_total") + "_seconds"


class ExpectSettings(Timed):
    """*After* A *expect* B *within* 10 minutes."""

    after: EventName
    expect: EventName
    within: Duration = Field(gt=0)
    forget: Duration = Field(default=3600.0, gt=0)

    words: ClassVar[tuple[str, ...]] = ("after", "expect")


class NeverSettings(SequenceSettings):
    """*Never* C *before* B."""

    never: EventName
    before: EventName
    forget: Duration = Field(default=30 * 86_400.0, gt=0)

    words: ClassVar[tuple[str, ...]] = ("before", "never")


class FunnelSettings(Timed):
    """A *funnel* of steps, *within* 7 days from the first to the last."""

    funnel: tuple[EventName, ...] = Field(min_length=2, max_length=20)
    within: Duration = Field(gt=0)

    label: ClassVar[str] = "step"
    words: ClassVar[tuple[str, ...]] = ("funnel",)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Also steps that are called like an outcome that is counted beside them."""
        yield from super().contradictions()
        for location, step in self.mentions():
            if step in COMMON:
                yield location, f"'{step}' is what the label 'step' says of keys and events that went another way"


class SilentSettings(Timed):
    """*Silent* of these events *for* an hour."""

    silent: EventNames
    duration: Duration = Field(alias="for", gt=0)
    forget: Duration = Field(default=7 * 86_400.0, gt=0)

    words: ClassVar[tuple[str, ...]] = ("silent",)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Also a lateness that would keep more than the ends of a time."""
        yield from super().contradictions()
        if self.lateness > self.duration:
            yield ("lateness",), "must not be longer than 'for'"


class BurstSettings(SequenceSettings):
    """*More than* 20 *of* these events *within* a minute."""

    more_than: int = Field(ge=1, le=1000)
    of: EventNames
    within: Duration = Field(gt=0)

    words: ClassVar[tuple[str, ...]] = ("of",)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Also a lateness that would keep the events of many such times."""
        yield from super().contradictions()
        if self.lateness > self.within:
            yield ("lateness",), "must not be longer than 'within'"


_KINDS: dict[str, type[SequenceSettings]] = {
    "after": ExpectSettings,
    "never": NeverSettings,
    "funnel": FunnelSettings,
    "silent": SilentSettings,
    "more_than": BurstSettings,
}
"""The key that makes a rule one of a kind."""


def _kind(value: Any) -> str | None:
    given = value if isinstance(value, dict) else {}
    found = (kind for word, kind in _KINDS.items() if word in given or isinstance(value, kind))
    return next((kind.__name__ for kind in found), None)


# the tags are no keys of the file, so that a mistake's place is not taken for one
AnySequence = Annotated[
    Annotated[ExpectSettings, Tag("ExpectSettings")]
    | Annotated[NeverSettings, Tag("NeverSettings")]
    | Annotated[FunnelSettings, Tag("FunnelSettings")]
    | Annotated[SilentSettings, Tag("SilentSettings")]
    | Annotated[BurstSettings, Tag("BurstSettings")],
    Discriminator(
        _kind,
        custom_error_type="no_sentence",
        custom_error_message=f"one of these keys is needed, to tell what it is about: {', '.join(_KINDS)}",
    ),
]
"""A rule of any kind."""


def mentions(rules: Sequence[SequenceSettings]) -> Iterator[tuple[Location, str]]:
    """Every event that a rule names, with its place; locations start in the list."""
    for index, rule in enumerate(rules):
        yield from (((index, *location), event) for location, event in rule.mentions())


def lint(rules: Sequence[SequenceSettings]) -> Iterator[tuple[Location, str]]:
    """Names used twice, and settings that contradict one another; locations start in the list."""
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.name in seen:
            yield (index, "name"), f"the name '{rule.name}' is used twice"
        seen.add(rule.name)
        yield from (((index, *location), text) for location, text in rule.contradictions())
