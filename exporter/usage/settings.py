"""What `usage:` in `config/exporter.yml` says: who may send events, what each holds, and what is counted of them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from exporter.usage.bounds import Bounds
from exporter.usage.condition import Condition, Scalar
from exporter.usage.logs import grok
from exporter.usage.logs.settings import LogSet
from exporter.usage.sequences import AnySequence
from exporter.usage.sources.settings import SourceSettings
from toolkit.configfile import Duration, Location, Model, Name, Secret, nearest

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
FieldType = Literal["string", "integer", "number", "boolean", "timestamp"]

RESERVED_LABELS = frozenset({"job", "instance", "le", "quantile", "__name__"})
"""Labels that Prometheus sets on a target or gives a meaning of its own."""
RESERVED_PREFIXES = ("thirdparty_", "usage_rule_", "tocsin_", "process_", "python_", "scrape_")
OTHER = "other"
"""The label value that counts what no series of its own is left for, so that totals stay exact."""
DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Prometheus's own default, in seconds."""
UNITS: Mapping[str, tuple[int, int]] = {
    "s": (1, 1), "ms": (1, 1000), "us": (1, 10**6), "ns": (1, 10**9), "min": (60, 1), "h": (3600, 1),
    "B": (1, 1), "KB": (1000, 1), "MB": (10**6, 1), "GB": (10**9, 1),
    "KiB": (1024, 1), "MiB": (2**20, 1), "GiB": (2**30, 1),
    "percent": (1, 100), "cents": (1, 100),
}  # fmt: skip
"""What one of a unit is in the base unit that Prometheus's names want (seconds, bytes, ratios; of money, the whole), as
a fraction: 5 ms divided by 1000 are 0.005 s, while 5 times 0.001 may be a hair more and fall into the next bucket."""


# --- events


class FieldContract(Model):
    """One field of an event. `values` lists those that are allowed, where not every one is."""

    type: FieldType = "string"
    required: bool = False
    values: tuple[Scalar, ...] = ()
    about: str = ""

    @pydantic.model_validator(mode="after")
    def _values_have_the_type(self) -> "FieldContract":
        wanted: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
        for value in self.values:
            kind = wanted.get(self.type)
            if kind is None or not isinstance(value, kind) or isinstance(value, bool) != (self.type == "boolean"):
                raise ValueError(f"the value {value!r} is no {self.type}")
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ValueError(f"the value {value} has more than 64 bits")
        return self


class EventTime(Model):
    """When an event happened, by a field of type `timestamp`: one that comes (or that was sent, where that is known)
    later than `lateness`, or that is `ahead` of that by more, is rejected."""

    field: str
    lateness: Duration = Field(default=3600.0, gt=0)
    ahead: Duration = Field(default=300.0, ge=0)


class EventContract(Model):
    """What producers agree to send: an event's name and its fields. Fields that are not named may come too."""

    name: str = Field(min_length=1, max_length=200)
    about: str = ""
    owner: str = ""
    fields: dict[str, FieldContract] = {}
    time: EventTime | None = None
    sample: dict[str, Any] | None = None

    @pydantic.model_validator(mode="after")
    def _time_is_a_timestamp(self) -> "EventContract":
        if "event" in self.fields:
            raise ValueError("the field 'event' is the event's name; it is not declared")
        if self.time is not None:
            field = self.fields.get(self.time.field)
            if field is None:
                raise ValueError(
                    f"time.field: no field is named '{self.time.field}'{nearest(self.time.field, self.fields)}"
                )
            if field.type != "timestamp":
                raise ValueError(f"time.field: '{self.time.field}' is a {field.type}; it has to be a timestamp")
        return self


class Producer(Model):
    """Who may post events with a token of their own, and the labels that are true of all they send, whatever the
    body says."""

    name: Name
    bearer_token_files: tuple[Secret, ...] = Field(min_length=1)
    labels: dict[LabelName, str] = {}


# --- rules


class Label(Model):
    """Where a label's value comes from: the field (of the label's own name unless told), `map`ped, and, where `values`
    lists them, no other."""

    field: str = ""
    values: tuple[str, ...] = ()
    map: dict[str, str] = {}


def _label(value: object) -> object:
    return {"values": value} if isinstance(value, (list, tuple)) else value


