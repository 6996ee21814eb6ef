"""A source of queries as an operator writes it."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from exporter.usage.sources.sql.address import address
from toolkit.configfile import Duration, Location, Model, Name, Secret
from toolkit.secretfile import SecretUnreadable

Identifier = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class SqlMetric(Model):
    """One query and the metric that its rows become: a series for each row, with the columns `labels` as its labels and
    the column `value` as its value. More rows than `max_series` are refused, not cut."""

    metric: Identifier
    help: str
    type: Literal["gauge", "counter"] = "gauge"
    query: str = Field(min_length=1)
    labels: tuple[Identifier, ...] = ()
    value: str = "value"
    max_series: int = Field(default=100, ge=1, le=10_000)


class SqlSettings(Model):
    """A database, whose URL stands in `url_file`, and what it is asked every `every` seconds, one query at a time.

    A query that takes `timeout` seconds is cancelled. Values are shown for `max_age` seconds.
    """

    name: Name
    url_file: Secret
    every: Duration = Field(default=30.0, ge=1.0)
    timeout: Duration = Field(default=10.0, ge=0.1)
    max_age: Duration = Field(default=300.0, gt=0)
    metrics: tuple[SqlMetric, ...] = Field(min_length=1)


def lint(source: SqlSettings) -> Iterator[tuple[Location, str]]:
    """What contradicts itself in one source: (location below the source, message)."""
    try:
        address(source.url_file.read())
    except (ValueError, SecretUnreadable) as error:
        yield ("url_file",), str(error)
    if source.timeout > source.every:
        yield ("timeout",), "must not be longer than every, or a round of queries would never be done in time"
    if source.max_age < source.every:
        yield ("max_age",), "must not be shorter than every, or values would come and go"
    for index, one in enumerate(source.metrics):
        for at, text in _contradictions(one):
            yield ("metrics", index, *at), text
    for name, times in Counter(one.metric for one in source.metrics).items():
        if times > 1:
            yield ("metrics",), f"the metric '{name}' stands here {times} times"


def _contradictions(one: SqlMetric) -> Iterator[tuple[Location, str]]:
    if (one.type == "counter") != one.metric.endswith("_total"):
        yield ("metric",), "a counter's name ends in _total, and no other's does"
    if one.value in one.labels:
        yield ("value",), f"the column '{one.value}' is a label already"
    for label, times in Counter(one.labels).items():
        if times > 1:
            yield ("labels",), f"the label '{label}' stands here {times} times"
