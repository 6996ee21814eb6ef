"""The Watchdog, the alert that always fires: when it came, and whether its source has fallen silent.

Every method raises StorageUnavailable.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from receiver.alerts import AlertEvent, Status, StoredEvent, identity
from receiver.store.signs import SignStore
from receiver.upkeep.source import Heard, is_silent
from toolkit.clock import Now


class Watchdog:
    """`held` tells what an Alertmanager of a source last heard of it, None when none can say."""

    def __init__(self, signs: SignStore, held: Callable[[str], Heard | None], now: Now) -> None:
        self._signs, self._held, self._now = signs, held, now

    async def note(self, source: str, statuses: Iterable[Status]) -> None:
        """It came from `source`, firing or resolved."""
        for status in statuses:
            await self._signs.put(_sign(source, ended=status == "resolved"), self._now())

    async def last_seen(self, sources: Collection[str]) -> float | None:
        """When it last came, in seconds since the epoch, of several sources from the one that is silent the longest;
        None when one of them was never heard."""
        signs = [await self._signs.get(_sign(source)) for source in sources]
        return min((sign.at for sign in signs if sign is not None), default=None) if None not in signs else None

    async def doubted(self, stored: Iterable[StoredEvent]) -> list[StoredEvent]:
        """`stored`, the resolves of a source that has fallen silent marked: they are no evidence of an end."""
        found = list(stored)
        sources = {one.event.source for one in found if _came_as_resolved(one.event)}
        silent = {source for source in sources if await self.is_silent(source)}
        return [
            replace(one, event=replace(one.event, origin="source_lost"))
            if _came_as_resolved(one.event) and one.event.source in silent
            else one
            for one in found
        ]

    async def is_silent(self, source: str) -> bool:
        """Whether the Prometheus of `source`, as far as the Watchdog tells, says nothing any more."""
        told, ended = await self._signs.get(_sign(source)), await self._signs.get(_sign(source, ended=True))
        return is_silent(self._now(), told.at if told else None, ended.at if ended else None, self._held(source))


def is_watchdog(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether an alert with these labels is the one that always fires, which has the labels `wanted`."""
    return bool(wanted) and all(labels.get(label) == value for label, value in wanted.items())


def _sign(source: str, ended: bool = False) -> str:
    """The name of the sign in the store."""
    return identity(source, "watchdog_ended" if ended else "watchdog")


def _came_as_resolved(event: AlertEvent) -> bool:
    """Whether this is an end that Alertmanager tells of; a person knows what they say."""
    return event.status == "resolved" and event.origin != "by_hand"
