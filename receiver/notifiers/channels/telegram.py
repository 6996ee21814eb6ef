"""Telegram: HTML of at most 4,096 characters, and the chart as a photo. Pure."""

from dataclasses import replace

from receiver.message import Message
from receiver.notifiers.channels.chart import chart
from receiver.notifiers.escape import html_text
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.rows import fit, view
from receiver.notifiers.words import Fact, Link, Words

LIMIT = 4096


def render(message: Message, said: Words) -> Rendered:
    """The title is the body's first line."""
    head = f"<b>{html_text(said.title)}</b>"
    links = [link for link in map(_link, (*said.actions, *said.links)) if len(link) < LIMIT // 10]
    tail = " · ".join(links)
    first, rest = view(replace(said, actions=(), links=()))
    rows = [(row, line(row.fact)) for row in (*first, *rest) if len(line(row.fact)) < LIMIT // 2]
    kept = fit(rows, LIMIT - len(head) - len(tail) - 2)
    return Rendered("", "\n".join([head, *kept, *([tail] if tail else [])]), "html", chart(message))


def line(fact: Fact) -> str:
    """`<b>Changed:</b> deploy 1.42 <a href="...">Undo</a>`"""
    label = f"<b>{html_text(fact.label)}:</b> " if fact.label else ""
    return " · ".join([label + html_text(fact.text), *map(_link, fact.links)])


def _link(link: Link) -> str:
    return f'<a href="{html_text(link.url)}">{html_text(link.label)}</a>'
