"""What `tocsin-exporter rules build` records of signals, and how it is read.

A count without a unit of its own is recorded per second; people read it per minute, in messages as here.
"""

NORMAL = "normal"
"""signal:NORMAL is what is normal for a signal now."""


def scaled(selected: str, info: str) -> str:
    """The series in the unit that people read; `info` are matchers of signal_info, and choose the signals."""
    per_minute = f'60 * signal_info{{kind="count", unit="", {info}}}'
    return f"({selected} * on (signal) group_left () max by (signal) ({per_minute} or signal_info{{{info}}}))"


def described(selected: str, info: str) -> str:
    """The series with owner, service and unit of its signal; chosen by `info` as above."""
    counts = f'label_replace(signal_info{{kind="count", unit="", {info}}}, "unit", "events/min", "", "")'
    others = f'signal_info{{unit!="", {info}}} or signal_info{{kind!="count", unit="", {info}}}'
    about = f"max by (signal, owner, service, unit) ({counts} or {others})"
    return f"({selected}) * on (signal) group_left (owner, service, unit) {about}"
