"""The command `tocsin-exporter`."""

import argparse
import json
import sys
from pathlib import Path

from exporter import classify, config
from exporter.app import run
from exporter.commands.metrics import METRICS
from exporter.commands.rules import RULES
from exporter.commands.schema import SCHEMA
from exporter.commands.trial import TRY
from exporter.providers import catalogue
from toolkit.cli import Command, Extra
from toolkit.redaction import masked


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        'Without --status, JSON lines are read from standard input: {"provider": "stripe", "response": {"status": 402, '
        '"headers": {}, "body": "..."}, "history": {"ever_ok": true, "credential_changed": false, '
        '"last_ok_age_seconds": 600, "failing_for_seconds": 600, "consecutive": 3}}; history may be left out.'
    )
    parser.add_argument(
        "--provider",
        default="",
        metavar="VENDOR",
        help="a vendor of the catalogue; any other is judged by the general rules",
    )
    parser.add_argument("--status", type=int, metavar="CODE", help="the HTTP status")
    parser.add_argument(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="a header, as often as needed",
    )
    parser.add_argument("--body", default="", metavar="TEXT", help="the body")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (name.strip() and colon):
        raise argparse.ArgumentTypeError(f"{masked(text)!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def _note_unknown(vendor: str) -> None:
    try:
        catalogue.load(vendor)
    except KeyError as error:
        print(f"tocsin-exporter: judged by the general rules alone: {error.args[0]}", file=sys.stderr)


def _classify(arguments: argparse.Namespace) -> int:
    if arguments.provider:
        _note_unknown(arguments.provider)
    if arguments.status is None:
        verdicts = classify.answers(sys.stdin.buffer)
    else:
        response = classify.Response(arguments.status, dict(arguments.header), arguments.body)
        verdicts = iter([classify.answer(classify.Question(response, arguments.provider))])
    for verdict in verdicts:
        print(json.dumps(classify.shown(verdict), ensure_ascii=False), flush=True)
    return 0


def _add_vendors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "show"), default="list", help="(default: %(default)s)")
    parser.add_argument("vendor", nargs="?", help="with show: whose signatures to explain")


def _vendors(arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        for vendor in catalogue.every():
            print(classify.listed(vendor))
        return 0
    if not arguments.vendor:
        raise ValueError("which vendor? tocsin-exporter vendors show NAME")
    try:
        vendor = catalogue.load(arguments.vendor)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None
    print("\n".join(classify.explained(vendor)))
    return 0


COMMAND = Command(
    name="tocsin-exporter",
    about="Turns third-party API health and product usage into Prometheus metrics, and says why a vendor stopped.",
    port=9970,
    run=run,
    check=lambda path: config.summary(config.load(Path(path))),
    extras=(
        Extra("vendors", "list the vendors of the catalogue, or explain one", _add_vendors, _vendors),
        Extra("classify", "say what an answer would be taken for", _add_classify, _classify),
        METRICS,
        RULES,
        SCHEMA,
        TRY,
    ),
)


def main() -> None:
    """Runs the command line and exits."""
    sys.exit(COMMAND.main())


if __name__ == "__main__":
    main()
