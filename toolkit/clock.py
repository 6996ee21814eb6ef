"""Time as a value that is passed in, and durations as Prometheus writes them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

Now = Callable[[], float]
"""Returns the present time in seconds since the Unix epoch."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_LONGEST_SECONDS = 2**63 / 1e9
_PART = re.compile(r"(\d+)(ms|[smhdwy])")


def parse_duration(text: str) -> float:
    """`"1h30m"` -> 5400.0 seconds.

    The grammar is Prometheus's (`model.ParseDuration`), except that units may come in any order.
    Raises ValueError with an example when `text` is none, and for more than Prometheus can count, 292 years.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > _LONGEST_SECONDS:
        raise ValueError("a duration is 292 years at most; write it like 30s, 5m or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """Seconds (>= 0) as people read them, in the two largest units: 75.2 -> `"1m15s"`, 90061 -> `"1d1h"`."""
    left = round(max(seconds, 0))
    parts = []
    for unit in ("d", "h", "m", "s"):
        size = int(_UNITS[unit])
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def parse_rfc3339(text: str) -> float:
    """An RFC 3339 instant -> seconds since the epoch, to the microsecond.

    Go prints up to nine fractional digits; what is below a microsecond is cut, always alike, so equal instants
    stay equal. Raises ValueError when `text` is no instant or has no zone.
    """
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text)
    moment = datetime.fromisoformat(cut)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.timestamp()


def format_rfc3339(seconds: float) -> str:
    """Seconds since the epoch as an RFC 3339 instant in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_utc(seconds: float, pattern: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """Seconds since the epoch as UTC text."""
    return datetime.fromtimestamp(seconds, UTC).strftime(pattern)
