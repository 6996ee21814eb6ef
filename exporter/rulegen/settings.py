"""What a file of signals says: which metrics to watch and what is normal for them, which objectives to keep."""

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic
from pydantic import Field

from exporter.rulegen.model import Kind, Seasonality
from toolkit.clock import parse_rfc3339
from toolkit.configfile import Duration, Location, Model, Name, nearest

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""In PromQL's order: `day_of_week()` is 0 on a Sunday."""
Direction = Literal["down", "up", "both"]
Severity = Literal["ticket", "page"]
Sensitivity = Literal["quiet", "standard"] | float
"""A profile of `exporter.rulegen.model`, or the factor that stands in for standard's."""
SEVERITIES = {"ticket": "warning", "page": "critical"}
"""A class of alert -> the label `severity` that the receiver knows."""
OWN_LABELS = frozenset(
    {"signal", "slo", "profile", "side", "model", "lookback", "severity", "owner", "service", "alertname", "alertstate"}
)
"""Labels that the rules give a meaning of their own; an operator's grouping can't have them."""
MOST_FACTOR = 10.0
FEW_AN_HOUR = 20.0
"""A count's minimum unless told: with fewer expected, even none in an hour can be chance."""


def _zone(value: object) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone of the IANA database; write it like Europe/Lisbon") from None


def _time_of_day(value: object) -> int:
    found = re.fullmatch(r"(\d\d):(\d\d)", value) if isinstance(value, str) else None
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minutes <= 24 * 60 or (found and int(found[2]) > 59):
        raise ValueError(f'{value!r} is no time of day; write it in quotes, like "08:00"')
    return minutes


def _instant(value: object) -> float:
    text = value.isoformat() if isinstance(value, datetime.datetime) else value
    try:
        return parse_rfc3339(str(text))
    except ValueError:
        raise ValueError(f"{value} is no instant with its zone; write it like 2026-12-24T20:00:00Z") from None


def _sensitivity(value: object, read: pydantic.ValidatorFunctionWrapHandler) -> object:
    """One mistake is one line: pydantic has one for each member of a union."""
    try:
        return read(value)
    except pydantic.ValidationError:
        raise ValueError(f"should be 'standard', 'quiet', or a number above 0, at most {MOST_FACTOR:g}") from None


Zone = Annotated[str, pydantic.PlainValidator(_zone)]
"""A time zone of the IANA database."""
TimeOfDay = Annotated[int, pydantic.PlainValidator(_time_of_day)]
"""Minutes since midnight, 0 to 1440, written like "08:00"."""
Instant = Annotated[float, pydantic.PlainValidator(_instant)]
"""Seconds since the epoch, written as RFC 3339."""


class Dates(Model):
    """Whole days, the first and the last among them, in the file's time zone."""

    first: datetime.date = Field(alias="from")
    last: datetime.date = Field(alias="to")

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> "Dates":
        if self.last < self.first:
            raise ValueError(f"ends on {self.last}, before it begins on {self.first}")
        return self


def _dates(value: object) -> object:
    return value if isinstance(value, (dict, Dates)) else {"from": value, "to": value}


Holiday = Annotated[Dates, pydantic.BeforeValidator(_dates)]
"""A day, or days `from` and `to`."""


class Maintenance(Model):
    """Planned work: nothing is told of these signals while it lasts; of all of them where none is named."""

    begins: Instant = Field(alias="from")
    ends: Instant = Field(alias="to")
    signals: tuple[Name, ...] = ()

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> "Maintenance":
        if self.ends <= self.begins:
            raise ValueError("ends before it begins")
        return self


class Hours(Model):
    """When it is worth telling: these days, from a time of day to another, in the file's time zone."""

    days: tuple[Day, ...] = Field(default=("mon", "tue", "wed", "thu", "fri"), min_length=1)
    opens: TimeOfDay = Field(alias="from")
    closes: TimeOfDay = Field(alias="to")

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> "Hours":
        if self.closes <= self.opens:
            raise ValueError('closes before it opens; hours over midnight are two: to "24:00", and from "00:00"')
        return self


class Owned(Model):
    """What a signal and an objective have in common."""

    name: Name
    owner: str | None = None
    service: str = ""
    runbook_url: str = ""
    impact: str = ""
    hours: Hours | None = None


