r"""A pattern of RE2 -> the same for Python's `re` without backtracking, where that is certain to be exact. Pure.

Calling RE2 costs four times what `re` costs for a short match, and `re` takes exponential time for some texts. So `re` gets
one try that can't go back: every repetition and every choice keeps what it took first (`\w++`, `(?>GET|POST)`). Where
that leads to a match it is the one that RE2 would find, for both prefer the same way, and this is the first one that they
try. Where it doesn't, nothing is known, and RE2 has to be asked.

Repetitions in repetitions are left to RE2, so the try takes linear time. So is every syntax in which the two differ.
"""

import re
from collections.abc import Collection

_LITERAL = re.compile(r"[^\\.\[(){*+?^$|]")
_QUANTIFIER = re.compile(r"[*+?]|\{[1-9]?[0-9]{1,2}(?:,(?:[1-9]?[0-9]{1,2})?)?\}")
_GROUP = re.compile(r"\((?:\?:|\?P?<([A-Za-z_]\w*)>|(?!\?))")
_CLASS = re.compile(r"\[\^?(?:\\[dwstrnf]|\\[!-/:-@\[-`{-~]|[^\[\]\\&~|\-]|-(?!-))+\]")
_ESCAPE = re.compile(r"\\(?:[dDwWtrnf]|[!-/:-@\[-`{-~])")
_DIFFERENT = {".": ".", r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]"}
"""RE2's white space has no vertical tab."""
_PLACES = {"^": r"\A", "$": r"\Z", r"\A": r"\A", r"\z": r"\Z", r"\b": r"\b"}


def greedy(pattern: str, names: Collection[str]) -> re.Pattern[str] | None:
    """Matches from a given place on what RE2 would match from there, or nothing; its groups are those in `names`, in
    their order in the pattern. None where that can't be had."""
    parser = _Parser(pattern, names)
    try:
        text = parser.branch()
        return re.compile(text, re.ASCII) if parser.is_at_the_end else None
    except (_LeftToRe2, re.error):
        return None


class _LeftToRe2(Exception):
    """Something that Python's `re` reads in another way, or takes more than linear time for."""


class _Parser:
    """Walks a pattern once and writes it anew."""

    def __init__(self, pattern: str, names: Collection[str]) -> None:
        self._pattern, self._names, self._at = pattern, names, 0
        self._repetitions = 0
        """How many repetitions and choices were met so far."""

    @property
    def is_at_the_end(self) -> bool:
        """Whether everything was read."""
        return self._at == len(self._pattern)

    def branch(self) -> str:
        """A sequence, up to what ends it."""
        written = ""
        while not self.is_at_the_end and self._pattern[self._at] not in "|)":
            before = self._repetitions
            place = self._place()
            atom = place or self._atom()
            quantifier = self._take(_QUANTIFIER)
            if quantifier:
                is_nested = self._repetitions > before
                if place or is_nested or self._pattern[self._at : self._at + 1] in {"?", "+", "*", "{"}:
                    raise _LeftToRe2
                self._repetitions += 1
                atom += f"{quantifier[0]}+"
            written += atom
        return written

    def _place(self) -> str:
        for syntax, same in _PLACES.items():
            if self._pattern.startswith(syntax, self._at):
                self._at += len(syntax)
                return same
        return ""

    def _atom(self) -> str:
        for syntax, same in _DIFFERENT.items():
            if self._pattern.startswith(syntax, self._at):
                self._at += len(syntax)
                return same
        if group := self._take(_GROUP):
            return self._group(group)
        if characters := self._take(_CLASS):
            return characters[0].replace(r"\s", r"\t\n\f\r ")
        found = self._take(_ESCAPE) or self._take(_LITERAL)
        if not found:
            raise _LeftToRe2
        return found[0]

    def _group(self, group: re.Match[str]) -> str:
        branches = [self.branch()]
        while self._pattern[self._at : self._at + 1] == "|":
            self._at += 1
            branches.append(self.branch())
            self._repetitions += 1
        self._at += 1
        if "" in branches:
            raise _LeftToRe2
        opening = f"(?P<{group[1]}>" if group[1] in self._names else "(?:"
        return f"{opening}(?>{'|'.join(branches)}))" if len(branches) > 1 else f"{opening}{branches[0]})"

    def _take(self, syntax: re.Pattern[str]) -> re.Match[str] | None:
        found = syntax.match(self._pattern, self._at)
        self._at = found.end() if found else self._at
        return found
