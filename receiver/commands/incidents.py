"""`tocsin-receiver incidents`: what is going on, in a table; and what people do to an incident."""

import argparse
import asyncio
import getpass
import time
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from receiver.commands.client import Unanswered, add_flags, connected, say
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


@dataclass(frozen=True)
class _Deed:
    """A command that acts on one incident. `flags` are (flag, metavar, help, whether it must be given); what they hold
    goes into the body under their names."""

    about: str
    flags: tuple[tuple[str, str, str, bool], ...] = ()
    takes_over: bool = False


_NOTE = ("--note", "TEXT", "what others should know", False)
_DEEDS = {
    "ack": _Deed("say that you have it, so that nobody more is called", (_NOTE,), takes_over=True),
    "resolve": _Deed("say that it has ended", (_NOTE,)),
    "assign": _Deed("hand it to somebody, who is told", (("--to", "NAME", "to whom", True), _NOTE)),
    "note": _Deed("write something down", (("--note", "TEXT", "what others should know", True),)),
    "snooze": _Deed("let nobody be called for a while", (("--for", "DURATION", "for how long", True), _NOTE)),
    "silence": _Deed(
        "silence its alerts in every Alertmanager",
        (("--for", "DURATION", "for how long (default: 2h)", False), ("--reason", "TEXT", "why", False)),
    ),
    "reclassify": _Deed(
        "say what it really is",
        (
            ("--severity", "SEVERITY", "info, warning or critical", False),
            ("--class", "CLASS", "which kind of trouble", False),
            ("--owner", "NAME", "who answers for it", False),
            ("--reason", "TEXT", "why", True),
        ),
    ),
}


class _Said(msgspec.Struct):
    said: str


async def _act(arguments: argparse.Namespace) -> int:
    given = vars(arguments)
    body = {"by": arguments.by, "via": "cli"}
    for flag, *_ in _DEEDS[arguments.deed].flags:
        body |= {name: given[name] for name in [flag.lstrip("-")] if given[name] is not None}
    if given.get("take_over"):
        body["take_over"] = True
    async with connected(arguments) as receiver:
        answer = await receiver.ask("POST", f"/v1/incidents/{arguments.id}/{arguments.deed}", body)
    say(Console(), msgspec.json.decode(answer, type=_Said).said)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(_act(arguments) if arguments.deed else _incidents(arguments))
    except msgspec.DecodeError:
        raise ValueError(f"what answers at {arguments.url} is no receiver of this version") from None
    except Unanswered as error:
        raise ValueError(str(error)) from None


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`incidents ACTION --help` tells what an action takes"
    parser.add_argument("--all", action="store_true", help="those that have ended too, of the newest hundred")
    add_flags(parser)
    deeds = parser.add_subparsers(dest="deed", metavar="[ACTION ID]")
    for name, deed in _DEEDS.items():
        _deed_flags(deeds.add_parser(name, help=deed.about, description=deed.about, allow_abbrev=False), deed)


def _deed_flags(parser: argparse.ArgumentParser, deed: _Deed) -> None:
    parser.add_argument("id", type=_number, metavar="ID", help="the incident's number")
    for flag, metavar, about, required in deed.flags:
        parser.add_argument(flag, metavar=metavar, help=about, required=required)
    if deed.takes_over:
        parser.add_argument("--take-over", action="store_true", help="also when somebody else has it")
    parser.add_argument("--by", default=_myself(), metavar="NAME", help="who you are (default: %(default)s)")
    add_flags(parser, above=True)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of an incident")
    return int(text)


def _myself() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "somebody"


INCIDENTS = Extra("incidents", "list the incidents that are going on, or act on one", _flags, _run)
