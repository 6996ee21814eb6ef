"""The tokens of PromQL and LogQL: as much of the two as it takes to tell strings from what stands around them. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "number", "word", "operator", "open", "close"]

_TOKEN = re.compile(
    r"""
      (?P<skipped> \s+ | \#[^\n]* )
    | (?P<string>  "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*` )
    | (?P<number>  \.?\d[\w.]*(?:(?<=[eE])[+-]\d+)? )
    | (?P<word>    [A-Za-z_][\w:]* )
    | (?P<operator> == | != | =~ | !~ | >= | <= | \|= | \|~ | </ | >/ | [-+*/%^<>=!|,:@.] )
    | (?P<open>    [(\[{] )
    | (?P<close>   [)\]}] )
    """,
    re.VERBOSE,
)
MAX_DEPTH = 100
"""Brackets nested deeper than this were written by no person."""
_PAIRS = {"(": ")", "[": "]", "{": "}"}


class Unreadable(Exception):
    """The text is no query that we can take apart. The message says where."""


@dataclass(frozen=True)
class Token:
    """One word of a query: `depth` counts the brackets around it (a bracket lies within its own), `start` and `end` are
    its place in the text."""

    kind: Kind
    text: str
    depth: int
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a query without blanks and comments. Raises Unreadable for a stray character or bracket."""
    return list(_walk(text))


def _walk(text: str) -> Iterator[Token]:
    awaited: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unreadable(f"at {text[at : at + 20]!r}")
        at, found = match.end(), match.group()
        kind = match.lastgroup
        if kind == "open":
            awaited.append(_PAIRS[found])
            if len(awaited) > MAX_DEPTH:
                raise Unreadable("nested too deeply")
        if kind != "skipped":
            yield Token(kind, found, len(awaited), match.start(), match.end())  # type: ignore[arg-type]  # a group's name
        if kind == "close" and (not awaited or awaited.pop() != found):
            raise Unreadable(f"'{found}' closes nothing")
    if awaited:
        raise Unreadable(f"'{awaited[-1]}' is missing")
