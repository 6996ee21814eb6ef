"""One attempt to send one row: a few quick tries, and a receipt whatever happens."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import tenacity

from receiver.delivery.outbox import Claimed, Receipt
from receiver.message import Message, Unwritable
from toolkit.logs import Logger
from toolkit.secretfile import SecretUnreadable

QUICK_TRIES = 3
"""Tries within one attempt, some tenths of a second apart: most failures of a sink are that short. The outbox owns the
minutes and hours. A send whose outcome is unknown is not tried again here."""


class Sink(Protocol):
    """Where a target's messages go."""

    def send(self, message: Message, *, may_repeat: bool, place: str) -> Awaitable[Receipt]:
        """One attempt. `may_repeat`: an earlier copy may have arrived. `place`: where the incident's message stands
        there already, as a former Receipt named it; "" when that is unknown. Raises SecretUnreadable or Unwritable."""


async def attempt(row: Claimed, sink: Sink, may_try_again: Callable[[], bool], log: Logger) -> Receipt:
    """What came of it. `may_try_again` is asked before each quick try but the first."""
    tries = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(QUICK_TRIES),
        wait=tenacity.wait_random_exponential(multiplier=0.3, max=1.0),
        retry=tenacity.retry_if_result(lambda receipt: may_try_again() and _soon_better(receipt)),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    try:
        receipt: Receipt = await tries(sink.send, row.message, may_repeat=row.may_repeat, place=row.place)
    except SecretUnreadable as error:
        return Receipt("failed", str(error))
    except Unwritable as error:  # a message that can't be written must not hold up the others
        log.exception("a message could not be written", id=row.id)
        return Receipt("failed", f"internal error: {error}")
    except Exception as error:  # one message's defect must not hold up the others
        log.exception("a message could not be sent", id=row.id, target=row.target)
        return Receipt("unknown", f"internal error: {type(error).__name__}")
    return receipt


def _soon_better(receipt: Receipt) -> bool:
    """Whether a try some tenths of a second later may go better: not when the sink said no, or named a time."""
    refused = receipt.http_status is not None and receipt.http_status < 500
    return receipt.result == "failed" and not refused and receipt.retry_after is None
