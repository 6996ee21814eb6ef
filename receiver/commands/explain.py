"""`tocsin-receiver explain` and `tocsin-receiver report`: why something was told or not, and how much it was in all."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console

from receiver.commands.client import Unanswered, add_flags, connected, duration, say
from toolkit.cli import Extra
from toolkit.clock import format_utc

Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]
_KINDS = {"event": "heard", "decision": "decided", "message": "message", "attempt": "tried", "next": "next"}


class _Entry(msgspec.Struct):
    at: float
    kind: str
    text: str


class _Explained(msgspec.Struct):
    title: str
    entries: list[_Entry]


class _Report(msgspec.Struct):
    lines: list[str]


async def _explain(arguments: argparse.Namespace) -> int:
    console = Console()
    async with connected(arguments) as receiver:
        answer = await receiver.ask("GET", f"/v1/explain/{quote(arguments.what, safe='')}")
    for part in msgspec.json.decode(answer, type=list[_Explained]):
        say(console, part.title, style="bold")
        for entry in part.entries:
            when = format_utc(entry.at, "%Y-%m-%d %H:%M:%S")
            say(console, f"  {when}  {_KINDS.get(entry.kind, entry.kind):<8}  {entry.text}")
    return 0


async def _report(arguments: argparse.Namespace) -> int:
    console = Console()
    async with connected(arguments) as receiver:
        answer = await receiver.ask("GET", "/v1/report", seconds=f"{arguments.since:g}")
    for line in msgspec.json.decode(answer, type=_Report).lines:
        say(console, line)
    return 0


def _run_explain(arguments: argparse.Namespace) -> int:
    return _asked(_explain, arguments)


def _run_report(arguments: argparse.Namespace) -> int:
    return _asked(_report, arguments)


def _asked(command: Command, arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(command(arguments))
    except Unanswered as error:
        raise ValueError(str(error)) from None


def _explain_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="ALERT|INCIDENT", help="an incident's number, an alert's name, or its fingerprint"
    )
    add_flags(parser)


def _report_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=duration, default=86400.0, metavar="DURATION", help="how far back (default: 1d)"
    )
    add_flags(parser)


EXPLAIN = Extra(
    "explain", "tell why an alert or an incident was told or not, to whom, and when", _explain_flags, _run_explain
)
REPORT = Extra(
    "report",
    "tell how much came in, and how much was told or, in shadow mode, would have been",
    _report_flags,
    _run_report,
)
