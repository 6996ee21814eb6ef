"""`tocsin-exporter schema`: the contract of an event as JSON Schema, for the tests of whoever sends it."""

import argparse
import sys

import msgspec

from exporter import config
from exporter.usage.jsonschema import json_schema
from toolkit.cli import Extra, add_config_file
from toolkit.configfile import nearest


def _flags(parser: argparse.ArgumentParser) -> None:
    add_config_file(parser, "exporter")
    parser.add_argument("event", nargs="?", metavar="EVENT", help="whose (default: all, by name)")


def _run(arguments: argparse.Namespace) -> int:
    contracts = {one.name: one for one in config.load(arguments.config_file).usage.events}
    if arguments.event and arguments.event not in contracts:
        raise ValueError(f"no event is declared as {arguments.event!r}{nearest(arguments.event, contracts)}")
    shown = (
        json_schema(contracts[arguments.event])
        if arguments.event
        else {name: json_schema(one) for name, one in contracts.items()}
    )
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")
    return 0


SCHEMA = Extra("schema", "print the contract of an event as JSON Schema", _flags, _run)
