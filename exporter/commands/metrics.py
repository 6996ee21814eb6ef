"""`tocsin-exporter metrics`: every metric of product usage, whose it is, and how many series it has now."""

import argparse
import asyncio
import re
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from exporter import config
from exporter.usage.collector import SERIES
from exporter.usage.sequences.settings import Timed
from exporter.usage.settings import UsageRule, good_name
from toolkit.cli import Extra, add_config_file
from toolkit.httpclient import bearer
from toolkit.redaction import printable
from toolkit.secretfile import SecretFile, SecretUnreadable

_SAMPLE = re.compile(rf'{SERIES.name}\{{rule="([^"]+)"\}} (\d+)')


def _flags(parser: argparse.ArgumentParser) -> None:
    add_config_file(parser, "exporter")
    parser.add_argument(
        "--url",
        metavar="URL",
        help="a running exporter, such as http://127.0.0.1:9970: tells how many series each metric has",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file with one of its bearer tokens")


def _run(arguments: argparse.Namespace) -> int:
    usage = config.load(arguments.config_file).usage
    now = asyncio.run(_series(arguments.url, arguments.token_file)) if arguments.url else {}
    table = Table(box=None, pad_edge=False)
    console = Console()
    for heading in ("METRIC", "KIND", "LABELS", "SERIES", "RULE", "EVENT", "OWNER"):
        table.add_column(heading, overflow="fold", no_wrap=not console.is_terminal)
    for rule in usage.rules:
        labels, event = ", ".join(rule.labels), printable(rule.event)
        series = f"{now.get(rule.name, '-')} of {rule.max_series}"
        for metric in _metrics(rule):
            table.add_row(metric, rule.kind, labels, series, rule.name, event, rule.owner)
    for one in usage.sequences:
        events = printable(", ".join(dict.fromkeys(event for _, event in one.mentions())))
        labels = ", ".join((*one.labels, one.label))
        table.add_row(one.metric, "keys", labels, "-", one.name, events, one.owner)
        if isinstance(one, Timed):
            table.add_row(one.histogram, "histogram", ", ".join(one.labels), "-", one.name, events, one.owner)
    if not console.is_terminal:
        console = Console(width=max(console.measure(table).maximum, 1))  # whoever reads a pipe wants whole names
    console.print(table if table.rows else "No usage rule is configured.")
    return 0


def _metrics(rule: UsageRule) -> list[str]:
    return [rule.metric, good_name(rule.metric)] if rule.kind == "ratio" else [rule.metric]


async def _series(url: str, token_file: Path | None) -> dict[str, int]:
    """How many series each rule has, by what a running exporter says. Raises ValueError."""
    asked = [("collect[]", "usage"), ("name[]", SERIES.name)]
    try:
        headers = bearer(SecretFile(token_file) if token_file else None)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"{url.rstrip('/')}/metrics", params=asked, headers=headers) as answer,
        ):
            if answer.status == 401:
                raise ValueError(f"{url} wants a token: give one of its files with --token-file")
            if answer.status != 200:
                raise ValueError(f"{url} answered {answer.status}")
            return {rule: int(number) for rule, number in _SAMPLE.findall(await answer.text())}
    except SecretUnreadable as error:
        raise ValueError(str(error)) from None
    except (aiohttp.ClientError, OSError) as error:
        raise ValueError(f"{url} can't be reached ({type(error).__name__})") from None


METRICS = Extra("metrics", "list every usage metric: its labels, rule, owner, and how many series it has", _flags, _run)
