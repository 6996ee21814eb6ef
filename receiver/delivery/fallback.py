"""When another target is told in place of one that fails, and in which words. Pure."""

from dataclasses import dataclass

from toolkit.clock import format_duration


@dataclass(frozen=True)
class Unheard:
    """A message that a target should have heard since `since`, in seconds since the epoch, and what came of the last
    attempt: None and "" where there was none."""

    id: int
    since: float
    http_status: int | None = None
    detail: str = ""


def failed_for(target: str, unheard: Unheard, now: float) -> str:
    """`"chat has failed for 5m: HTTP 500"`: why the fallback is told."""
    return _because(
        f"{target} has failed for {format_duration(now - unheard.since)}", unheard.http_status, unheard.detail
    )


def refused(target: str, http_status: int | None, detail: str) -> str:
    """`"chat refused it: HTTP 404"`: why the fallback is told at once."""
    return _because(f"{target} refused it", http_status, detail)


def ended(target: str) -> str:
    """Why the fallback is told of an end."""
    return f"was told in place of {target} that it began"


def _because(text: str, http_status: int | None, detail: str) -> str:
    reason = f"HTTP {http_status}" if http_status is not None else detail
    return f"{text}: {reason}" if reason else text
