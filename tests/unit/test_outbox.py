import random

import pytest

from receiver.delivery.outbox import FEWEST_TRIES, GIVE_UP_AFTER_SECONDS, LONGEST_RETRY_SECONDS, Claimed, Receipt, after
from receiver.message import Message

MESSAGE = Message(
    incident=1, revision=1, status="firing", reason="opened", severity="critical", alert="A", summary="s", since=0
)
LATE = GIVE_UP_AFTER_SECONDS + 1


def row(attempts: int = 1, planned_at: float = 0) -> Claimed:
    return Claimed(1, "me", 1, 1, "t", MESSAGE, attempts, False, 0, planned_at)


ROWS = [
    ("sent is done", Receipt("sent", ""), 1, 10, "sent", None, None),
    ("sent late is done too", Receipt("sent", ""), 9, LATE, "sent", None, None),
    ("the first failure is soon tried again", Receipt("failed", ""), 1, 10, "failed", 11.6, 12.4),
    ("the pause doubles", Receipt("failed", ""), 4, 10, "failed", 22.8, 29.2),
    ("up to ten minutes", Receipt("failed", ""), 40, 10, "failed", 10 + 480, 10 + 720),
    ("a lost outcome is tried again", Receipt("unknown", ""), 1, 10, "unknown", 11.6, 12.4),
    ("Retry-After is honoured", Receipt("failed", "", 429, retry_after=90), 1, 10, "failed", 100, 100),
    ("a short Retry-After doesn't hurry us", Receipt("failed", "", 429, retry_after=1), 4, 10, "failed", 22.8, 29.2),
    ("a refusal is tried again, but later", Receipt("failed", "", 404), 1, 10, "failed", 10 + 48, 10 + 72),
    ("after a day it is dead", Receipt("failed", ""), 200, LATE, "dead", None, None),
    ("not by a leap of the clock", Receipt("failed", ""), FEWEST_TRIES - 1, LATE, "failed", LATE + 400, LATE + 720),
    ("after two days however often it was tried", Receipt("failed", ""), 1, 2 * LATE, "dead", None, None),
]


@pytest.mark.parametrize(
    ("receipt", "attempts", "now", "state", "earliest", "latest"),
    [one[1:] for one in ROWS],
    ids=[one[0] for one in ROWS],
)
def test_an_attempt_decides_where_the_row_goes(
    receipt: Receipt, attempts: int, now: float, state: str, earliest: float | None, latest: float | None
) -> None:
    for seed in range(50):
        found = after(row(attempts), receipt, now, random.Random(seed))
        assert found.state == state
        if earliest is None or latest is None:
            assert found.at is None
        else:
            assert found.at is not None
            assert earliest <= found.at <= latest


def test_the_pauses_of_many_rows_are_spread() -> None:
    chance = random.Random(1)
    pauses = {round(after(row(9), Receipt("failed", ""), 0, chance).at or 0) for _ in range(50)}
    assert len(pauses) > 20
    assert max(pauses) <= LONGEST_RETRY_SECONDS * 1.2
