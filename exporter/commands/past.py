"""What `rules backtest` and `rules simulate` have in common: which past they read, from where, and how they say so."""

import argparse
import asyncio
import datetime
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from exporter.rulegen import settings
from exporter.rulegen.backtest import WARM_UP, Backtested, Span
from exporter.rulegen.findings import Finding
from exporter.rulegen.history import Grid
from exporter.rulegen.reading import Read, Reader, points
from exporter.rulegen.settings import Signals
from toolkit.clock import format_utc, parse_duration
from toolkit.configfile import load
from toolkit.prometheus import Prometheus, QueryFailed
from toolkit.secretfile import SecretFile

DEFAULT_SPAN = 30 * 86_400.0
SHORTEST = 3600.0
TIMEOUT = aiohttp.ClientTimeout(total=300.0)
MOST_BYTES = 256 * 1024 * 1024
"""Of one answer: 10,000 points of 800 series."""


def signals(path: Path) -> Signals:
    """A file of signals. Raises ConfigError, and ValueError where it has none."""
    file = load(path, Signals, settings.lint)
    if not file.signals:
        raise ValueError(f"{path} has no signals; objectives are not backtested")
    return file


def span(arguments: argparse.Namespace, now: float) -> Span:
    """The time that is judged. Raises ValueError with what is wrong about it."""
    end = _instant(arguments.end, "--to", now) if arguments.end else now
    start = _instant(arguments.start, "--from", now) if arguments.start else end - DEFAULT_SPAN
    if end > now:
        raise ValueError(f"--to is {format_utc(end)}, which is still to come; leave it out for now")
    if start >= end:
        times = f"--from is {format_utc(start)}, --to {format_utc(end)}"
        raise ValueError(f"{times}: the beginning must come first; are they exchanged?")
    if end - start < SHORTEST:
        raise ValueError("less than an hour between --from and --to: there is nothing to judge; take some weeks")
    return Span(start, end)


def _instant(text: str, flag: str, now: float) -> float:
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{flag}: {text!r} is no time; write it like 2026-11-01T08:00:00Z, or 30d for so long ago"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def grid(judged: Span) -> Grid:
    """The evaluations that a backtest of that time needs."""
    return Grid.of(judged.start - WARM_UP, judged.end)


def read(arguments: argparse.Namespace, files: Sequence[Signals], judged: Span) -> list[Read]:
    """The past of each file's signals, with a bar of how far it is. Raises ValueError with the next step."""
    address: str = arguments.prometheus
    if not address.lower().startswith(("http://", "https://")):
        raise ValueError(f"--prometheus: '{address}' has to begin with http:// or https://")
    return asyncio.run(_read(arguments, files, grid(judged)))


async def _read(arguments: argparse.Namespace, files: Sequence[Signals], on: Grid) -> list[Read]:
    token = SecretFile(arguments.token_file) if arguments.token_file else None
    columns = (SpinnerColumn(), TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("read", total=points(files, on))
        try:
            async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
                prometheus = Prometheus(session, arguments.prometheus, token, MOST_BYTES)
                reader = Reader(prometheus, on, lambda done: progress.advance(task, done))
                return [await reader.read(file) for file in files]
        except QueryFailed as error:
            raise ValueError(_told(error, arguments)) from None


def _told(error: QueryFailed, arguments: argparse.Namespace) -> str:
    """What to do about a Prometheus that doesn't answer."""
    text = f"{arguments.prometheus}: {error}"
    if error.reason == "unreachable":
        return f"{text}; does it run, and does `curl {arguments.prometheus.rstrip('/')}/-/ready` answer?"
    if "answered 401" in text or "answered 403" in text:
        return f"{text}; it wants a token: give a file that holds it with --token-file"
    return f"{text}; try the query in Prometheus itself, or a shorter time with --from"


def judged(found: Iterable[Backtested], said: Iterable[Finding]) -> list[Backtested]:
    """The signals of which nothing fatal was said."""
    fatal = {one.signal for one in said if one.fatal}
    return [one for one in found if one.signal.name not in fatal]


def now() -> float:
    """The present time (Unix seconds)."""
    return time.time()
