"""`tocsin-receiver replay`: asks a running receiver to try again what it has given up."""

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from toolkit.redaction import printable
from toolkit.secretfile import SecretFile, SecretUnreadable

TIMEOUT_SECONDS = 30.0
_SHOWN_OF_AN_ANSWER = 500


class Answer(msgspec.Struct):
    """What `POST /v1/outbox/replay` answers."""

    ids: list[int]
    targets_gone: list[str]


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--target", metavar="NAME", help="every message that was given up for this target")
    which.add_argument("--id", type=int, action="append", metavar="N", help="one message; as often as needed")
    which.add_argument("--all", action="store_true", help="every message that was given up")
    parser.add_argument("--dry-run", action="store_true", help="only say which they are")
    parser.add_argument(
        "--url", default="http://127.0.0.1:9971", metavar="URL", help="the receiver (default: %(default)s)"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds the receiver's bearer token")


def ask(arguments: argparse.Namespace) -> Iterator[str]:
    """Asks, and yields what to tell the person. Raises ValueError in words for them."""
    wanted = {"ids": arguments.id or [], "target": arguments.target or "", "all": arguments.all}
    answer = asyncio.run(_ask(arguments, {**wanted, "dry_run": arguments.dry_run}))
    shown = f": {', '.join(map(str, answer.ids))}" if answer.ids else ""
    yield f"{len(answer.ids)} messages {'would be' if arguments.dry_run else 'are'} tried again{shown}"
    if answer.targets_gone:
        yield f"left out, for there is no such target any more: {', '.join(answer.targets_gone)}"


async def _ask(arguments: argparse.Namespace, wanted: dict[str, Any]) -> Answer:
    try:
        token = SecretFile(arguments.token_file).read() if arguments.token_file else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            url = f"{arguments.url.rstrip('/')}/v1/outbox/replay"
            async with session.post(url, json=wanted, allow_redirects=False) as response:
                return _read(response.status, await response.text(errors="replace"))
    except SecretUnreadable as error:
        raise ValueError(str(error)) from None
    except (aiohttp.ClientError, OSError) as error:
        raise ValueError(
            f"no receiver answers at {arguments.url} ({type(error).__name__}); --url names another"
        ) from None


def _read(status: int, text: str) -> Answer:
    if status == 401:
        raise ValueError("the receiver wants to know who asks: name the file with its token with --token-file")
    if status != 200:
        raise ValueError(f"the receiver answered {status}: {printable(text.strip())[:_SHOWN_OF_AN_ANSWER]}")
    try:
        return msgspec.json.decode(text, type=Answer)
    except msgspec.DecodeError:
        raise ValueError("what answers there is no receiver of this version") from None
