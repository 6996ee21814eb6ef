"""A panel's queries, asked: lines over time, values now, rows of a table."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.dashboards import Grafana, filled
from tests.support.drawing.fields import Field, field_of

POINTS = 300
Row = dict[str, float | str]


@dataclass(frozen=True)
class Span:
    """The time that is shown, in seconds since the epoch."""

    start: float
    end: float

    @property
    def step(self) -> float:
        """Seconds between two points."""
        return (self.end - self.start) / POINTS

    @property
    def text(self) -> str:
        """As Prometheus writes durations."""
        return f"{(self.end - self.start) / 3600:g}h"


@dataclass(frozen=True)
class Line:
    """A named course: (seconds since the epoch, value) in order, and how it is to be drawn."""

    name: str
    points: Sequence[tuple[float, float]]
    field: Field

    @property
    def last(self) -> float:
        """Its value at the end."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Asker:
    """Asks for one dashboard, whose variables have these values."""

    grafana: Grafana
    values: Mapping[str, str]
    span: Span

    def lines(self, panel: Mapping[str, Any]) -> list[Line]:
        """Every series of every query that the panel asks; of those that it asks for now alone, one point."""
        return [line for target in panel["targets"] for line in self._lines(panel, target)]

    def _lines(self, panel: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[Line]:
        expr = filled(target["expr"], self.values)
        legend = filled(target.get("legendFormat", ""), self.values)
        if target.get("instant"):
            found = [(one["metric"], [one["value"]]) for one in self.grafana.now(expr, self.span.end)]
        else:
            course = self.grafana.course(expr, self.span.start, self.span.end, self.span.step)
            found = [(one["metric"], one["values"]) for one in course]
        for labels, values in found:
            name = named(legend, labels)
            points = [(float(at), float(value)) for at, value in values]
            yield Line(name, points, field_of(panel["fieldConfig"], name, target["refId"]))

    def rows(self, panel: Mapping[str, Any]) -> list[Row]:
        """The rows of a table, joined as Grafana's transformation `merge` does: rows that have the same values in what all
        queries have, and contradict each other in nothing."""
        frames = []
        for target in panel["targets"]:
            answer = self.grafana.now(filled(target["expr"], self.values), self.span.end)
            column = f"Value #{target['refId']}"
            frames.append([{**one["metric"], column: float(one["value"][1])} for one in answer])
        return merged([frame for frame in frames if frame])


def named(legend: str, labels: Mapping[str, str]) -> str:
    """A legend's `{{label}}` filled in."""
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda label: labels.get(label[1], ""), legend).strip()


def merged(frames: Sequence[Sequence[Row]]) -> list[Row]:
    """Rows of several answers as one table."""
    names = [{name for row in frame for name in row if not name.startswith("Value #")} for frame in frames]
    key = set.intersection(*names) if names else set()
    rows: list[Row] = []
    for frame in frames:
        for new in frame:
            same = next((row for row in rows if _joins(row, new, key)), None)
            if same is None:
                rows.append(dict(new))
            else:
                same.update(new)
    return rows


def _joins(row: Row, new: Row, key: set[str]) -> bool:
    if any(row.get(name) != new.get(name) for name in key):
        return False
    return all(row[name] == value for name, value in new.items() if name in row)
