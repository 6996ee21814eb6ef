"""The runbook's first steps, read from Markdown in a folder, or behind a link that the configuration allows.

The file is named by the last part of the alert's `runbook_url`, so that the same link serves people, and a host name
in the rules need not be the receiver's.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from yarl import URL

from receiver.enrichers.absence import Absent
from receiver.incidents import Incident
from receiver.message import Found
from toolkit.httpclient import TooLong, read_at_most

MAX_BYTES = 256 * 1024
MAX_STEPS = 4
STEPS_HEADING = "first steps"
FALLBACK_HEADING = "if that fails"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True)
class Runbook:
    """`steps`: the first ones, plain text. `fallback`: what to do when they don't help. `url`: the whole page."""

    steps: tuple[str, ...]
    fallback: str
    url: str


class RunbookEnricher:
    """Finds runbooks in `folder`, whose links go to `external_url`/runbooks/NAME, and behind links that begin with one
    of `prefixes`."""

    def __init__(
        self, folder: Path | None, external_url: str, session: aiohttp.ClientSession, prefixes: Sequence[str] = ()
    ) -> None:
        self._folder, self._external_url, self._session, self._prefixes = folder, external_url, session, prefixes

    async def __call__(self, incident: Incident) -> Found | None:
        """The runbook of the incident's leading alert; None when it names none. Raises Absent."""
        link = incident.leading.annotations.get("runbook_url", "")
        if not link:
            return None
        if (page := is_among(link, self._prefixes)) is not None:
            return _found(parse(await self._fetched(page), link))
        name = name_in(link)
        if name is None or self._folder is None:
            return {"runbook_url": link}
        text = await asyncio.to_thread(read, self._folder, name)
        if text is None:
            # a page of somebody else's: the link stands, there is nothing to quote
            return {"runbook_url": link}
        return _found(parse(text, f"{self._external_url}/runbooks/{name}"))

    async def _fetched(self, page: URL) -> str:
        """The text of a page. A redirect is not followed: it may lead to where nobody allowed. Raises Absent."""
        try:
            async with self._session.get(page, allow_redirects=False) as response:
                if response.status != 200:
                    raise Absent("runbook", "refused", f"its page answered {response.status}")
                return (await read_at_most(response, MAX_BYTES)).decode(errors="replace")
        except TooLong as error:
            raise Absent("runbook", "unreadable", f"its page has {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Absent("runbook", "unreachable", f"its page can't be reached ({type(error).__name__})") from None


def _found(runbook: Runbook) -> Found:
    return {"first_steps": runbook.steps, "fallback": runbook.fallback, "runbook_url": runbook.url}


def is_among(link: str, prefixes: Iterable[str]) -> URL | None:
    """The link's address, when it lies below one of `prefixes`, with `..` and the like resolved; else None."""
    try:
        address = URL(link)
    except ValueError:
        return None
    return address if any(str(address).startswith(str(URL(prefix))) for prefix in prefixes) else None


def name_in(link: str) -> str | None:
    """The file's name (without `.md`) in a runbook link, or None when the link has none that is safe."""
    try:
        last = urlsplit(link).path.rstrip("/").rpartition("/")[2].removesuffix(".md")
    except ValueError:
        return None
    return last if _NAME.fullmatch(last) else None


def read(folder: Path, name: str) -> str | None:
    """The runbook `name` in `folder`, None when there is none. Raises Absent when it can't be read."""
    if not _NAME.fullmatch(name):
        return None
    path = folder / f"{name}.md"
    try:
        if path.resolve().parent != folder.resolve():
            raise Absent("runbook", "refused", f"{name}.md leads out of its folder")
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Absent("runbook", "unreadable", f"{name}.md: {error.strerror}") from None


def parse(text: str, url: str) -> Runbook:
    """The list items under "First steps" and the first paragraph under "If that fails"; empty where there is none."""
    steps: list[str] = []
    fallback, heading = "", ""
    for node in SyntaxTreeNode(MarkdownIt("commonmark").parse(text)).children:
        if node.type == "heading":
            heading = _plain(node).casefold()
        elif heading == STEPS_HEADING and node.type in ("ordered_list", "bullet_list"):
            steps += [_plain(item) for item in node.children]
        elif heading == FALLBACK_HEADING and node.type == "paragraph" and not fallback:
            fallback = _plain(node)
    return Runbook(tuple(steps[:MAX_STEPS]), fallback, url)


def _plain(node: SyntaxTreeNode) -> str:
    return " ".join("".join(_texts(node)).split())


def _texts(node: SyntaxTreeNode) -> Iterator[str]:
    if node.type in ("text", "code_inline", "fence", "code_block"):
        yield node.content
    elif node.type in ("softbreak", "hardbreak"):
        yield " "
    for child in node.children:
        yield from _texts(child)
    if node.type in ("paragraph", "fence", "list_item"):
        yield " "
