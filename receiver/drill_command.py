"""`tocsin-receiver drill`: starts a drill on a running receiver, and tells hop by hop how it goes."""

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from rich.console import Console

from receiver.alerts import Status
from receiver.drill import ADVICE, Hop, Report, verdict
from toolkit.cli import Extra
from toolkit.clock import format_duration, parse_duration
from toolkit.redaction import printable
from toolkit.secretfile import SecretFile, SecretUnreadable

POLL_SECONDS = 1.0
ANSWER_SECONDS = 30.0
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
_report = msgspec.json.Decoder(Report)


class Unanswered(Exception):
    """The receiver gave no usable answer. The message is for people."""


class _Client:
    """The running receiver."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url.rstrip("/")

    async def start(self, target: str) -> None:
        await self._ask("POST", "/v1/drills", {"target": target})

    async def report(self) -> Report:
        try:
            return _report.decode(await self._ask("GET", "/v1/drills/current"))
        except msgspec.DecodeError as error:
            raise Unanswered(f"{self._url} gave no report of a drill: {error}") from None

    async def end(self) -> None:
        await self._ask("DELETE", "/v1/drills/current")

    async def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        try:
            async with self._session.request(method, f"{self._url}{path}", json=body) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(f"{self._url} can't be reached ({type(error).__name__})") from None
        if response.status >= 300:
            raise Unanswered(f"{self._url}{path} answered {response.status}: {answer[:300].decode(errors='replace')}")
        return answer


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


async def _follow(client: _Client, phase: Status, teller: _Teller, patience: float, console: Console) -> Hop | None:
    """Waits until nothing of a phase is waited for any more; returns the hop that it failed at, or None."""
    deadline = time.monotonic() + patience
    with console.status("") as status:
        while True:
            found = [hop for hop in (await client.report()).hops if hop.phase == phase]
            for hop in found:
                teller.tell(hop)
            waiting = next((hop for hop in found if hop.state == "waiting"), None)
            stopped = any(hop.state == "failed" and hop.name != "target" for hop in found)
            if waiting is None or stopped or time.monotonic() >= deadline:
                return verdict(found)
            status.update(f"waiting: {words(waiting)}")
            await asyncio.sleep(POLL_SECONDS)


async def _drill(client: _Client, arguments: argparse.Namespace, console: Console) -> int:
    started = time.monotonic()
    teller = _Teller(console, lambda: time.monotonic() - started)
    try:
        await client.start(arguments.target)
        teller.tell(Hop("firing", "receiver", "done"))
        try:
            failed = await _follow(client, "firing", teller, arguments.timeout, console)
        finally:
            await client.end()
        if failed is None and not arguments.no_resolve:
            failed = await _follow(client, "resolved", teller, arguments.timeout, console)
    except Unanswered as error:
        failed = Hop("firing", "receiver", "failed", str(error).strip())
    if failed is not None:
        teller.failed(failed, arguments.timeout)
        return 1
    console.print("[green]The chain is whole.[/]")
    return 0


async def _run(arguments: argparse.Namespace) -> int:
    headers = {"Authorization": f"Bearer {arguments.token_file.read()}"} if arguments.token_file else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        return await _drill(_Client(session, arguments.url), arguments, Console(highlight=False))


def run(arguments: argparse.Namespace) -> int:
    """Runs the drill; 0 when every hop was passed, 1 when one failed. Raises ValueError for a missing token."""
    try:
        return asyncio.run(_run(arguments))
    except SecretUnreadable as error:
        raise ValueError(str(error)) from None
    except KeyboardInterrupt:
        return 130  # as shells say it; the drill has been ended


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--target", default="", metavar="NAME", help="whom to tell (default: every target)")
    parser.add_argument(
        "--url", default="http://127.0.0.1:9971", metavar="URL", help="the running receiver (default: %(default)s)"
    )
    parser.add_argument(
        "--token-file",
        type=lambda path: SecretFile(Path(path)),
        metavar="FILE",
        help="the token to show it; needed where it asks for one",
    )
    parser.add_argument(
        "--timeout",
        type=_duration,
        default="3m",
        metavar="DURATION",
        help="how long the alert may take, and then its resolve (default: %(default)s)",
    )
    parser.add_argument("--no-resolve", action="store_true", help="do not wait for the resolve")


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


DRILL = Extra("drill", "Sends a marked test the whole way to the channels, and waits for the receipt.", add, run)
