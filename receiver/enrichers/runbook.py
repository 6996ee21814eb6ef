"""The runbook's first steps, read from Markdown in a folder.

The file is named by the last part of the alert's `runbook_url`, so that the same link serves people, and a host name
in the rules need not be the receiver's.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from receiver.enrichers.absence import Absent
from receiver.incidents import Incident
from receiver.message import Found

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
    """Finds runbooks in `folder`; links go to `external_url`/runbooks/NAME."""

    def __init__(self, folder: Path, external_url: str) -> None:
        self._folder, self._external_url = folder, external_url

    async def __call__(self, incident: Incident) -> Found | None:
        """The runbook of the incident's leading alert; None when it names none. Raises Absent."""
        link = incident.leading.annotations.get("runbook_url", "")
        if not link:
            return None
        name = name_in(link)
        if name is None:
            return {"runbook_url": link}
        text = await asyncio.to_thread(read, self._folder, name)
        if text is None:
            # a page of somebody else's: the link stands, there is nothing to quote
            return {"runbook_url": link}
        found = parse(text, f"{self._external_url}/runbooks/{name}")
        return {"first_steps": found.steps, "fallback": found.fallback, "runbook_url": found.url}


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
