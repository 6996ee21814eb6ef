"""Numbers as people read them, by Grafana's names of units."""

import math

SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (0.0, "\u00b5s"))
LONG_SPANS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))
BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
SUFFIXES = {"none": (1, ""), "percentunit": (100, "%")}
"""A unit -> (what a value is multiplied with, what stands behind it)."""
NOTHING = "\u2013"


def shown(value: float, unit: str, decimals: int | None, now: float) -> str:
    """A value with its unit; `now` in seconds since the epoch is what dates are told from."""
    if math.isnan(value):
        return NOTHING
    if unit == "s":
        return _span(value, decimals)
    if unit == "bytes":
        return _bytes(value)
    if unit == "dateTimeFromNow":
        return _from_now(value / 1000 - now)
    factor, suffix = SUFFIXES.get(unit, (1, unit.removeprefix("suffix:").strip()))
    return f"{number(factor * value, decimals)} {suffix}".strip()


def number(value: float, decimals: int | None) -> str:
    """With its decimals, or else with three digits that say something."""
    if math.isinf(value):
        return "\u221e" if value > 0 else "-\u221e"
    if decimals is None:
        digits = 0 if value == 0 or float(value).is_integer() else max(0, 2 - math.floor(math.log10(abs(value))))
        decimals = min(digits, 4)
        return f"{value:,.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:,.0f}"
    return f"{value:,.{decimals}f}"


def _span(seconds: float, decimals: int | None) -> str:
    size, name = next(((size, name) for size, name in SPANS if abs(seconds) >= size), SPANS[3])
    if seconds == 0:
        return "0 s"
    return f"{number(seconds / (size or 1e-6), 1 if decimals is None and size >= 60 else decimals)} {name}"


def _bytes(value: float) -> str:
    power = 0 if value < 1 else min(int(math.log(value, 1024)), len(BYTES) - 1)
    return f"{number(value / 1024**power, None if power else 0)} {BYTES[power]}"


def _from_now(seconds: float) -> str:
    size, name = next(((size, name) for size, name in LONG_SPANS if abs(seconds) >= size), LONG_SPANS[-1])
    many = round(abs(seconds) / size)
    text = f"{many} {name}{'' if many == 1 else 's'}"
    return f"in {text}" if seconds > 0 else f"{text} ago"
