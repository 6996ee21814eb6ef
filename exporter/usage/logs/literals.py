"""A pattern of RE2 -> the texts of which every match holds one, to be looked for before the pattern is tried. Pure.

Only what is certain is told. Where the syntax is not understood nothing is, and the pattern is tried on every line.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

MIN_LENGTH = 3
"""A shorter text stands in so many lines that looking for it saves nothing."""
MAX_LENGTH = 64
_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]+)(?:,[0-9]*)?\})\??")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_GROUP = re.compile(r"\?P?<[^>]+>")
_FLAGS = re.compile(r"\?([imsU]*)(?:-([imsU]+))?([:)])")
_QUOTED = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_SET = re.compile(r"\\(?:[dDsSwWC]|[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|[0-7]{1,3})", re.DOTALL)
"""An escape that stands for any of several characters, or for one by its number."""
_PLACE = re.compile(r"\\[bBAz]")
_CONTROL = {"a": "\a", "f": "\f", "t": "\t", "r": "\r", "v": "\v"}


@dataclass(frozen=True, order=True)
class Literal:
    """A text that stands in a line as it is; `caseless`, in small letters here and in any there."""

    text: str
    caseless: bool = False


OneOf = frozenset[Literal]
"""Of these a matching line holds at least one."""
_Piece = Literal | OneOf | None
"""A character, one of several texts somewhere, or a gap in which anything may stand."""


def required(pattern: str) -> list[OneOf]:
    """What each text that matches `pattern`, which RE2 accepts, must hold: at least one literal of every set."""
    try:
        sets = _needs(_either(_Parser(pattern).branches()))
    except _NotUnderstood:
        return []
    return [one for one in sets if all(len(literal.text) >= MIN_LENGTH for literal in one)]


def prefix(pattern: str) -> str:
    """The text that each match of `pattern` begins with; empty where none is certain."""
    try:
        pieces = _either(_Parser(pattern).branches())
    except _NotUnderstood:
        return ""
    known = takewhile(lambda piece: isinstance(piece, Literal) and not piece.caseless, pieces)
    return "".join(piece.text for piece in known if isinstance(piece, Literal))


def certain(pattern: str) -> list[str]:
    """Texts that all stand in each text that matches `pattern`, the longest first."""
    alone = [literal for one in required(pattern) if len(one) == 1 for literal in one if not literal.caseless]
    return sorted({literal.text for literal in alone}, key=lambda text: (-len(text), text))


def chosen(needs: Iterable[Sequence[OneOf]]) -> list[OneOf | None]:
    """For each pattern, by what it needs, the set that is worth looking for: long texts, few of them, and such as few
    other patterns need. None where there is none."""
    every = [tuple(sets) for sets in needs]
    shared = Counter(literal for sets in every for one in sets for literal in one)

    def worth(one: OneOf) -> float:
        return min(len(literal.text) for literal in one) / sum(shared[literal] for literal in one)

    return [max(sets, key=worth, default=None) for sets in every]


class _NotUnderstood(Exception):
    """A syntax that is not known here."""


def _needs(pieces: Sequence[_Piece]) -> list[OneOf]:
    found: list[OneOf] = []
    run: list[Literal] = []
    for piece in (*pieces, None):
        if isinstance(piece, Literal):
            run.append(piece)
            continue
        found += [frozenset({_joined(run)})] if run else []
        found += [piece] if piece else []
        run = []
    return found


def _joined(run: Sequence[Literal]) -> Literal:
    caseless = any(one.caseless for one in run)
    text = "".join(one.text for one in run)[:MAX_LENGTH]
    return Literal(text.lower() if caseless else text, caseless)


def _either(branches: Sequence[list[_Piece]]) -> list[_Piece]:
    """One branch goes on in what surrounds it; of several, each has to give a literal or nothing is certain."""
    if len(branches) == 1:
        return branches[0]
    best = [max(_needs(branch), key=_shortest, default=None) for branch in branches]
    return [frozenset[Literal]().union(*(one for one in best if one)) if all(best) else None]


def _shortest(one: OneOf) -> int:
    return min(len(literal.text) for literal in one)


class _Parser:
    """Walks a pattern once, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._at, self._caseless = pattern, 0, False

    def branches(self) -> list[list[_Piece]]:
        """The alternatives up to the end of the group, or of the pattern."""
        found: list[list[_Piece]] = [[]]
        while self._at < len(self._pattern) and self._pattern[self._at] != ")":
            if self._pattern[self._at] == "|":
                self._at += 1
                found.append([])
            else:
                found[-1] += self._repeated(self._atom())
        return found

    def _repeated(self, atom: list[_Piece]) -> list[_Piece]:
        while repeat := self._take(_QUANTIFIER):
            if not atom:  # after flags it is what stands before them that is repeated
                raise _NotUnderstood
            sign, least = repeat.groups()
            is_certain = sign == "+" or (least is not None and int(least) > 0)
            atom = [*atom, None] if is_certain else [None]
        return atom

    def _atom(self) -> list[_Piece]:
        character = self._pattern[self._at]
        if character == "[":
            return self._skip(_CLASS, [None])
        if character == "\\":
            return self._escape()
        self._at += 1
        if character == "(":
            return self._group()
        if character in "^$":
            return []
        return [None] if character == "." else [self._literal(character)]

    def _escape(self) -> list[_Piece]:
        if quoted := self._take(_QUOTED):
            return [self._literal(character) for character in quoted[1]]
        if self._take(_SET):
            return [None]
        if self._take(_PLACE):
            return []
        character = self._pattern[self._at + 1]
        self._at += 2
        if character.isalnum() and character not in {*_CONTROL, "n"}:
            raise _NotUnderstood
        return [None] if character == "n" else [self._literal(_CONTROL.get(character, character))]

    def _group(self) -> list[_Piece]:
        outside = self._caseless
        if flags := self._take(_FLAGS):
            on, off, end = flags.groups()
            self._caseless = ("i" in on or self._caseless) and "i" not in (off or "")
            if end == ")":
                return []
        elif not self._take(_GROUP) and self._pattern.startswith("?", self._at):
            raise _NotUnderstood
        inside = _either(self.branches())
        self._at += 1
        self._caseless = outside
        return inside

    def _literal(self, character: str) -> _Piece:
        """A line break is none, so that no literal spans two lines. Without regard to case, RE2 takes the Kelvin sign
        for a k and the long s for an s, and has more of the kind beyond ASCII."""
        if character == "\n" or (self._caseless and (character in "kKsS" or not character.isascii())):
            return None
        return Literal(character, self._caseless and character.isalpha())

    def _skip(self, syntax: re.Pattern[str], pieces: list[_Piece]) -> list[_Piece]:
        if not self._take(syntax):
            raise _NotUnderstood
        return pieces

    def _take(self, syntax: re.Pattern[str]) -> re.Match[str] | None:
        found = syntax.match(self._pattern, self._at)
        self._at = found.end() if found else self._at
        return found
