"""`tocsin-receiver preview`: a message as a channel would show it, before one wakes anybody. No receiver has to run."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from rich.console import Console
from rich.json import JSON
from rich.panel import Panel
from rich.text import Text

from receiver import config as configuration
from receiver.commands.client import say
from receiver.commands.looks import LOOKS, plain
from receiver.message import Message
from receiver.notifiers.render import CHANNELS
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.stories import STORIES, acknowledged, resolved
from receiver.notifiers.style import Style, compiled
from receiver.redact import MessageRedactor
from toolkit.cli import Extra
from toolkit.configfile import nearest
from toolkit.redaction import printable

_MOMENTS: Mapping[str, Callable[[Message], Message]] = {
    "firing": lambda story: story,
    "acknowledged": acknowledged,
    "resolved": resolved,
}


def _style(arguments: argparse.Namespace) -> Style:
    """What the configuration says, where one is named."""
    if arguments.config_file is None:
        return Style(arguments.target)
    config = configuration.load(arguments.config_file)
    names = [target.name for target in config.targets]
    if arguments.target and arguments.target not in names:
        raise ValueError(f"no target is named '{arguments.target}'{nearest(arguments.target, names)}")
    return Style(arguments.target, MessageRedactor(config.redact), compiled(config.templates))


def _run(arguments: argparse.Namespace) -> int:
    style = _style(arguments)
    message = style.redact(_MOMENTS[arguments.moment](STORIES[arguments.story]))
    if arguments.team:
        message = msgspec.structs.replace(message, owner=arguments.team)
    said = style.say(message, False)
    rendered = CHANNELS[arguments.channel](message, said)
    if arguments.html is None:
        _print(rendered, arguments.channel)
        return 0
    look = LOOKS.get(arguments.channel)
    arguments.html.write_text(look(message, said) if look else plain(rendered))
    say(Console(), f"wrote {arguments.html}")
    return 0


def _print(rendered: Rendered, channel: str) -> None:
    console = Console(highlight=False)
    if rendered.native is not None and channel != "json":
        console.print(JSON(json.dumps(rendered.native), indent=1), soft_wrap=True)
        return
    shown = Text(printable(rendered.body))
    if rendered.title:
        shown = Text.assemble((f"{printable(rendered.title)}\n\n", "bold"), shown)
    console.print(Panel(shown) if console.is_terminal else shown, soft_wrap=not console.is_terminal)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("story", nargs="?", choices=sorted(STORIES), default="checkout-drop", help="which one")
    parser.add_argument("--channel", choices=sorted(CHANNELS), default="text", help="what shows it (default: text)")
    parser.add_argument("--moment", choices=sorted(_MOMENTS), default="firing", help="how it stands (default: firing)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page that looks as the channel would")
    parser.add_argument(
        "--config.file",
        dest="config_file",
        type=Path,
        metavar="FILE",
        help="with the templates and `redact` of this file",
    )
    parser.add_argument("--target", default="", metavar="NAME", help="what this target would be told")
    parser.add_argument("--team", default="", metavar="NAME", help="as if this team owned it")


PREVIEW = Extra("preview", "show what a message would look like", _flags, _run)
