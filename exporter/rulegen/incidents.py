"""A list of what really happened, from a CSV file: `start,end` and, where known, `signal,name`."""

import csv
import datetime
import math
from collections.abc import Sequence
from pathlib import Path

from exporter.rulegen.episodes import Incident
from toolkit.clock import format_utc
from toolkit.configfile import ConfigError, Problem, nearest

COLUMNS = ("start", "end", "signal", "name")


def read(path: Path, signals: Sequence[str], now: float) -> list[Incident]:
    """The incidents in their order. Raises ConfigError with every row that is wrong: no time, an end before its start,
    what is still to come, a signal that nobody has, two that overlap."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError([Problem(path, 1, 1, f"can't read the file: {getattr(error, 'strerror', error)}")]) from None
    header = [name.strip().lower() for name in rows[0]] if rows else []
    _check(path, header)
    problems: list[Problem] = []
    found: list[tuple[int, Incident]] = []
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            found.append(
                (line, _incident(dict(zip(header, (cell.strip() for cell in row), strict=False)), signals, now))
            )
        except ValueError as error:
            problems.append(Problem(path, line, 1, str(error)))
    problems += _overlaps(path, found)
    if problems:
        raise ConfigError(problems)
    return sorted((one for _, one in found), key=lambda one: one.start)


def _check(path: Path, header: Sequence[str]) -> None:
    if not set(header) & set(COLUMNS):
        text = "the first line has to be 'start,end' (and, where known, 'signal,name')"
        raise ConfigError([Problem(path, 1, 1, text)])
    for column, name in enumerate(header, start=1):
        if name not in COLUMNS:
            raise ConfigError([Problem(path, 1, column, f"unknown column '{name}'{nearest(name, COLUMNS)}")])
    for name in COLUMNS[:2]:
        if name not in header:
            raise ConfigError(
                [Problem(path, 1, 1, f"the first line names the columns, and '{name}' is not among them")]
            )


def _incident(row: dict[str, str], signals: Sequence[str], now: float) -> Incident:
    start, end = (_time(row.get(name, ""), name) for name in COLUMNS[:2])
    signal = row.get("signal", "")
    if end <= start:
        raise ValueError(f"ends at {format_utc(end)}, before it starts at {format_utc(start)}: are they exchanged?")
    if start > now:
        raise ValueError(f"starts at {format_utc(start)}, which is still to come: a backtest knows the past alone")
    if signal and signal not in signals:
        raise ValueError(f"no signal is named '{signal}'{nearest(signal, signals)}")
    return Incident(start, end, signal, row.get("name", ""))


def _time(text: str, name: str) -> float:
    try:
        moment = _moment(text)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{name}: {text!r} is no time; write it like 2026-11-02T14:30:00Z") from None
    if moment.tzinfo is None:
        form = "2026-11-13T02:45:00Z or 2026-11-13T02:45:00+01:00"
        raise ValueError(f"{name}: {text!r} has no zone; write it like {form}")
    return moment.timestamp()


def _moment(text: str) -> datetime.datetime:
    try:
        seconds = float(text)
    except ValueError:
        return datetime.datetime.fromisoformat(text)
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _overlaps(path: Path, found: Sequence[tuple[int, Incident]]) -> list[Problem]:
    problems = []
    for signal in {one.signal for _, one in found}:
        same = sorted(((one.start, one.end, line) for line, one in found if one.signal == signal))
        latest, before = -math.inf, 0
        for start, end, line in same:
            if start < latest:
                text = f"overlaps with line {before}: make one of them, or the same trouble counts twice"
                problems.append(Problem(path, line, 1, text))
            if end > latest:
                latest, before = end, line
    return problems
