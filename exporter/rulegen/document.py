"""Rules as the text of a file that Prometheus reads, and whether somebody has changed it since. Pure.

The same rules are the same text, byte for byte. Its head holds a checksum of the rest.
"""

import hashlib
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from exporter.rulegen.rules import Alert, Group, Record, duration

WIDTH = 120
_SUM = "# sha256 of the rest: "


def sealed(text: str, source: str) -> str:
    """`text` below a head that says where it comes from. `source` is the name of the file of signals."""
    head = (
        f"# Written by `tocsin-exporter rules build {source}`. Change that file and build again: what was\n"
        "# changed here isn't overwritten.\n"
    )
    return f"{head}{_SUM}{_digest(text)}\n{text}"


def is_untouched(text: str) -> bool:
    """Whether a file is as `sealed` made it."""
    head, found, rest = text.partition(_SUM)
    digest, _, body = rest.partition("\n")
    return bool(found) and [line[:1] for line in head.splitlines()] == ["#", "#"] and digest == _digest(body)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rules_file(groups: Iterable[Group]) -> str:
    """A file for `rule_files` of prometheus.yml."""
    return "groups:\n" + "\n".join("\n".join(_group(group)) + "\n" for group in groups)


def _group(group: Group) -> Iterator[str]:
    yield f"  - name: {_scalar(group.name)}"
    yield f"    interval: {duration(group.interval)}"
    yield "    rules:"
    for rule in group.rules:
        yield from _comment(rule.note)
        yield from _rule(rule)


def _comment(text: str) -> Iterator[str]:
    indent = "      # "
    for line in textwrap.wrap(text, WIDTH - len(indent)):
        yield indent + line


def _rule(rule: Record | Alert) -> Iterator[str]:
    yield f"      - {'record' if isinstance(rule, Record) else 'alert'}: {rule.name}"
    yield from _block("expr", rule.expr, "        ")
    if isinstance(rule, Alert):
        yield f"        for: {duration(rule.hold)}"
        if rule.keep:
            yield f"        keep_firing_for: {duration(rule.keep)}"
    yield from _mapping("labels", rule.labels)
    if isinstance(rule, Alert):
        yield from _mapping("annotations", rule.annotations)


def _mapping(key: str, values: Any) -> Iterator[str]:
    if values:
        yield f"        {key}:"
    for name, value in values.items():
        yield f"          {name}: {_scalar(value)}"


def _block(key: str, text: str, indent: str) -> Iterator[str]:
    if "\n" not in text and len(text) + len(indent) + len(key) + 2 <= WIDTH and ": " not in text and " #" not in text:
        yield f"{indent}{key}: {_scalar(text)}"
        return
    yield f"{indent}{key}: |"
    for line in text.splitlines():
        yield f"{indent}  {line}"


def _scalar(text: str) -> str:
    """One line of YAML, in quotes where it needs them."""
    return yaml.safe_dump(text, allow_unicode=True, width=float("inf")).removesuffix("\n").removesuffix("\n...")
