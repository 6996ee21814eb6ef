"""Rows of a query -> values of series, or why they can't be. Pure."""

import datetime
import decimal
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from exporter.usage.sources.sql.settings import SqlMetric
from toolkit.configfile import nearest

Reason = Literal["timeout", "unreachable", "refused", "too_many_rows", "bad_value"]
REASONS: tuple[Reason, ...] = ("timeout", "unreachable", "refused", "too_many_rows", "bad_value")
Row = Mapping[str, Any]
Labels = tuple[str, ...]
"""The label values of a series, in the order of the metric's labels."""
LONGEST_LABEL = 1024


class QueryFailed(Exception):
    """A query gave no values. `detail` is for a log line: it may repeat what a database said."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


def values(metric: SqlMetric, rows: Sequence[Row]) -> dict[Labels, float]:
    """The value of each series. A row whose value is NULL gives none. Raises QueryFailed."""
    if len(rows) > metric.max_series:
        raise QueryFailed("too_many_rows", f"more than {metric.max_series} rows (max_series)")
    found: dict[Labels, float] = {}
    for row in rows:
        _refuse_missing(metric, row)
        labels = tuple(_label(name, row[name]) for name in metric.labels)
        if labels in found:
            raise QueryFailed("bad_value", f"two rows have the labels {dict(zip(metric.labels, labels, strict=True))}")
        if row[metric.value] is not None:
            found[labels] = _value(metric, row[metric.value])
    return found


def _refuse_missing(metric: SqlMetric, row: Row) -> None:
    for name in (*metric.labels, metric.value):
        if name not in row:
            raise QueryFailed("bad_value", f"there is no column '{name}'{nearest(name, row)}")


def _value(metric: SqlMetric, value: Any) -> float:
    if not isinstance(value, (int, float, decimal.Decimal, str)):
        raise QueryFailed("bad_value", f"'{metric.value}' is a {type(value).__name__}, which is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise QueryFailed("bad_value", f"'{metric.value}' holds a {type(value).__name__} that is no number") from None
    if metric.type == "counter" and not 0 <= number < math.inf:
        raise QueryFailed("bad_value", f"'{metric.value}' is {number}, which no counter can be")
    return number


def _label(name: str, value: Any) -> str:
    """NULL is the empty text, which for Prometheus is no label."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    if len(text) > LONGEST_LABEL:
        raise QueryFailed("bad_value", f"'{name}' holds a label of more than {LONGEST_LABEL} characters")
    return text
