"""What an alert's expression measures: `sum(rate(errors[5m])) > 5` measures the sum, and alerts above 5. Pure.

PromQL is not parsed, only taken apart where its brackets and strings leave no doubt. A comparison, `and` and `unless`
return the values of their left side, so that side is what is measured.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from receiver.enrichers.tokens import Token, Unreadable, tokens

MAX_QUERY = 4000
"""A longer one is not asked: nobody wrote it by hand."""
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_MODIFIERS = ("on", "ignoring", "group_left", "group_right")
_ABSENT = ("absent", "absent_over_time")


@dataclass(frozen=True)
class Threshold:
    """When it alerts: the value compared by `comparison` with `value`."""

    comparison: str
    value: float


@dataclass(frozen=True)
class Expression:
    """`measured`: the query without its comparison. `threshold` is None where there is none or it is no constant.
    `of_absence`: it asks whether something is missing, so its value says nothing."""

    measured: str
    threshold: Threshold | None = None
    of_absence: bool = False


def expression_in(url: str) -> str:
    """The expression in a link to Prometheus (`g0.expr`), nothing where it has none."""
    try:
        return parse_qs(urlsplit(url).query, max_num_fields=50).get("g0.expr", [""])[0]
    except ValueError:
        return ""


def understand(query: str) -> Expression:
    """What `query` measures. Raises Unreadable when that can't be told for sure."""
    if len(query) > MAX_QUERY:
        raise Unreadable(f"longer than {MAX_QUERY} characters")
    found = tokens(query)
    if not found:
        raise Unreadable("nothing in it")
    if _operators(found, "or"):
        return Expression(query.strip())
    joined = _operators(found, "and", "unless")
    if joined:
        found = found[: joined[0]]
    return _operand(query, found)


def _operand(query: str, found: Sequence[Token]) -> Expression:
    """What is measured by the one operand of a query whose tokens these are."""
    if not found:
        raise Unreadable("an operator that lacks a side")
    text = _text(query, found)
    if _encloses(found, 0):
        return understand(_text(query, found[1:-1]))
    places = _operators(found, *COMPARISONS)
    if places:
        return _compared(query, found, places)
    if _operators(found, "</", ">/"):
        raise Unreadable("an operator that is not known")
    absent = found[0].text in _ABSENT and _encloses(found, 1)
    return Expression(text, of_absence=absent)


def _compared(query: str, found: Sequence[Token], places: Sequence[int]) -> Expression:
    first = found[places[0]].text
    left = found[: places[0]]
    right = _without_modifiers(found[places[0] + 1 : places[1] if len(places) > 1 else None])
    if not left or not right:
        raise Unreadable("an operator that lacks a side")
    if constant(_text(query, left)) is not None:
        left, right, first = right, left, _MIRRORED.get(first, first)
    measured = _operand(query, left)
    limit = constant(_text(query, right)) if len(places) == 1 else None
    return Expression(measured.measured, Threshold(first, limit) if limit is not None else None, measured.of_absence)


def _without_modifiers(found: Sequence[Token]) -> Sequence[Token]:
    """The right side without `bool`, `on (...)` and the like before it."""
    while found and found[0].kind == "word" and found[0].text.lower() in ("bool", *_MODIFIERS):
        is_listed = found[0].text.lower() != "bool" and len(found) > 1 and found[1].kind == "open"
        end = _closing(found, 1) + 1 if is_listed else 1
        found = found[end:]
    return found


def _operators(found: Sequence[Token], *wanted: str) -> list[int]:
    """The places of these operators outside all brackets."""
    return [
        place
        for place, token in enumerate(found)
        if token.kind in ("operator", "word") and token.depth == found[0].depth - _opens(found) and _is(token, wanted)
    ]


def _is(token: Token, wanted: Sequence[str]) -> bool:
    return token.text.lower() in wanted


def _opens(found: Sequence[Token]) -> int:
    """A bracket lies one deeper than what stands beside it."""
    return int(found[0].kind == "open")


def _encloses(found: Sequence[Token], place: int) -> bool:
    """Whether the bracket at `place` closes at the very end."""
    return len(found) > place + 1 and found[place].text == "(" and _closing(found, place) == len(found) - 1


def _closing(found: Sequence[Token], place: int) -> int:
    depth = found[place].depth
    return next(at for at in range(place, len(found)) if found[at].kind == "close" and found[at].depth == depth)


def _text(query: str, found: Sequence[Token]) -> str:
    return query[found[0].start : found[-1].end] if found else ""


# --- constants -------------------------------------------------------------------------------------------------------

_LARGEST = 1e300
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def constant(text: str) -> float | None:
    """The value of arithmetic with numbers alone (`24 * 3600`); None for everything else."""
    try:
        if not all(_is_arithmetic(token) for token in tokens(text)):
            return None
        value = _value(ast.parse(text.replace("^", "**"), mode="eval").body)
    except (Unreadable, SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    return value if abs(value) < _LARGEST else None


def _is_arithmetic(token: Token) -> bool:
    return token.kind in ("operator", "open", "close") or _NUMBER.fullmatch(token.text) is not None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        result = _ARITHMETIC[type(node.op)](_value(node.left), _value(node.right))
        if isinstance(result, float):
            return result
    raise ValueError(f"{type(node).__name__} is no arithmetic")
