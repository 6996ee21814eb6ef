"""What is generated, as values: groups of recording and alerting rules, and how PromQL is put together."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Record:
    """A recording rule."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    """Why it is there, as a comment above it."""


@dataclass(frozen=True)
class Alert:
    """An alerting rule; durations in seconds."""

    name: str
    expr: str
    hold: float
    keep: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated in their order, every `interval` seconds."""

    name: str
    interval: float
    rules: tuple[Record | Alert, ...]


def selector(name: str, labels: Mapping[str, str]) -> str:
    """`name{label="value"}`, or the name alone."""
    matchers = ",".join(f"{label}={quoted(value)}" for label, value in labels.items())
    return f"{name}{{{matchers}}}" if matchers else name


def quoted(text: str) -> str:
    """A string of PromQL."""
    return json.dumps(text, ensure_ascii=False)


def plain(text: str) -> str:
    """A text that stands in a label or an annotation as it is: these are templates, and `{{` would begin one."""
    return text.replace("{{", "{{ `{{` }}")


def number(value: float) -> str:
    """A number of PromQL, as short as it can be without being another."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)


def duration(seconds: float) -> str:
    """A duration of PromQL: 5400 -> `1h30m`. Whole seconds, exactly."""
    left, parts = round(seconds), []
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
