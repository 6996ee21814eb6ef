"""`tocsin-receiver oncall who` and `oncall show`: who is on call, by the configuration file. No receiver has to run."""

import argparse
import time
from collections.abc import Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from receiver import config as configuration
from receiver.commands.incidents import PIPED_WIDTH
from receiver.oncall.report import local
from receiver.oncall.rota import GAPS, Shift, on_call, shifts
from receiver.oncall.settings import Rota, moment
from receiver.settings import ReceiverConfig
from toolkit.cli import Extra, add_config_file
from toolkit.configfile import nearest
from toolkit.redaction import printable

DAY_SECONDS = 86400.0
MOST_DAYS = 366


def _chosen(config: ReceiverConfig, name: str | None) -> Mapping[str, Rota]:
    if name is None:
        return config.rotas
    if name not in config.rotas:
        raise ValueError(f"no rota is named '{name}'{nearest(name, config.rotas)}")
    return {name: config.rotas[name]}


def _who(arguments: argparse.Namespace) -> int:
    config = configuration.load(arguments.config_file)
    table = _table("rota", "layer", "who", "since", "until")
    for name, rota in _chosen(config, arguments.rota).items():
        at = time.time() if arguments.at is None else rota.instant(arguments.at)
        for shift in on_call(rota, at):
            _add(table, name, shift.layer, _name(shift, config), *_times(shift, rota))
    return _print(table)


def _show(arguments: argparse.Namespace) -> int:
    config = configuration.load(arguments.config_file)
    table, now = _table("layer", "who", "since", "until"), time.time()
    ((_, rota),) = _chosen(config, arguments.rota).items()
    for layer in rota.layers:
        for shift in shifts(rota, layer, now, now + arguments.days * DAY_SECONDS):
            _add(table, shift.layer, _name(shift, config), *_times(shift, rota))
    return _print(table)


def _name(shift: Shift, config: ReceiverConfig) -> str:
    if shift.person is None:
        return f"nobody: {GAPS[shift.reason]}"
    name = config.people[shift.person].name
    known = f"{shift.person} ({name})" if name else shift.person
    return f"{known}, by an override" if shift.reason == "override" else known


def _times(shift: Shift, rota: Rota) -> tuple[str, str]:
    since = local(shift.since, rota) if shift.since else "ever"
    return since, f"{local(shift.until, rota)} {rota.timezone.key}"


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False)


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(Text(printable(cell)) for cell in cells))


def _print(table: Table) -> int:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    console.print(table if table.row_count else "There is no rota in the configuration.")
    return 0


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_DAYS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to {MOST_DAYS}")
    return int(text)


def _flags(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="question", required=True, metavar="QUESTION")
    about = "tell who is on call now, or at another time"
    who = commands.add_parser("who", help=about, description=about, allow_abbrev=False)
    who.add_argument("rota", nargs="?", metavar="ROTA", help="the rota's name (default: every rota)")
    who.add_argument("--at", type=_moment, metavar="TIME", help="when, in the rota's time zone (default: now)")
    about = "list a rota's shifts to come"
    show = commands.add_parser("show", help=about, description=about, allow_abbrev=False)
    show.add_argument("rota", metavar="ROTA", help="the rota's name")
    show.add_argument("--days", type=_days, default=14, metavar="N", help="how far ahead (default: %(default)s)")
    for parser_, run in ((who, _who), (show, _show)):
        add_config_file(parser_, "receiver")
        parser_.set_defaults(answer=run)


def _run(arguments: argparse.Namespace) -> int:
    status: int = arguments.answer(arguments)
    return status


ONCALL = Extra("oncall", "tell who is on call, by the configuration file", _flags, _run)
