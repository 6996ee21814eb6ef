"""Numbers as people read them: a value with its unit, how far it is from its normal, a threshold. Pure."""

import re

from receiver.enrichers.expression import Threshold

_NEAR = 1.1
"""A value within this factor of its normal is near it."""
_MOST = 1000.0
_NUMBER = re.compile(r"\s*(-?\d[\d,]*(?:\.\d+)?)(?=\s|%|$)")
_ALERTS = {
    ">": "alerts above {}",
    ">=": "alerts from {} up",
    "<": "alerts below {}",
    "<=": "alerts from {} down",
    "==": "alerts at {}",
    "!=": "alerts when not {}",
}


def wording(value: float, unit: str) -> str:
    """A number and what it is: (0.987, "% of calls") -> `"98.7 % of calls"`, (3.0, "a minute") -> `"3 a minute"`."""
    return f"{digits(scaled(value, unit))} {unit}".strip()


def digits(value: float) -> str:
    """Three digits, or all before the point: 0.0123456 -> `"0.0123"`, 1234567.8 -> `"1,234,568"`."""
    if abs(value) < 999.5:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3g}"


def scaled(value: float, unit: str) -> float:
    """The number that is shown: a unit that begins with % stands for a ratio."""
    return value * 100 if unit.startswith("%") else value


def number_in(words: str) -> float | None:
    """The number that `words` begin with ("0.5 % of calls" -> 0.5); None for "below 24 h" and "3-5 a minute"."""
    found = _NUMBER.match(words)
    return float(found[1].replace(",", "")) if found else None


def factor(value: float, normal: float) -> str:
    """How far a value is from its normal: `"6.2 times its normal"`, `"3.1 times below its normal"`; nothing where that
    can't be said in times."""
    if value == normal:
        return "at its normal"
    if normal == 0 or (value > 0 > normal) or (value < 0 < normal):
        return ""
    if value == 0:
        return "fallen to 0"
    times = abs(value / normal)
    if 1 / _NEAR <= times <= _NEAR:
        return "near its normal"
    return f"{_times(times)} times its normal" if times > 1 else f"{_times(normal / value)} times below its normal"


def _times(times: float) -> str:
    if times < 99.5:
        return f"{times:.2g}"
    return f"{times:.0f}" if times < _MOST else "more than 1,000"


def alerts(threshold: Threshold, unit: str) -> str:
    """When it alerts: `"alerts above 5 % of calls"`."""
    return _ALERTS[threshold.comparison].format(wording(threshold.value, unit))
