"""`tocsin-receiver replay`: asks a running receiver to try again what it has given up."""

import argparse
import asyncio

import msgspec
from rich.console import Console

from receiver.commands.client import Unanswered, add_flags, connected, say
from toolkit.cli import Extra


class Answer(msgspec.Struct):
    """What `POST /v1/outbox/replay` answers."""

    ids: list[int]
    targets_gone: list[str]


async def _replay(arguments: argparse.Namespace) -> int:
    wanted = {"ids": arguments.id or [], "target": arguments.target or "", "all": arguments.all}
    async with connected(arguments) as receiver:
        given = await receiver.ask("POST", "/v1/outbox/replay", {**wanted, "dry_run": arguments.dry_run})
    answer = msgspec.json.decode(given, type=Answer)
    shown = f": {', '.join(map(str, answer.ids))}" if answer.ids else ""
    console = Console(highlight=False)
    say(console, f"{len(answer.ids)} messages {'would be' if arguments.dry_run else 'are'} tried again{shown}")
    if answer.targets_gone:
        say(console, f"left out, for there is no such target any more: {', '.join(answer.targets_gone)}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(_replay(arguments))
    except msgspec.DecodeError:
        raise ValueError(f"what answers at {arguments.url} is no receiver of this version") from None
    except Unanswered as error:
        raise ValueError(str(error)) from None


def _flags(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--target", metavar="NAME", help="every message that was given up for this target")
    which.add_argument("--id", type=int, action="append", metavar="N", help="one message; as often as needed")
    which.add_argument("--all", action="store_true", help="every message that was given up")
    parser.add_argument("--dry-run", action="store_true", help="only say which they are")
    add_flags(parser)


REPLAY = Extra("replay", "ask a running receiver to try again what it has given up", _flags, _run)