class Measured(Model):
    """A field that holds a number, and its unit where that is not Prometheus's base unit."""

    field: str
    unit: str = ""

    @pydantic.field_validator("unit")
    @classmethod
    def _known(cls, unit: str) -> str:
        if unit and unit not in UNITS:
            raise ValueError(f"no unit is named '{unit}'{nearest(unit, UNITS)}")
        return unit

    @property
    def scale(self) -> tuple[int, int]:
        """What one of the field's unit is in the metric's: (times, divided by)."""
        return UNITS.get(self.unit, (1, 1))


def _measured(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


class Minimum(Model):
    """The least that is normal: fewer than `events` in `per` is worth an alert."""

    events: float = Field(gt=0)
    per: Duration = Field(default=60.0, gt=0)


Kind = Literal["count", "sum", "histogram", "last", "distinct", "ratio"]
_WANTED: Mapping[Kind, str] = {
    "count": "", "sum": "value", "histogram": "value", "last": "value", "distinct": "identity", "ratio": "good"
}  # fmt: skip
TOTALS = frozenset({"count", "sum", "ratio"})


class UsageRule(Model):
    """Counts, adds up or measures the events named `event` whose fields meet `where`, into the metric `metric`."""

    name: Name
    kind: Kind = "count"
    metric: MetricName
    help: str
    event: str
    where: dict[str, Condition] = {}
    labels: dict[LabelName, Annotated[Label, pydantic.BeforeValidator(_label)]] = {}
    value: Annotated[Measured, pydantic.BeforeValidator(_measured)] | None = None
    buckets: Bounds = ()
    identity: str = ""
    exemplar: str = ""
    good: dict[str, Condition] = {}
    max_series: int = Field(default=1000, ge=1, le=1_000_000)
    expire: Duration = Field(default=0.0, ge=0)
    minimum: Minimum | None = None
    service: str = ""
    owner: str

    @pydantic.model_validator(mode="after")
    def _has_what_its_kind_wants(self) -> "UsageRule":
        for kind, setting in _WANTED.items():
            given = bool(setting) and bool(getattr(self, setting))
            if setting and given and self.kind != kind and _WANTED[self.kind] != setting:
                raise ValueError(f"{setting} is for kind: {kind}; this rule is a {self.kind}")
        wanted = _WANTED[self.kind]
        if wanted and not getattr(self, wanted):
            raise ValueError(f"kind: {self.kind} needs {wanted}")
        if self.buckets and self.kind != "histogram":
            raise ValueError(f"buckets are for kind: histogram; this rule is a {self.kind}")
        return self

    @property
    def bounds(self) -> tuple[float, ...]:
        """The upper bounds of a histogram's buckets without +Inf."""
        return self.buckets or DEFAULT_BUCKETS

    def source_of(self, label: str) -> str:
        """The field that a label's value comes from."""
        return self.labels[label].field or label


class LedgerSettings(Model):
    """Where usage is counted, if not beside everything else: a PostgreSQL that several exporters share. The file holds
    its URL, `postgresql://user:password@host/database`."""

    url_file: Secret


class Usage(Model):
    """Product usage."""

    ledger: LedgerSettings | None = None
    producers: tuple[Producer, ...] = ()
    events: tuple[EventContract, ...] = ()
    logs: tuple[LogSet, ...] = ()
    sources: SourceSettings = SourceSettings()
    rules: tuple[UsageRule, ...] = ()
    sequences: tuple[AnySequence, ...] = ()
    created_timestamps: bool = False

    @property
    def trusted(self) -> dict[str, Mapping[str, str]]:
        """By source, the fields that are true of all that it delivers."""
        return {one.name: one.labels for one in (*self.producers, *self.sources.of_events)}

    @property
    def trusted_fields(self) -> set[str]:
        """The names of all of them."""
        return {label for labels in self.trusted.values() for label in labels}


def fields_of_logs(sets: Iterable[LogSet]) -> dict[str, frozenset[str] | None]:
    """The fields of each event that patterns of logs name; None where JSON may hold any."""
    found: dict[str, frozenset[str] | None] = {}
    for one in sets:
        for pattern in one.patterns:
            groups = frozenset(grok.expand(pattern.pattern).names) if one.format == "text" else None
            before = found.get(pattern.event, frozenset())
            found[pattern.event] = None if groups is None or before is None else groups | before
    return found


def twice(at: Location, names: list[str]) -> Iterator[tuple[Location, str]]:
    """A problem for each name that stands there before."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield (*at, index, "name"), f"the name '{name}' is used twice"
        seen.add(name)


def good_name(metric: str) -> str:
    """The name of a ratio's counter of the good ones."""
    return f"{metric.removesuffix('_total')}_good_total"
