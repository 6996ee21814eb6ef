"""Readings -> the operator's metrics and `tocsin_exporter_sql_*`."""

from collections.abc import Iterable, Iterator

from exporter.exposition import Families, Family, line, series
from exporter.usage.sources.sql.source import Reading, SqlSource

SUCCESS = Family(
    "tocsin_exporter_sql_last_success_timestamp_seconds",
    "gauge",
    "When a query last gave values, in seconds since the epoch; 0 for never.",
)
DURATION = Family("tocsin_exporter_sql_query_duration_seconds", "gauge", "How long the last query took, also in vain.")
ERRORS = Family(
    "tocsin_exporter_sql_errors_total",
    "counter",
    "Queries that gave no values: timeout, unreachable, refused, too_many_rows or bad_value.",
)


def families(sources: Iterable[SqlSource], now: float) -> Families:
    """The series of all sources at `now`, in seconds since the epoch. Values older than `max_age` are left out."""
    known = list(sources)
    for source in known:
        for one in source.readings:
            fresh = now - one.succeeded_at <= source.settings.max_age
            samples = one.samples if fresh else {}
            family = Family(one.metric.metric, one.metric.type, one.metric.help)
            yield family, [line(key, value) for key, value in samples.items()]
    yield SUCCESS, [_line(SUCCESS, source, one, one.succeeded_at) for source, one in _readings(known)]
    yield DURATION, [_line(DURATION, source, one, one.seconds) for source, one in _readings(known)]
    yield (
        ERRORS,
        [
            _line(ERRORS, source, one, count, reason=reason)
            for source, one in _readings(known)
            for reason, count in one.errors.items()
        ],
    )


def _readings(sources: Iterable[SqlSource]) -> Iterator[tuple[SqlSource, Reading]]:
    return ((source, one) for source in sources for one in source.readings)


def _line(family: Family, source: SqlSource, one: Reading, value: float, **labels: str) -> bytes:
    return line(
        series(family.name, {"source": source.settings.name, "metric": one.metric.metric, **labels}), float(value)
    )
