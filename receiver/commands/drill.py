"""`tocsin-receiver drill`: starts a drill on a running receiver, and tells hop by hop how it goes."""

import argparse
import asyncio
import time
from collections.abc import Callable

import msgspec
from rich.console import Console

from receiver.alerts import Status
from receiver.commands.client import Client, Unanswered, add_flags, connected, duration
from receiver.drills.drill import ADVICE, Hop, Report, verdict
from toolkit.cli import Extra
from toolkit.clock import format_duration
from toolkit.redaction import printable

POLL_SECONDS = 1.0
CURRENT = "/v1/drills/current"
_MARKS = {"done": "[green]ok[/]    ", "skipped": "[yellow]--[/]    ", "failed": "[red]failed[/]"}
_WORDS = {
    "receiver": "the receiver answers",
    "metric": "the receiver shows the metric",
    "scrape": "Prometheus has scraped it",
    "rule": "the rule {verb}",
    "alertmanager": "Alertmanager {holds} the alert",
    "webhook": "the webhook reached the receiver",
    "incident": "the incident {state}",
    "target": "{target} was told",
}
_PHASES: dict[Status, dict[str, str]] = {
    "firing": {"verb": "fires", "holds": "holds", "state": "opened"},
    "resolved": {"verb": "no longer fires", "holds": "no longer holds", "state": "is resolved"},
}
_reports = msgspec.json.Decoder(Report)


async def _report(client: Client) -> Report:
    try:
        return _reports.decode(await client.ask("GET", CURRENT))
    except msgspec.DecodeError as error:
        raise Unanswered(f"the answer is no report of a drill: {error}") from None


class _Teller:
    """Prints a line for each hop once it is over."""

    def __init__(self, console: Console, seconds: Callable[[], float]) -> None:
        self._console, self._seconds = console, seconds
        self._told: set[tuple[str, str, str]] = set()

    def tell(self, hop: Hop) -> None:
        key = (hop.phase, hop.name, hop.target)
        if hop.state == "waiting" or key in self._told:
            return
        self._told.add(key)
        self._console.print(_MARKS[hop.state], f"{self._seconds():5.1f} s ", end="")
        self._say(f"{words(hop)}: {hop.detail}" if hop.detail else words(hop))

    def failed(self, hop: Hop, patience: float) -> None:
        late = f"not within {format_duration(patience)}: {words(hop)}" if hop.state == "waiting" else words(hop)
        name = f"{hop.name} {hop.target}".strip()
        self._console.print("[red]failed[/]", end=" ")
        self._say(f'at the hop "{name}": {late}{f" ({hop.detail})" if hop.detail else ""}')
        self._say(f"Look at: {ADVICE[hop.name]}")

    def _say(self, text: str) -> None:
        """Words of others among them: nothing in them is markup, and no line is broken."""
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def words(hop: Hop) -> str:
    """What a hop is, in words."""
    return _WORDS[hop.name].format(target=hop.target, **_PHASES[hop.phase])


async def _follow(client: Client, phase: Status, teller: _Teller, patience: float, console: Console) -> Hop | None:
    """Waits until nothing of a phase is waited for any more; returns the hop that it failed at, or None."""
    deadline = time.monotonic() + patience
    with console.status("") as status:
        while True:
            found = [hop for hop in (await _report(client)).hops if hop.phase == phase]
            for hop in found:
                teller.tell(hop)
            waiting = next((hop for hop in found if hop.state == "waiting"), None)
            stopped = any(hop.state == "failed" and hop.name != "target" for hop in found)
            if waiting is None or stopped or time.monotonic() >= deadline:
                return verdict(found)
            status.update(f"waiting: {words(waiting)}")
            await asyncio.sleep(POLL_SECONDS)


async def _drill(client: Client, arguments: argparse.Namespace, teller: _Teller, console: Console) -> Hop | None:
    """There and back; returns the hop that failed, or None."""
    await client.ask("POST", "/v1/drills", {"target": arguments.target})
    teller.tell(Hop("firing", "receiver", "done"))
    try:
        failed = await _follow(client, "firing", teller, arguments.timeout, console)
    finally:
        await client.ask("DELETE", CURRENT)
    if failed is not None or arguments.no_resolve:
        return failed
    return await _follow(client, "resolved", teller, arguments.timeout, console)


async def _run(arguments: argparse.Namespace) -> int:
    console, started = Console(highlight=False), time.monotonic()
    teller = _Teller(console, lambda: time.monotonic() - started)
    try:
        async with connected(arguments) as client:
            failed = await _drill(client, arguments, teller, console)
    except Unanswered as error:
        failed = Hop("firing", "receiver", "failed", str(error))
    if failed is not None:
        teller.failed(failed, arguments.timeout)
        return 1
    console.print("[green]The chain is whole.[/]")
    return 0


def _run_drill(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(_run(arguments))
    except KeyboardInterrupt:
        return 130  # as shells say it; the drill has been ended


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", default="", metavar="NAME", help="whom to tell (default: every target)")
    parser.add_argument(
        "--timeout",
        type=duration,
        default="3m",
        metavar="DURATION",
        help="how long the alert may take, and then its resolve (default: %(default)s)",
    )
    parser.add_argument("--no-resolve", action="store_true", help="do not wait for the resolve")
    add_flags(parser)


DRILL = Extra("drill", "send a marked test the whole way to the channels, and wait for the receipt", _flags, _run_drill)