class Minimum(Model):
    """Of less than this nothing is told, neither of a fall from less nor of a rise to less: events in a time, or a
    gauge's value."""

    events: float | None = Field(default=None, ge=0)
    per: Duration = Field(default=3600.0, gt=0)
    value: float | None = None

    @pydantic.model_validator(mode="after")
    def _one(self) -> "Minimum":
        if (self.events is None) == (self.value is None):
            raise ValueError("needs one of 'events' (with 'per') and 'value'")
        return self

    @property
    def level(self) -> float:
        """In the unit of the recorded signal: events per second, or as it is."""
        return self.value if self.value is not None else (self.events or 0.0) / self.per


class Signal(Owned):
    """A metric that has a normal: what is watched, and when it is worth telling. `by` are the labels that tell its
    series apart; a `query` has to return them."""

    help: str = ""
    metric: MetricName | None = None
    query: str | None = None
    match: dict[LabelName, str] = {}
    by: tuple[LabelName, ...] = ()
    unit: str = ""
    kind: Kind
    direction: Direction = "both"
    sensitivity: Annotated[
        Literal["quiet", "standard"] | Annotated[float, Field(gt=0, le=MOST_FACTOR)],
        pydantic.WrapValidator(_sensitivity),
    ] = "standard"
    seasonality: Seasonality = "weekly"
    minimum: Minimum | None = None
    severity: Severity = "ticket"
    outage: Severity | Literal["none"] = "page"
    drift: bool = True

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> "Signal":
        if (self.metric is None) == (self.query is None):
            raise ValueError("needs one of 'metric' (a name) and 'query' (PromQL)")
        if self.query is not None and self.match:
            raise ValueError("'match' belongs to 'metric'; write it into the query")
        if self.metric is not None and self.kind == "gauge" and self.metric.endswith("_total"):
            raise ValueError(
                f"'{self.metric}' is named like a counter, which only grows, and kind is gauge; say 'kind: count', or "
                f"write its rate as a query: 'query: sum(rate({self.metric}[5m]))'"
            )
        if self.kind == "gauge" and self.minimum is not None and self.minimum.events is not None:
            raise ValueError("minimum.events is for counts; of a gauge say 'minimum: {value: 100}'")
        if "outage" in self.model_fields_set and self.kind == "gauge":
            raise ValueError("outage: only counts stop; a gauge may well be 0")
        return self

    @property
    def least(self) -> float | None:
        """Below this much nothing is told, in the unit that is recorded; None for a gauge that has no minimum."""
        if self.minimum is not None:
            return self.minimum.level
        return FEW_AN_HOUR / 3600 if self.kind == "count" else None

    @property
    def stops_as(self) -> Severity | None:
        """How its total outage is told; None where it isn't."""
        if self.kind == "gauge" or self.direction == "up" or self.outage == "none":
            return None
        return self.outage


Counter = Annotated[str, Field(pattern=r"(?s)^[a-zA-Z_:][a-zA-Z0-9_:]*\s*(\{.*\})?$")]
"""A counter, with matchers if it needs them: `http_requests_total{code=~"5.."}`."""


class Availability(Model):
    """The share of requests that were no errors, by two counters."""

    errors: Counter
    total: Counter


class Latency(Model):
    """The share of requests that took no longer than `at_most` seconds, one of the histogram's buckets."""

    histogram: MetricName
    match: dict[LabelName, str] = {}
    at_most: float = Field(gt=0)

    @pydantic.field_validator("histogram")
    @classmethod
    def _base_name(cls, value: str) -> str:
        for suffix in ("_bucket", "_count", "_sum"):
            if value.endswith(suffix):
                raise ValueError(f"name the histogram itself, '{value.removesuffix(suffix)}'")
        return value


class Freshness(Model):
    """The share of time in which something was no older than `max_age`: a metric with its time (Unix seconds)."""

    timestamp: str
    max_age: Duration = Field(gt=0)


class ThirdParty(Model):
    """The share of time in which a provider of the exporter was up."""

    provider: Name


