"""The queue, and the thread that empties it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tocsin_observe.limits import Limits
from tocsin_observe.post import Answer, Result
from tocsin_observe.tally import Fate, Tally

logger = logging.getLogger("tocsin_observe")
MOST_REJECTIONS_TOLD = 20
"""Each is told once: a name is misspelt in every call, and one who reads twenty knows enough."""


@dataclass(frozen=True)
class Waiting:
    """A line, and when it was queued, in seconds of the monotonic clock."""

    line: bytes
    since: float


class Sender:
    """Takes lines from any thread at once, and posts them from a daemon thread that starts with the first line.

    `post` sends lines and does not raise. The lock is held for a few steps of memory alone, never while `post` runs.
    """

    def __init__(self, post: Callable[[list[bytes]], Answer], place: str, limits: Limits, tally: Tally) -> None:
        self._post, self._place, self._limits, self._tally = post, place, limits, tally
        # re-entrant by default: a signal handler may observe while its own thread queues
        self._changed = threading.Condition()
        self._queue: deque[Waiting] = deque()
        self._in_flight = 0
        self._pause = 0.0
        self._hurry = self._closed = False
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self._rejections: set[str] = set()

    def put(self, line: bytes) -> None:
        """Queues a line; the oldest goes when too many wait. Raises RuntimeError when no thread can be started."""
        with self._changed:
            if self._closed:
                self._tally.ended(Fate.DROPPED)
                return
            self._ensure_thread()
            self._queue.append(Waiting(line, time.monotonic()))
            self._drop(self._count() - self._limits.waiting)
            self._changed.notify_all()

    def count(self) -> int:
        """How many lines are queued or on their way."""
        with self._changed:
            return self._count()

    def flush(self, timeout: float) -> bool:
        """Sends what waits at once; whether all of it has ended within `timeout` seconds."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._count(), timeout)

    def close(self, timeout: float) -> None:
        """One last attempt, for at most `timeout` seconds. Later lines are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _count(self) -> int:
        return len(self._queue) + self._in_flight

    def _drop(self, count: int) -> None:
        """Drops the oldest of the queue: what is newest is true now."""
        dropped = max(0, min(count, len(self._queue)))
        for _ in range(dropped):
            self._queue.popleft()
        self._tally.ended(Fate.DROPPED, dropped)

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="tocsin-observe", daemon=True)
            thread.start()
            self._thread = thread

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._take():
            answer = self._post([waiting.line for waiting in batch])
            self._settle(batch, answer)
            self._tell(answer)

    def _take(self) -> list[Waiting]:
        """Waits for lines, then for others to join them or for the pause to pass. Empty when it is time to end."""
        with self._changed:
            # two may be started by a signal handler that observes in the middle of the first start: one goes
            while threading.current_thread() is self._thread:
                self._changed.wait_for(lambda: self._queue or self._closed)
                self._changed.wait_for(self._is_time, self._pause or self._limits.linger)
                self._expire(time.monotonic() - self._limits.longest_wait)
                if self._queue or self._closed:
                    size = min(len(self._queue), self._limits.batch)
                    self._in_flight = size
                    return [self._queue.popleft() for _ in range(size)]
            return []

    def _is_time(self) -> bool:
        full = len(self._queue) >= self._limits.batch and not self._pause
        return self._hurry or self._closed or full

    def _expire(self, before: float) -> None:
        expired = 0
        while self._queue and self._queue[0].since < before:
            self._queue.popleft()
            expired += 1
        if expired:
            self._tally.ended(Fate.EXPIRED, expired)
            self._changed.notify_all()

    def _settle(self, batch: list[Waiting], answer: Answer) -> None:
        """What the answer does to the batch, and to the next pause."""
        with self._changed:
            self._in_flight = 0
            if answer.result is Result.LATER:
                self._tally.post_failed()
                self._give_back(batch)
            else:
                refused = min(answer.rejected, len(batch)) if answer.result is Result.DELIVERED else len(batch)
                self._tally.ended(Fate.REFUSED, refused)
                self._tally.ended(Fate.DELIVERED, len(batch) - refused)
                self._pause = 0.0
            if not self._queue:
                self._hurry = False
            self._changed.notify_all()

    def _give_back(self, batch: list[Waiting]) -> None:
        self._queue.extendleft(reversed(batch))
        self._drop(len(self._queue) if self._closed else len(self._queue) - self._limits.waiting)
        self._hurry = False
        longer = min(max(self._limits.first_pause, self._pause * 2), self._limits.longest_pause)
        # many processes lose the same exporter at the same moment, and should not return together
        self._pause = longer * random.uniform(0.75, 1.0)  # noqa: S311 - spreads attempts, guards nothing

    def _tell(self, answer: Answer) -> None:
        """Logs when it begins to fail, when the reason changes, and when it is well again; never each attempt."""
        self._tell_rejection(answer.rejection)
        if answer.reason == self._trouble:
            return
        self._trouble = answer.reason
        if answer.reason:
            logger.warning("the exporter at %s does not take observations: %s", self._place, answer.reason)
        else:
            logger.info("the exporter at %s takes observations again", self._place)

    def _tell_rejection(self, why: str) -> None:
        told = self._rejections
        if why and why not in told and len(told) < MOST_REJECTIONS_TOLD:
            told.add(why)
            logger.warning("the exporter at %s rejects observations: %s", self._place, why)
