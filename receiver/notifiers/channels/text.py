"""Plain text, for every service that has no file of its own: short labelled lines, the first view first. Pure."""

from receiver.notifiers.escape import unlinked
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.rows import Row, fit, view
from receiver.notifiers.words import Fact, Words

BODY_LIMIT = 8000
LINK_LIMIT = 200
"""A longer link (a query with its expression) is left to the incident's page: nobody reads it off a phone."""


def render(said: Words, limit: int = BODY_LIMIT) -> Rendered:
    """`limit`: characters that the service takes as a body."""
    return Rendered(unlinked(said.title), body(said, limit))


def body(said: Words, limit: int = BODY_LIMIT) -> str:
    """The lines; a blank one divides the first view from the rest, where both fit."""
    first, rest = view(said)
    lines = [(row, line(row.fact)) for row in (*first, *rest) if _is_shown(row)]
    kept = fit(lines, limit - 1)
    shown = sum(text in kept for row, text in lines if row in first)
    return "\n".join([*kept[:shown], *([""] if 0 < shown < len(kept) else []), *kept[shown:]])


def line(fact: Fact) -> str:
    """`Changed: deploy 1.42 (Change: https://...; Undo: https://...)`"""
    label = f"{fact.label}: " if fact.label else ""
    urls = [link for link in fact.links if len(link.url) <= LINK_LIMIT]
    if not fact.text:
        return label + " ".join(link.url for link in urls)
    links = "; ".join(f"{link.label}: {link.url}" for link in urls)
    return f"{label}{unlinked(fact.text)}{f' ({links})' if links else ''}"


def _is_shown(row: Row) -> bool:
    return bool(row.fact.text) or any(len(link.url) <= LINK_LIMIT for link in row.fact.links)
