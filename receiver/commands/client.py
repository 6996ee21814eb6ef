"""How a command talks to the running receiver: over HTTP, with the token that all others show."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from toolkit.clock import parse_duration
from toolkit.redaction import printable
from toolkit.secretfile import SecretFile, SecretUnreadable

ANSWER_SECONDS = 30.0


class Unanswered(Exception):
    """The receiver gave no usable answer. The message is for people."""


class Client:
    """The running receiver at `url`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url.rstrip("/")

    async def ask(self, method: str, path: str, body: Any = None, **params: str) -> bytes:
        """The body of a good answer. Raises Unanswered."""
        try:
            async with self._session.request(method, f"{self._url}{path}", json=body, params=params) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(
                f"{self._url} can't be reached ({type(error).__name__}): does the receiver run there? (--url)"
            ) from None
        if response.status == 401:
            raise Unanswered(f"{self._url} asks who we are: name a file with one of its tokens in --token-file")
        if response.status >= 300:
            words = printable(answer[:500].decode(errors="replace").strip())
            raise Unanswered(words if response.status == 404 else f"{self._url} answered {response.status}: {words}")
        return answer


DEFAULT_URL = "http://127.0.0.1:9971"


def add_flags(parser: argparse.ArgumentParser, above: bool = False) -> None:
    """The flags that say where the receiver is. `above`: the command that this one is part of has them as well, and
    what was said there holds unless it is said again."""
    parser.add_argument(
        "--url",
        default=argparse.SUPPRESS if above else DEFAULT_URL,
        help=f"the running receiver's address (default: {DEFAULT_URL})",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS if above else None,
        help="a file with one of its bearer tokens, where it asks for one",
    )


def duration(text: str) -> float:
    """A flag's `5m` in seconds, or an error in words."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@asynccontextmanager
async def connected(arguments: argparse.Namespace) -> AsyncIterator[Client]:
    """The receiver that the flags name. Raises Unanswered for a token file that can't be read."""
    try:
        token = SecretFile(arguments.token_file).read() if arguments.token_file else ""
    except SecretUnreadable as error:
        raise Unanswered(f"--token-file: {error}") from None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield Client(session, arguments.url)


def say(console: Console, text: str, style: str = "") -> None:
    """Prints a line that holds words of others: nothing in it is markup, and no control character gets through."""
    console.print(printable(text), style=style or None, markup=False, highlight=False, soft_wrap=True)
