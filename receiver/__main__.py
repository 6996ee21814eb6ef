"""The command `tocsin-receiver`."""

import argparse
import sys
from pathlib import Path

from receiver import config, replay
from receiver.app import run
from toolkit.cli import Command, Extra


def _replay(arguments: argparse.Namespace) -> int:
    for line in replay.ask(arguments):
        print(line)
    return 0


COMMAND = Command(
    name="tocsin-receiver",
    about="Takes Alertmanager's webhooks, groups and enriches the alerts, and tells the right people once.",
    port=9971,
    run=run,
    check=lambda path: config.summary(config.load(Path(path))),
    extras=(Extra("replay", "Asks a running receiver to try again what it has given up.", replay.add, _replay),),
)


def main() -> None:
    """Runs the command line and exits."""
    sys.exit(COMMAND.main())


if __name__ == "__main__":
    main()
