"""A row of the outbox: one message for one target, and what became of it. Pure."""

import random
from dataclasses import dataclass
from typing import Literal

from receiver.message import Message
from receiver.oncall.hold import Hold

State = Literal["planned", "sending", "sent", "failed", "unknown", "dead", "superseded", "shadow"]
UNFINISHED: tuple[State, ...] = ("planned", "sending", "failed", "unknown")
Result = Literal["sent", "failed", "unknown"]

FIRST_RETRY_SECONDS = 2.0
FIRST_RETRY_OF_A_REFUSAL_SECONDS = 60.0
LONGEST_RETRY_SECONDS = 600.0
GIVE_UP_AFTER_SECONDS = 24 * 3600.0
FEWEST_TRIES = 10
"""A clock that leaps forward a day must not end what has hardly been tried; what is two days old is ended anyway."""
FURTHEST_SECONDS = 3600.0
"""No row is put off for longer than this, so one that is due later was put off by a clock that has been set back."""

REFUSALS = frozenset({400, 401, 403, 404, 410, 413, 422})
"""HTTP statuses that trying again does not change; a person may, by mending the URL."""


@dataclass(frozen=True)
class Planned:
    """A message that is to be written to the outbox. `route` says why this target. `shadow`: to be seen, not sent.
    `hold`: to be sent later."""

    target: str
    route: str
    message: Message
    shadow: bool = False
    hold: Hold | None = None


@dataclass(frozen=True)
class Claimed:
    """A row that `owner` is sending.

    `may_repeat`: an earlier attempt's outcome was lost, or that of an older message that said the same. `trying_since`:
    when it was first to be sent, or asked for again after it was given up. `place`: where the incident's message stands
    in the target's sink already, as the sink named it; "" when it doesn't say, or none does.
    """

    id: int
    owner: str
    incident: int
    revision: int
    target: str
    message: Message
    attempts: int
    may_repeat: bool
    received_at: float
    trying_since: float
    place: str = ""


@dataclass(frozen=True)
class Receipt:
    """What came of one attempt.

    `unknown`: it may have arrived. `detail` is redacted. `retry_after` is what the sink asked for, in seconds. `place`
    is where the message stands now, in the sink's words, so that a later one of the incident can take its place.
    """

    result: Result
    detail: str
    http_status: int | None = None
    retry_after: float | None = None
    place: str = ""

    @property
    def refused(self) -> bool:
        """Whether the sink said no, and will say so again."""
        return self.result == "failed" and self.http_status in REFUSALS


@dataclass(frozen=True)
class Next:
    """Where the row goes after an attempt; `at` is when it is due again, None once it is finished."""

    state: State
    at: float | None


def after(row: Claimed, receipt: Receipt, now: float, chance: random.Random) -> Next:
    """The row's next state: finished when sent; dead after GIVE_UP_AFTER_SECONDS and FEWEST_TRIES; else due again,
    later each time.

    The pause doubles from FIRST_RETRY_SECONDS (after a refusal from FIRST_RETRY_OF_A_REFUSAL_SECONDS) to
    LONGEST_RETRY_SECONDS, is never shorter than Retry-After, and is spread by a fifth either way so that many rows
    don't return at once.
    """
    if receipt.result == "sent":
        return Next("sent", None)
    if _is_over(row, now):
        return Next("dead", None)
    first = FIRST_RETRY_OF_A_REFUSAL_SECONDS if receipt.refused else FIRST_RETRY_SECONDS
    pause = min(first * 2 ** min(row.attempts - 1, 30), LONGEST_RETRY_SECONDS)
    spread = pause * chance.uniform(0.8, 1.2)
    return Next(receipt.result, now + max(spread, receipt.retry_after or 0.0))


def _is_over(row: Claimed, now: float) -> bool:
    age = now - row.trying_since
    return age >= 2 * GIVE_UP_AFTER_SECONDS or (age >= GIVE_UP_AFTER_SECONDS and row.attempts >= FEWEST_TRIES)
