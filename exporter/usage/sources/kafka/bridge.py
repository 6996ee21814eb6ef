"""Between the client library's thread and the event loop."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 0.5
"""How long the thread waits for the loop before it begins to do something meanwhile."""
MEANWHILE_SECONDS = 0.1


class Abandoned(Exception):
    """The work's result is wanted no more: the partitions went to another process, or this one stops."""


class Bridge:
    """Lets the thread do work in the event loop `loop`. `stop` may be called from anywhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._stopping = loop, threading.Event()
        self._under_way: concurrent.futures.Future[Any] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the thread has to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Tells the thread to end."""
        self._stopping.set()

    def pause(self, seconds: float) -> None:
        """Waits, unless the thread has to end."""
        self._stopping.wait(seconds)

    def tell(self, news: Callable[[], None]) -> None:
        """Calls `news` in the loop, soon."""
        self._loop.call_soon_threadsafe(news)

    def settle(self, seconds: float) -> None:
        """Waits for the work under way, if there is any, at most `seconds`."""
        if self._under_way is not None:
            concurrent.futures.wait([self._under_way], seconds)

    def do(self, work: Coroutine[Any, Any, T], meanwhile: Callable[[], bool]) -> T:
        """What `work` returns or raises. `meanwhile` is called again and again while that takes long; once it says
        False, or the thread has to end, the work is cancelled. Raises Abandoned then."""
        self._under_way = future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            concurrent.futures.wait([future], PATIENCE_SECONDS)
            while not future.done():
                if self.is_stopping or not meanwhile():
                    future.cancel()
                    raise Abandoned
                concurrent.futures.wait([future], MEANWHILE_SECONDS)
            return future.result()
        finally:
            self._under_way = None
