"""Which of the planned messages wait: for the end of a quiet time, or for their digest. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from receiver.delivery.outbox import Planned
from receiver.oncall.hold import Hold, Holds
from toolkit.clock import format_utc


def hold(rows: Iterable[Planned], holds: Holds, now: float) -> tuple[Planned, ...]:
    """The rows, each with what keeps it back, if anything does. `now` in seconds since the epoch."""
    return tuple(replace(row, hold=holds.of(row.target, row.message.severity, now)) for row in rows)


def words(target: str, held: Hold) -> str:
    """`"ana-chat is told at 2026-11-22 07:00:00 UTC, after its quiet hours"`."""
    why = f"in the digest {held.digest}" if held.digest is not None else "after its quiet hours"
    return f"{target} is told at {format_utc(held.until)}, {why}"
