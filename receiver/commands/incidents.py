"""`tocsin-receiver incidents`: what is going on, in a table."""

import argparse
import asyncio
import time

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from receiver.commands.client import Unanswered, add_flags, connected
from toolkit.cli import Extra
from toolkit.clock import format_duration, format_utc
from toolkit.redaction import printable

PIPED_WIDTH = 250
"""What reads a pipe has no edge, and looks for a line for each incident."""


class _Incident(msgspec.Struct):
    id: int
    state: str
    priority: str
    severity: str
    summary: str
    opened_at: float
    resolved_at: float | None
    firing: int
    acknowledged_by: str | None


class _Answer(msgspec.Struct):
    incidents: list[_Incident]


async def _incidents(arguments: argparse.Namespace) -> int:
    async with connected(arguments) as receiver:
        answer = await receiver.ask("GET", "/v1/incidents")
    found = msgspec.json.decode(answer, type=_Answer).incidents
    shown = [one for one in found if arguments.all or one.resolved_at is None]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    if not shown:
        console.print("Nothing is going on." if not arguments.all else "There was no incident yet.")
        return 0
    console.print(_table(shown, time.time()))
    return 0


def _table(incidents: list[_Incident], now: float) -> Table:
    table = Table("id", "priority", "state", "since", "for", "firing", "what", box=None, pad_edge=False)
    for one in incidents:
        state = (
            f"{one.state} by {one.acknowledged_by}" if one.acknowledged_by and one.resolved_at is None else one.state
        )
        lasted = format_duration(max((one.resolved_at or now) - one.opened_at, 0))
        cells = [str(one.id), one.priority, state, format_utc(one.opened_at), lasted, str(one.firing), one.summary]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(_incidents(arguments))
    except msgspec.DecodeError:
        raise ValueError(f"what answers at {arguments.url} is no receiver of this version") from None
    except Unanswered as error:
        raise ValueError(str(error)) from None


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="those that have ended too, of the newest hundred")
    add_flags(parser)


INCIDENTS = Extra("incidents", "list the incidents that are going on", _flags, _run)
