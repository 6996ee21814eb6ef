r"""A pattern of RE2 -> the same for Python's `re` without backtracking, where that is certain to be exact. Pure.

A call of RE2 costs several times what `re` takes for a short match, and `re` takes exponential time for some texts. So
`re` gets one try that can't go back: every repetition and every choice keeps what it took first (`\w++`,
`(?>GET|POST)`). Where that leads to a match it is the one that RE2 would find: both prefer the same ways, and this is
the way that comes first. Where it doesn't, nothing is known, and RE2 has to be asked.

Loops in loops are left to RE2, so that the try takes linear time. So is every syntax in which the two differ.
"""

import re
from collections.abc import Collection

_LITERAL = re.compile(r"[^\\.\[(){*+?^$|]")
_QUANTIFIER = re.compile(r"[*+?]|\{(?:0|[1-9][0-9]{0,2})(?:,(?:[1-9][0-9]{0,2})?)?\}")
_GROUP = re.compile(r"\((?:\?:|\?P?<([A-Za-z_]\w*)>|(?!\?))")
_CLASS = re.compile(r"\[\^?(?:\\[dwstrnf]|\\[!-/:-@\[-`{-~]|[^\[\]\\&~|\-]|-(?!-))+\]")
_ESCAPE = re.compile(r"\\(?:[dDwWtrnf]|[!-/:-@\[-`{-~])")
_PLACES = {"^": r"\A", "$": r"\Z", r"\A": r"\A", r"\z": r"\Z", r"\b": r"\b"}
_DIFFERENT = {**_PLACES, ".": ".", r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]"}
"""What is written in another way; RE2's white space has no vertical tab."""
_MORE = ("?", "+", "*", "{")
"""After a repetition: as little as possible, or a mistake."""


def greedy(pattern: str, names: Collection[str]) -> re.Pattern[str] | None:
    """Matches from a given place on what RE2 would match from there, or nothing; its groups are those in `names`, in
    their order in the pattern. None where that can't be had."""
    parser = _Parser(pattern, names)
    try:
        text, _ = parser.branch()
        return re.compile(text, re.ASCII) if parser.is_at_the_end else None
    except (_LeftToRe2, re.error):
        return None


_Written = tuple[str, bool]
"""A part of the new pattern, and whether it may match the empty text."""


class _LeftToRe2(Exception):
    """Something that Python's `re` reads in another way, or takes more than linear time for."""


class _Parser:
    """Walks a pattern once and writes it anew."""

    def __init__(self, pattern: str, names: Collection[str]) -> None:
        self._pattern, self._names, self._at = pattern, names, 0
        self._repetitions = 0
        """How many were met so far, but for those that take one or none."""

    @property
    def is_at_the_end(self) -> bool:
        """Whether everything was read."""
        return self._at == len(self._pattern)

    def branch(self) -> _Written:
        """A sequence, up to what ends it."""
        written, is_empty = "", True
        while not self.is_at_the_end and self._pattern[self._at] not in "|)":
            atom, can_be_empty = self._repeated()
            written, is_empty = written + atom, is_empty and can_be_empty
        return written, is_empty

    def _repeated(self) -> _Written:
        before = self._repetitions
        atom, can_be_empty = self._atom()
        quantifier = self._take(_QUANTIFIER)
        if not quantifier:
            return atom, can_be_empty
        is_loop = quantifier[0] != "?"
        is_nested = is_loop and self._repetitions > before
        if can_be_empty or is_nested or self._pattern.startswith(_MORE, self._at):
            raise _LeftToRe2
        self._repetitions += is_loop
        return f"{atom}{quantifier[0]}+", quantifier[0].startswith(("*", "?", "{0"))

    def _atom(self) -> _Written:
        for syntax, same in _DIFFERENT.items():
            if self._pattern.startswith(syntax, self._at):
                self._at += len(syntax)
                return same, syntax in _PLACES
        if group := self._take(_GROUP):
            return self._group(group)
        if characters := self._take(_CLASS):
            return characters[0].replace(r"\s", r"\t\n\f\r "), False
        found = self._take(_ESCAPE) or self._take(_LITERAL)
        if not found:
            raise _LeftToRe2
        return found[0], False

    def _group(self, group: re.Match[str]) -> _Written:
        branches = [self.branch()]
        while self._pattern.startswith("|", self._at):
            self._at += 1
            branches.append(self.branch())
        self._at += 1
        text = "|".join(written for written, _ in branches)
        opening = f"(?P<{group[1]}>" if group[1] in self._names else "(?:"
        text = f"{opening}(?>{text}))" if len(branches) > 1 else f"{opening}{text})"
        return text, any(can_be_empty for _, can_be_empty in branches)

    def _take(self, syntax: re.Pattern[str]) -> re.Match[str] | None:
        found = syntax.match(self._pattern, self._at)
        self._at = found.end() if found else self._at
        return found
