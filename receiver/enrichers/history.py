"""How often it happened before, how long it took last time, and what somebody noted then."""

from receiver.enrichers.records import read
from receiver.incidents import Incident
from receiver.message import Found
from receiver.store.past import Earlier, PastStore
from toolkit.clock import Now, format_duration

DAYS = 30


class HistoryEnricher:
    """Looks into the store."""

    def __init__(self, store: PastStore, now: Now) -> None:
        self._store, self._now = store, now

    async def __call__(self, incident: Incident) -> Found | None:
        """The history in words; None where there is none. Raises Absent."""
        now = self._now()
        count, last = await read("history", self._store.earlier(incident, now - DAYS * 86400))
        return {"history": told(count + 1, last, now)} if last is not None else None


def told(times: int, last: Earlier, now: float) -> str:
    """`"4th time in 30 days; the last, 2d3h ago, took 38m, ended by ana: rolled back 1.42"`."""
    often = f"{ordinal(times)} time in {DAYS} days"
    if last.resolved_at is None:
        return f"{often}; incident {last.incident} still goes on{_by(last, 'with')}"
    ago, took = format_duration(now - last.resolved_at), format_duration(last.resolved_at - last.opened_at)
    return f"{often}; the last, {ago} ago, took {took}{_by(last, 'ended by' if last.ended_by else 'in the hands of')}"


def _by(last: Earlier, link: str) -> str:
    """Who had it, and their note: nothing where nobody is on record."""
    who = last.ended_by or last.had_by
    note = f": {last.note}" if last.note else ""
    return f", {link} {who}{note}" if who else note


def ordinal(number: int) -> str:
    """1 -> `"1st"`, 12 -> `"12th"`, 22 -> `"22nd"`."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
