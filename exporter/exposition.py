"""Writes series in Prometheus's text format and in OpenMetrics, from label bytes made once per series.

prometheus-client escapes and sorts every label again at every scrape, which takes about ten times as long (`make bench
ARGS=scrape`).
Formats: the text format 0.0.4 and OpenMetrics 1.0.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec


@dataclass(frozen=True)
class Family:
    """A metric's name, type and help. A counter's name ends in `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str


Families = Iterable[tuple[Family, Iterable[bytes]]]
"""Families with their lines."""


def series(name: str, labels: Mapping[str, str]) -> bytes:
    """The part of a line before its value: `name{label="value"} `, escaped."""
    inside = ",".join(f'{label}="{_escape(value)}"' for label, value in labels.items())
    return f"{name}{{{inside}}} ".encode(errors="replace") if inside else f"{name} ".encode()


def line(key: bytes, value: float) -> bytes:
    """One sample: what `series` made, and its value. Whole numbers stand without a fraction: shorter, and as exact."""
    if isinstance(value, int) or (value.is_integer() and -1e15 < value < 1e15):
        return b"%s%d\n" % (key, value)
    if math.isfinite(value):
        return b"%s%s\n" % (key, repr(value).encode())
    return key + (b"NaN\n" if math.isnan(value) else b"+Inf\n" if value > 0 else b"-Inf\n")


def lines(keys: Sequence[bytes], numbers: Sequence[int]) -> bytes:
    """Many samples: what `series` made of each, and its whole number. No function runs for a single one."""
    if not keys:
        return b""
    parts = [b"\n"] * (3 * len(keys))
    parts[::3] = keys
    parts[1::3] = msgspec.json.encode(numbers)[1:-1].split(b",")
    return b"".join(parts)


def render(families: Families, openmetrics: bool) -> bytes:
    """Families and their lines as text, without OpenMetrics's closing `# EOF`; one without lines leaves no trace."""
    parts: list[bytes] = []
    for family, found in families:
        lines = [one for one in found if one]
        if lines:
            parts.append(_header(family, openmetrics))
            parts += lines
    return b"".join(parts)


def _header(family: Family, openmetrics: bool) -> bytes:
    name = family.name
    if openmetrics and family.kind == "counter":
        name = name.removesuffix("_total")
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n".encode(errors="replace")


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
