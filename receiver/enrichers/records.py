"""Our own records, as enrichers ask them: what can't be read is a gap like any other."""

from collections.abc import Awaitable
from typing import TypeVar

from receiver.enrichers.absence import Absent
from toolkit.storage import StorageUnavailable

T = TypeVar("T")


async def read(enricher: str, asked: Awaitable[T]) -> T:
    """What `asked` of the store returns. Raises Absent in the name of `enricher`."""
    try:
        return await asked
    except StorageUnavailable as error:
        raise Absent(enricher, "unreachable", str(error)) from None
