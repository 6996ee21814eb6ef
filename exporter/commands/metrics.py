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
    rules = config.load(arguments.config_file).usage.rules
    now = asyncio.run(_series(arguments.url, arguments.token_file)) if arguments.url else {}
    table = Table(box=None, pad_edge=False)
    for heading in ("METRIC", "KIND", "LABELS", "SERIES", "RULE", "EVENT", "OWNER"):
        table.add_column(heading, overflow="fold")
    for rule in rules:
        labels, event = ", ".join(rule.labels), printable(rule.event)
        series = f"{now.get(rule.name, '-')} of {rule.max_series}"
        for metric in _metrics(rule):
            table.add_row(metric, rule.kind, labels, series, rule.name, event, rule.owner)
    Console().print(table if rules else "No usage rule is configured.")
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
