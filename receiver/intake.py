"""Group commit: the posts that wait for the store share one transaction.

A transaction costs the same for one event as for a hundred. So while one is under way the posts that come are kept,
and the next one takes all of them: a lone post waits for nobody, and a thousand at once need a few commits.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from receiver.alerts import AlertEvent
from toolkit.service import Spawn
from toolkit.storage import StorageUnavailable

MOST_WAITING = 10_000
"""Events that may wait to be stored, some 50 MB of them; with more on the way the store can't keep up."""
MOST_TOGETHER = 1000
"""Events in one transaction, unless a single post brings more: nobody waits for a long one."""

Add = Callable[[Sequence[AlertEvent]], Awaitable[list[bool]]]
"""Stores events in one transaction and says of each whether it was new. Raises StorageUnavailable."""


class Overloaded(StorageUnavailable):
    """More events wait than the store can take in time. Nothing was stored; try again later."""

    def __init__(self) -> None:
        super().__init__("overloaded")


@dataclass(frozen=True)
class _Post:
    events: Sequence[AlertEvent]
    answer: asyncio.Future[list[bool]]


class Intake:
    """Stores the events of many posts together, and answers each post with its own result."""

    def __init__(self, add: Add, spawn: Spawn) -> None:
        self._add, self._spawn = add, spawn
        self._posts: deque[_Post] = deque()
        self._waiting = 0
        self._writer: asyncio.Task[None] | None = None

    async def add(self, events: Sequence[AlertEvent]) -> list[bool]:
        """Stores what is new and says of each event whether it was. On disk when this returns.

        Raises StorageUnavailable, or Overloaded at once when too much waits.
        """
        if not events:
            return []
        if self._waiting and self._waiting + len(events) > MOST_WAITING:
            raise Overloaded
        post = _Post(events, asyncio.get_running_loop().create_future())
        self._posts.append(post)
        self._waiting += len(events)
        if self._writer is None:
            self._writer = self._spawn(self._write(), "intake")
        return await post.answer

    async def _write(self) -> None:
        """Commits until nothing waits."""
        together: list[_Post] = []
        try:
            while together := self._take():
                await self._commit(together)
        finally:
            # told to stop: whoever waits must not wait for ever
            for post in (*together, *self._posts):
                post.answer.cancel()
            self._posts.clear()
            self._waiting, self._writer = 0, None

    def _take(self) -> list[_Post]:
        """The posts that came first, up to MOST_TOGETHER events."""
        together: list[_Post] = []
        room = MOST_TOGETHER
        while self._posts and (not together or len(self._posts[0].events) <= room):
            together.append(self._posts.popleft())
            room -= len(together[-1].events)
        self._waiting -= sum(len(post.events) for post in together)
        return together

    async def _commit(self, posts: Sequence[_Post]) -> None:
        try:
            new = await self._add([event for post in posts for event in post.events])
        except StorageUnavailable as error:
            for post in posts:
                _refuse(post, error)
        except Exception as error:  # noqa: BLE001 - a defect that one post meets must not be everybody's
            if len(posts) == 1:
                return _refuse(posts[0], error)
            for post in posts:
                await self._commit([post])
        else:
            _answer(posts, new)
        return None


def _answer(posts: Sequence[_Post], new: Sequence[bool]) -> None:
    """Gives each post its part of `new`, which speaks of all their events in turn."""
    start = 0
    for post in posts:
        end = start + len(post.events)
        if not post.answer.done():  # its client went away
            post.answer.set_result(list(new[start:end]))
        start = end


def _refuse(post: _Post, error: Exception) -> None:
    if not post.answer.done():  # its client went away
        post.answer.set_exception(error)