class Slo(Owned):
    """An objective: which share has to be good, over which time."""

    objective: float = Field(gt=0, lt=100)
    window: Duration = Field(default=30 * 86_400.0, ge=7 * 86_400, le=90 * 86_400)
    availability: Availability | None = None
    latency: Latency | None = None
    freshness: Freshness | None = None
    third_party: ThirdParty | None = None
    page: bool = True

    @property
    def budget(self) -> float:
        """The share that may be bad, 0 to 1."""
        return 1 - self.objective / 100

    @pydantic.model_validator(mode="after")
    def _one_kind(self) -> "Slo":
        kinds = ("availability", "latency", "freshness", "third_party")
        if sum(getattr(self, kind) is not None for kind in kinds) != 1:
            raise ValueError(f"needs one of {', '.join(kinds)}")
        return self

    @pydantic.field_validator("objective")
    @classmethod
    def _in_percent(cls, value: float) -> float:
        if value < 1:
            raise ValueError(f"is in percent; did you mean {100 * value:g}?")
        return value


class Defaults(Model):
    """What holds for every signal and objective that doesn't say otherwise."""

    owner: str = ""
    runbooks: str = "http://localhost:9971/runbooks"


class Signals(Model):
    """The whole file."""

    timezone: Zone = "UTC"
    defaults: Defaults = Defaults()
    unless: tuple[str, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    signals: tuple[Signal, ...] = ()
    slos: tuple[Slo, ...] = ()

    def holding(self, signal: str) -> tuple[Maintenance, ...]:
        """The maintenance that a signal is in."""
        return tuple(one for one in self.maintenance if not one.signals or signal in one.signals)

    @property
    def planned(self) -> tuple[Maintenance, ...]:
        """The maintenance that everything is in, objectives too."""
        return tuple(one for one in self.maintenance if not one.signals)

    def owner_of(self, one: Owned) -> str:
        """Who has it; empty where nobody is named."""
        return one.owner if one.owner is not None else self.defaults.owner

    def runbook_of(self, one: Owned, alert: str) -> str:
        """Where the first steps stand: its own page, else the alert's."""
        return one.runbook_url or f"{self.defaults.runbooks}/{alert}"


def lint(file: Signals) -> Iterator[tuple[Location, str]]:
    """What only the whole file shows: names used twice, names that nobody has, expressions that can't be read."""
    yield from _twice("signals", [one.name for one in file.signals])
    yield from _twice("slos", [one.name for one in file.slos])
    names = [one.name for one in file.signals]
    for place, window in enumerate(file.maintenance):
        for index, name in enumerate(window.signals):
            if name not in names:
                location = ("maintenance", place, "signals", index)
                yield location, f"no signal is named '{name}'{nearest(name, names)}"
    for place, signal in enumerate(file.signals):
        for index, label in enumerate(signal.by):
            if label in OWN_LABELS:
                yield ("signals", place, "by", index), f"the rules give the label '{label}' a meaning of their own"
    for where, text in _expressions(file):
        yield from _unbalanced(where, text)


def _expressions(file: Signals) -> Iterator[tuple[Location, str]]:
    """Every PromQL that an operator wrote."""
    yield from ((("unless", place), text) for place, text in enumerate(file.unless))
    for place, signal in enumerate(file.signals):
        if signal.query is not None:
            yield ("signals", place, "query"), signal.query
    for place, slo in enumerate(file.slos):
        if slo.availability is not None:
            yield ("slos", place, "availability", "errors"), slo.availability.errors
            yield ("slos", place, "availability", "total"), slo.availability.total
        if slo.freshness is not None:
            yield ("slos", place, "freshness", "timestamp"), slo.freshness.timestamp


def _twice(field: str, names: Iterable[str]) -> Iterator[tuple[Location, str]]:
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        if seen.setdefault(name, place) != place:
            yield (field, place, "name"), f"'{name}' is also the name of {field}[{seen[name]}]"


_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_PAIRS: dict[str, str] = {")": "(", "]": "[", "}": "{"}


def _unbalanced(location: Location, text: str) -> Iterator[tuple[Location, str]]:
    """PromQL is Prometheus's to read (`promtool check rules`); what would swallow the rest of a rule is told here."""
    open_: list[Any] = []
    for character in re.sub("#.*", "", _TEXT.sub("", text)):
        if character in _PAIRS.values():
            open_.append(character)
        elif character in _PAIRS and (not open_ or open_.pop() != _PAIRS[character]):
            yield location, f"'{character}' closes nothing: not an expression of PromQL"
            return
    if open_ or not text.strip():
        yield location, f"'{open_[-1]}' is never closed" if open_ else "is empty"
