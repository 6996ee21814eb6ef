"""What posts that come together have to do with each other: a transaction, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from receiver import intake
from receiver.alerts import AlertEvent
from receiver.intake import MOST_TOGETHER, MOST_WAITING, Intake, Overloaded
from toolkit.service import Background
from toolkit.storage import StorageUnavailable


class Table:
    """Where events are stored: one by one transaction, each of which waits until it is let through."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.open, self.poison, self.down = asyncio.Event(), "", False

    async def add(self, events: Sequence[AlertEvent]) -> list[bool]:
        known = {name for one in self.transactions for name in one}
        names = [event.fingerprint for event in events]
        self.transactions.append(names)
        await self.open.wait()
        if self.down:
            raise StorageUnavailable("full")
        if self.poison in names:
            raise ValueError(self.poison)
        return [name not in known for name in names]


def events(*names: str) -> list[AlertEvent]:
    return [AlertEvent(name, "firing", 1.0, None, {}, {}, "") for name in names]


@pytest.fixture
async def table() -> Table:
    return Table()


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    it = Background()
    yield it
    await it.close()


@pytest.fixture
def door(table: Table, background: Background) -> Intake:
    return Intake(table.add, background.spawn)


async def post(door: Intake, *names: str) -> asyncio.Task[list[bool]]:
    """Posts events, and returns once they wait."""
    task = asyncio.create_task(door.add(events(*names)))
    await asyncio.sleep(0)
    return task


async def begin(door: Intake, table: Table) -> asyncio.Task[list[bool]]:
    """A first post whose transaction is under way."""
    first = await post(door, "first")
    while not table.transactions:
        await asyncio.sleep(0)
    return first


async def test_a_lone_post_waits_for_nobody(door: Intake, table: Table) -> None:
    table.open.set()
    assert await door.add(events("a", "b")) == [True, True]
    assert await door.add(events("a", "c")) == [False, True]
    assert table.transactions == [["a", "b"], ["a", "c"]]


async def test_those_that_come_during_a_transaction_share_the_next_and_each_has_its_own_answer(
    door: Intake, table: Table
) -> None:
    first = await begin(door, table)
    others = [await post(door, "a", "b"), await post(door, "first"), await post(door, "c")]
    table.open.set()
    assert await asyncio.gather(first, *others) == [[True], [True, True], [False], [True]]
    assert table.transactions == [["first"], ["a", "b", "first", "c"]]


async def test_an_empty_post_needs_no_transaction(door: Intake, table: Table) -> None:
    assert await door.add([]) == []
    assert table.transactions == []


async def test_a_store_that_is_down_is_told_to_all_who_waited_and_to_nobody_after(door: Intake, table: Table) -> None:
    first = await begin(door, table)
    second = await post(door, "a")
    table.down = True
    table.open.set()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in found] == [StorageUnavailable, StorageUnavailable]
    table.down = False
    assert await door.add(events("c")) == [True]


async def test_a_defect_that_one_post_meets_is_its_own(door: Intake, table: Table) -> None:
    first = await begin(door, table)
    others = [await post(door, "a"), await post(door, "poison"), await post(door, "c")]
    table.poison = "poison"
    table.open.set()
    found = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(one) for one in found] == [list, list, ValueError, list]
    assert table.transactions == [["first"], ["a", "poison", "c"], ["a"], ["poison"], ["c"]]


async def test_a_transaction_stays_short_but_no_post_is_too_large_for_one(door: Intake, table: Table) -> None:
    first = await begin(door, table)
    large = [f"large-{number}" for number in range(MOST_TOGETHER + 1)]
    others = [await post(door, "a"), await post(door, *large), await post(door, "b"), await post(door, "c")]
    table.open.set()
    await asyncio.gather(first, *others)
    assert [len(one) for one in table.transactions] == [1, 1, len(large), 2]


async def test_more_than_can_be_stored_in_time_is_refused_at_once(
    door: Intake, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_WAITING", 3)
    first = await begin(door, table)
    second = await post(door, "a", "b", "c")
    with pytest.raises(Overloaded):
        await door.add(events("d"))
    table.open.set()
    assert [await first, await second] == [[True], [True, True, True]]
    assert await door.add(events("d")) == [True]


async def test_a_post_larger_than_what_may_wait_is_taken_when_nothing_waits(door: Intake, table: Table) -> None:
    table.open.set()
    assert len(await door.add(events(*map(str, range(MOST_WAITING + 1))))) == MOST_WAITING + 1


async def test_a_client_that_went_away_holds_up_nobody(door: Intake, table: Table) -> None:
    first = await begin(door, table)
    gone, second = await post(door, "a"), await post(door, "b")
    gone.cancel()
    table.open.set()
    assert [await first, await second] == [[True], [True]]
    assert table.transactions == [["first"], ["a", "b"]]


async def test_whoever_waits_at_the_end_does_not_wait_for_ever(
    door: Intake, table: Table, background: Background
) -> None:
    first = await begin(door, table)
    second = await post(door, "a")
    await background.close()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError, asyncio.CancelledError]
