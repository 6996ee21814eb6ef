"""A template: text with values, conditions and loops, and nothing else. So what it costs is bounded before it runs.

There are no calls, no assignments and no arithmetic in it, values are short, loops go over short lists and nest twice
at most: none of it can take for ever or fill the memory, whoever wrote it and whatever stands in a label.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import msgspec
from jinja2 import meta, nodes
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from receiver.message import Change, Message
from receiver.notifiers.words import clean, state, title, value
from toolkit.clock import format_duration, format_utc
from toolkit.configfile import nearest

SOURCE_LIMIT = 16_384
TEXT_LIMIT = 8000
"""Characters that a template may make."""
DEPTH_LIMIT = 2
LIST_LIMIT = 100
"""Values that a loop goes over, and that a filter looks at."""
_HELD_LIMIT = 2000
_DIGITS = 15
"""What `round` leaves behind the point; a float has no more."""
_LISTED = "a list"
"""The filter of what a loop goes over: no template can name it."""
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.If, nodes.For, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.And, nodes.Or, nodes.Not, nodes.Compare,
    nodes.Operand, nodes.Tuple, nodes.List, nodes.Slice, nodes.Neg,
)  # fmt: skip
_FILTERS = (
    "upper",
    "lower",
    "capitalize",
    "trim",
    "default",
    "first",
    "last",
    "length",
    "join",
    "replace",
    "int",
)
_TESTS = ("defined", "none", "in", "eq", "ne", "lt", "le", "gt", "ge")
_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "calls nothing",
    nodes.Concat: "joins nothing with ~; write the values one after the other",
    nodes.Assign: "sets nothing",
    nodes.AssignBlock: "sets nothing",
    nodes.Macro: "defines no macros",
    nodes.Include: "includes no files",
    nodes.Extends: "includes no files",
    nodes.Import: "includes no files",
    nodes.FromImport: "includes no files",
}


class Mistake(Exception):
    """A template that can't be used, or that failed. `line` counts from 1; 0 where it is not known."""

    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(f"line {line}: {problem}" if line else problem)


class Template:
    """A compiled one."""

    def __init__(self, source: str) -> None:
        """Raises Mistake."""
        if len(source) > SOURCE_LIMIT:
            raise Mistake(0, f"longer than {SOURCE_LIMIT} characters")
        self._compiled = _compile(source)

    def __call__(self, message: Message) -> str:
        """What it makes of a message. Raises Mistake."""
        try:
            made = "".join(_first(self._compiled.generate(context(message)), TEXT_LIMIT))
        except Exception as error:  # noqa: BLE001 - a template may fail in any way, and the message must not
            raise Mistake(_line(error), f"{type(error).__name__}: {error}") from None
        if len(made) > TEXT_LIMIT:
            raise Mistake(0, f"makes more than {TEXT_LIMIT} characters")
        return made


def _compile(source: str) -> jinja2.Template:
    try:
        tree = _ENVIRONMENT.parse(source)
        for mistake in _mistakes(tree):
            raise mistake
        return _ENVIRONMENT.from_string(_over_lists(tree))
    except jinja2.TemplateSyntaxError as error:
        raise Mistake(error.lineno, error.message or "not a template") from None
    except (RecursionError, MemoryError):
        raise Mistake(0, "nested too deeply") from None
    except SyntaxError as error:  # of the Python that jinja2 makes of it
        raise Mistake(0, f"can't be compiled: {error.msg}") from None
    except (ValueError, OverflowError) as error:  # a number of thousands of digits
        raise Mistake(0, f"can't be compiled: {error}") from None


def _over_lists(tree: nodes.Template) -> nodes.Template:
    """The same with a check of what each loop goes over, which shows only when it runs."""
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, _LISTED, [], [], None, None, lineno=loop.lineno)
    return tree


def _first(parts: Iterable[str], limit: int) -> Iterator[str]:
    """The parts up to the one that exceeds the limit."""
    for part in parts:
        yield part
        limit -= len(part)
        if limit < 0:
            return


@dataclass(frozen=True)
class _Derived:
    """What a template may want beside the fields."""

    state: str
    built_in_title: str
    value: str
    began: str
    lasted: str


def context(message: Message) -> Mapping[str, Any]:
    """The names that a template may use: the fields of the message but for its chart, every text short and on one line,
    and what is made of them (`state`, `built_in_title`, `value`, `began`, `lasted`)."""
    fields = {name: _held(getattr(message, name)) for name in message.__struct_fields__ if name != "chart"}
    derived = _Derived(
        state=state(message),
        built_in_title=title(message),
        value=value(message) if message.measured else "",
        began=format_utc(message.since),
        lasted=format_duration(message.until - message.since) if message.until is not None else "",
    )
    return {**fields, **vars(derived)}


NAMES = frozenset({*Message.__struct_fields__, *_Derived.__dataclass_fields__} - {"chart"})


def _held(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, tuple):
        return [_held(one) for one in value]
    if isinstance(value, Change):
        return {name: _held(one) for name, one in msgspec.structs.asdict(value).items()}
    return value


def _mistakes(tree: nodes.Template) -> Iterator[Mistake]:
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Expr | nodes.Stmt) and not isinstance(node, _ALLOWED):
            yield Mistake(node.lineno, f"a template {_WORDS.get(type(node), 'has no such expression')}")
    unknown = meta.find_undeclared_variables(tree) - NAMES
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            yield Mistake(name.lineno, f"'{name.name}' is not defined{nearest(name.name, NAMES)}")
    for loop in tree.find_all(nodes.For):
        if loop.recursive or _depth(loop) > DEPTH_LIMIT:
            yield Mistake(loop.lineno, f"loops are nested deeper than {DEPTH_LIMIT}")


def _depth(loop: nodes.For) -> int:
    return 1 + max((_depth(inner) for inner in loop.find_all(nodes.For)), default=0)


def _line(error: Exception) -> int:
    """The template's line that raised, which jinja2 writes into the traceback."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


class _Environment(ImmutableSandboxedEnvironment):
    """Without attributes: what a template reads are names, keys and the loop's counters."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002 - jinja2's signature
        return isinstance(obj, LoopContext) and attr in {"index", "first", "last", "length"}


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError("a loop goes over a list")
    if len(value) > LIST_LIMIT:
        raise ValueError(f"a loop goes over {LIST_LIMIT} values at most")
    return list(value)


def _round(number: float, digits: int = 0) -> float:
    """jinja2's own has methods that raise 10 to the digits."""
    if abs(digits) > _DIGITS:
        raise ValueError(f"round leaves {_DIGITS} digits at most")
    return round(number, digits)


def _bounded(filter_: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(filter_)
    def bounded(*arguments: Any, **options: Any) -> Any:
        return _short(filter_(*map(_short, arguments), **{name: _short(value) for name, value in options.items()}))

    return bounded


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_HELD_LIMIT]
    return value[:LIST_LIMIT] if isinstance(value, list | tuple) else value


def _environment() -> _Environment:
    # what it makes is plain text, which each channel escapes in its own way
    made = _Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    made.globals.clear()
    made.filters = {name: _bounded(FILTERS[name]) for name in _FILTERS}
    made.filters["round"] = _bounded(_round)
    made.filters[_LISTED] = _listed
    made.filters["utc"] = lambda seconds: format_utc(seconds, "%H:%M UTC")
    made.filters["duration"] = format_duration
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


_ENVIRONMENT = _environment()
