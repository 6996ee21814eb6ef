"""One stream's dealings with the ledger: what it knows, what is delivered to it, what it may drop."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol, TypeVar

import tenacity

from exporter.usage.delivery import Format, Intake, Position
from exporter.usage.sources.files.known import Known
from toolkit.logs import Logger
from toolkit.storage import StorageUnavailable

T = TypeVar("T")
FORGET_AFTER_SECONDS = 7 * 86400.0


class Forgetful(Protocol):
    """A ledger that can drop positions which nobody needs any more."""

    async def forget(self, stream: str, keep: Collection[str], age: float) -> None:
        """Drops the positions of `stream` whose part is none of `keep` and that have stood for `age` seconds. Raises
        StorageUnavailable."""


class Deliveries:
    """Delivers what the source `source` has read, under the positions of `stream`. A ledger that can't serve is asked
    until it can, with the same bytes."""

    def __init__(self, source: str, stream: str, form: Format, intake: Intake, ledger: Forgetful, log: Logger) -> None:
        self.stream = stream
        self._source, self._form, self._intake, self._ledger, self._log = source, form, intake, ledger, log
        self._known: Known | None = None

    async def known(self) -> Known:
        """The ledger's positions, read when they are first wanted and after `doubt`."""
        if self._known is None:
            self._known = Known(await self._patiently(lambda: self._intake.positions(self.stream)))
        return self._known

    def doubt(self) -> None:
        """The ledger holds something else than we believed: its positions are read anew."""
        self._known = None

    async def take(self, body: bytes, positions: Sequence[Position]) -> None:
        """Has `body` counted with its positions. Raises Fenced."""
        await self._patiently(lambda: self._intake.take(self._source, body, self._form, positions))
        (await self.known()).moved(positions)

    async def forget(self, keep: Collection[str]) -> None:
        """Has the ledger drop what went a week ago, but for the parts `keep`."""
        try:
            await self._ledger.forget(self.stream, keep, FORGET_AFTER_SECONDS)
        except StorageUnavailable as error:
            self._log.warning("old positions not dropped, will try again", reason=error.reason)
        else:
            self.doubt()

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        async def once() -> T:
            return await attempt()

        tries = tenacity.AsyncRetrying(
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=5.0),
            retry=tenacity.retry_if_exception_type(StorageUnavailable),
            before_sleep=lambda _: self._log.warning("the ledger can't serve, the same lines are delivered again"),
        )
        return await tries(once)
