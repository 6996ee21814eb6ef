"""Rules about keys in parts of a stream that go from one exporter to another: on both databases, each outcome is counted
once, by the time up to which a part was read."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from exporter.ledger import usage as ledger
from exporter.usage.counting import Counting
from exporter.usage.delivery import Fenced, Hold, Position
from exporter.usage.settings import Usage
from tests.contract.conftest import sql
from tests.support.counting import STREAM, Told, World, shown_text
from tests.support.processes import until
from toolkit.storage import StorageUnavailable

PART, OTHER = "kafka:shop/0 of 2", "kafka:shop/1 of 2"
MINUTE = 60.0
PATIENCE = 60.0
PAID: dict[str, Any] = {
    "name": "orders-paid",
    "key": "order",
    "after": "placed",
    "expect": "paid",
    "within": "10m",
    "metric": "paid_total",
    "help": "Orders.",
    "owner": "me",
}
USAGE = Usage.model_validate({"sequences": [PAID]})
Sent = tuple[str, str, float]
"""(event, order, when it was sent in seconds from the world's beginning)."""


class Reader:
    """Reads one part for an exporter, as a member of a consumer group does."""

    def __init__(self, world: World, one: Counting, part: str = PART) -> None:
        self._began, self._one, self._part = world.now, one, part
        self.hold, self._offset = Hold(), 0

    async def take_over(self) -> None:
        """The group has assigned the part: it is read from where the ledger says."""
        self.hold = await self._one.hold(STREAM, [self._part])
        self._offset = int((await self._one.positions(STREAM)).get(self._part, 0))

    async def read(self, *events: Sent) -> None:
        """A batch of messages."""
        records = [json.dumps({"event": event, "order": order}).encode() for event, order, _ in events]
        sent = [self._began + at for _, _, at in events]
        before, after = str(self._offset or ""), str(self._offset + len(events) + 1)
        moved = Position(STREAM, self._part, before, after)
        await self._one.take("shop", records, "records", [moved], part=self._part, sent=sent)
        self._offset = int(after)

    def reached(self, at: float) -> None:
        """All that was sent up to then has been read."""
        self.hold.until = {self._part: self._began + at}


async def reader(world: World, usage: Usage = USAGE, part: str = PART) -> Reader:
    """A new exporter that has taken the part over."""
    found = Reader(world, await world.exporter(usage), part)
    await found.take_over()
    return found


async def outcomes(one: Counting) -> dict[str, int]:
    shown = await shown_text(one)
    return {
        name.partition('"')[2].rstrip('"}'): int(number)
        for name, number in shown.items()
        if name.startswith("paid_total") and number
    }


async def told(one: Counting, expected: dict[str, int]) -> None:
    """Waits for these outcomes: time decides within a second or two."""

    async def holds() -> bool:
        return await outcomes(one) == expected

    await until(holds, f"{expected} is told", PATIENCE)


async def test_while_a_part_lags_the_time_of_its_messages_decides(world: World) -> None:
    one = await reader(world)
    begin, world.now = world.now, world.now + 3600
    await one.read(("placed", "a", 0))
    one.reached(0)
    await one.read(("placed", "b", 60))
    one.reached(60)
    await one.read(("paid", "a", 5 * MINUTE))
    one.reached(5 * MINUTE)
    await one.read(("paid", "b", 12 * MINUTE))
    assert await outcomes(one._one) == {}
    one.reached(world.now - begin)
    await told(one._one, {"completed": 1, "missed": 1, "late": 1})
    shown = await shown_text(one._one)
    assert shown['paid_seconds_sum{outcome="completed"}'] == 5 * MINUTE
    assert shown['paid_seconds_sum{outcome="late"}'] == 11 * MINUTE


async def test_time_alone_decides_in_a_part_in_which_nothing_comes(world: World) -> None:
    one = await reader(world)
    await one.read(("placed", "a", 0))
    world.now += 11 * MINUTE
    one.reached(11 * MINUTE)
    await told(one._one, {"missed": 1})


async def test_how_far_a_part_was_read_does_not_fall(world: World) -> None:
    one = await reader(world)
    world.now += 3600
    one.reached(30 * MINUTE)
    await one.read(("placed", "a", 30 * MINUTE), ("paid", "old", 29 * MINUTE))
    one.reached(20 * MINUTE)
    await one.read(("paid", "older", 25 * MINUTE))
    assert await outcomes(one._one) == {"untimely": 2}


async def test_each_part_goes_by_its_own_time(world: World) -> None:
    exporter = await world.exporter(USAGE)
    hold = await exporter.hold(STREAM, [PART, OTHER])
    for part in (PART, OTHER):
        body = [b'{"event": "placed", "order": "a"}']
        await exporter.take("shop", body, "records", part=part, sent=[world.now])
    hold.until = {PART: world.now + 5 * MINUTE, OTHER: world.now + 11 * MINUTE}
    await told(exporter, {"missed": 1})
    await exporter.take("shop", [b"{}"], "records", part=PART, sent=[world.now])
    assert await outcomes(exporter) == {"missed": 1}


async def test_another_exporter_takes_up_what_was_remembered_and_gives_it_back(world: World) -> None:
    one, other = await reader(world), await reader(world)
    world.now += 120
    await one.take_over()
    await one.read(("placed", "a", 0), ("placed", "b", 0))
    await other.take_over()
    await other.read(("paid", "a", 30), ("placed", "c", 30))
    await one.take_over()
    await one.read(("paid", "b", 60), ("paid", "c", 60))
    one.reached(120)
    await told(one._one, {"completed": 3})


async def test_who_was_taken_for_dead_decides_nothing_any_more(world: World) -> None:
    dead = await reader(world)
    await dead.read(("placed", "a", 0), ("placed", "b", 0))
    other = await reader(world)
    world.now += 11 * MINUTE
    await other.read(("paid", "a", 30))
    dead.reached(11 * MINUTE)
    await until(lambda: dead.hold.lost, "its position has moved on", PATIENCE)
    assert await outcomes(dead._one) == {}
    with pytest.raises(Fenced):
        await dead.read(("paid", "b", 40))
    other.reached(11 * MINUTE)
    await told(other._one, {"completed": 1, "missed": 1})


async def test_what_was_released_decides_nothing_until_it_is_taken_up_again(world: World) -> None:
    one = await reader(world)
    await one.read(("placed", "a", 0))
    hold = one.hold
    one._one.release(STREAM)
    hold.until = {PART: world.now + 11 * MINUTE}
    with pytest.raises(Fenced):
        await one.read(("paid", "a", 1))
    assert await outcomes(one._one) == {}
    await one.take_over()
    await one.read(("paid", "a", 1))
    one.reached(11 * MINUTE)
    await told(one._one, {"completed": 1})


async def test_a_commit_whose_end_nobody_saw_decides_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await reader(world)
    await one.read(("placed", "a", 0))
    commit, seen = one._one._ledger.commit, list[bool]()

    async def unseen(*given: Any) -> None:
        await commit(*given)
        if not seen:
            seen.append(True)
            raise StorageUnavailable("io")

    monkeypatch.setattr(one._one._ledger, "commit", unseen)
    world.now += 13 * MINUTE
    one.reached(11 * MINUTE)
    await until(lambda: one.hold.lost, "it is not known what is remembered", PATIENCE)
    await one.take_over()
    await one.read(("paid", "a", 12 * MINUTE))
    one.reached(13 * MINUTE)
    await told(one._one, {"missed": 1, "late": 1})


class Paused:
    """A takeover that stands still behind its first pages of one row each, until `goes_on` is set."""

    def __init__(self, patched: pytest.MonkeyPatch, taker: Reader, pages: int) -> None:
        self._patched, self._memory = patched, taker._one._ledger.memory
        self._left, self.begun, self.goes_on = pages, asyncio.Event(), asyncio.Event()
        patched.setattr(ledger, "ROWS_AT_ONCE", 1)
        patched.setattr(taker._one._ledger, "memory", self._pages)
        self.taking = asyncio.create_task(taker.take_over())

    async def _pages(self, parts: Any) -> AsyncIterator[Any]:
        async for page in self._memory(parts):
            yield page
            self._left -= 1
            if self._left <= 0:
                self.begun.set()
                await self.goes_on.wait()

    async def end(self) -> None:
        """Lets it go on to its end, whatever that is."""
        self.goes_on.set()
        await asyncio.gather(self.taking, return_exceptions=True)
        self._patched.undo()


@pytest.fixture
async def paused(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Awaitable[Paused]]]:
    """Begins a takeover and waits until it stands still behind so many pages."""
    every = list[Paused]()

    async def begin(taker: Reader, pages: int = 1) -> Paused:
        every.append(Paused(monkeypatch, taker, pages))
        await every[-1].begun.wait()
        return every[-1]

    yield begin
    for one in every:
        await one.end()


Pause = Callable[..., Awaitable[Paused]]
THREE = [("placed", "a", 0.0), ("placed", "B", 0.0), ("placed", "é", 0.0)]


@pytest.mark.parametrize("how", ["it is cancelled", "it is released"])
async def test_a_takeover_that_was_given_up_leaves_nothing(world: World, paused: Pause, how: str) -> None:
    one, other = await reader(world), await reader(world)
    await other.read(*THREE)
    takeover = await paused(one)
    assert one._one.watching.sizes() == {"orders-paid": 1}
    if how == "it is cancelled":
        takeover.taking.cancel()
    else:
        one._one.release(STREAM)
    await takeover.end()
    assert one._one.watching.sizes() == {"orders-paid": 0}
    with pytest.raises(Fenced):
        await one.read(("paid", "a", 1))


@pytest.mark.parametrize("page", [1, 2, 7, 1000])
async def test_a_takeover_reads_all_keys_whatever_a_page_holds(
    world: World, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(ledger, "ROWS_AT_ONCE", page)
    both = Usage.model_validate({"sequences": [PAID, {**PAID, "name": "orders-kept", "metric": "kept_total"}]})
    first = await world.exporter(both)
    await first.hold(STREAM, [PART, OTHER])
    orders = [*"aAbBéÉ_~ /", "%", "aa", "a b", "ß", "ss", "\U0001f600", "\x01", "'", '"']
    for part in (PART, OTHER):
        records = [json.dumps({"event": "placed", "order": order}).encode() for order in orders]
        await first.take("shop", records, "records", part=part, sent=[world.now] * len(records))
    second = await world.exporter(both)
    await second.hold(STREAM, [PART, OTHER])
    assert sorted(second.watching.rows()) == sorted(first.watching.rows())


async def test_others_count_while_a_takeover_reads(world: World, paused: Pause) -> None:
    one, other = await reader(world), await reader(world)
    await other.read(*THREE)
    takeover = await paused(one)
    if one._one.shared:
        waiting = "select 1 from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"
        assert await sql(world.url, waiting) == []
    async with asyncio.timeout(PATIENCE):
        assert (await one._one.take("http", b'{"event": "placed", "order": "x"}', "json")).events == 1
    world.now += 11 * MINUTE
    with pytest.raises(Fenced):
        await one._one.take("shop", [b'{"event": "paid", "order": "B"}'], "records", part=PART, sent=[world.now])
    await takeover.end()
    assert not one.hold.lost
    await one.read(("paid", "a", 1), ("paid", "B", 1), ("paid", "é", 1))
    one.reached(11 * MINUTE)
    expected = {"completed": 3} if one._one.shared else {"completed": 3, "missed": 1}
    await told(one._one, expected)


async def test_a_part_that_is_taken_over_twice_at_once_is_taken_up_by_the_later(world: World, paused: Pause) -> None:
    one, other = await reader(world), await reader(world)
    await other.read(*THREE)
    takeover = await paused(one)
    later = Reader(world, one._one)
    holds, first = one._one._keeping._holds, one._one._keeping._holds[STREAM]
    taking = asyncio.create_task(later.take_over())
    await until(lambda: holds[STREAM] is not first, "the later has begun", PATIENCE)
    await takeover.end()
    await taking
    assert (one.hold.lost, later.hold.lost) == (True, False)
    await later.read(("paid", "a", 1), ("paid", "B", 1), ("paid", "é", 1))
    later.reached(11 * MINUTE)
    await told(one._one, {"completed": 3})


async def test_rules_that_change_while_a_takeover_reads_begin_with_all_keys(world: World, paused: Pause) -> None:
    one, other = await reader(world), await reader(world)
    await other.read(*THREE)
    takeover = await paused(one)
    one._one.use(Usage.model_validate({"sequences": [{**PAID, "help": "Else."}]}))
    await takeover.end()
    assert one.hold.lost
    assert one._one.watching.sizes() == {"orders-paid": 0}
    await one.take_over()
    assert one._one.watching.sizes() == {"orders-paid": 3}


async def test_keys_that_have_to_go_while_a_takeover_reads_are_gone_for_good(world: World, paused: Pause) -> None:
    few = Usage.model_validate({"sequences": [{**PAID, "max_keys": 2}]})
    one, other = await reader(world, few, OTHER), await reader(world)
    one._one.release(STREAM)
    await one._one.hold("kafka:else", [OTHER])
    await other.read(*THREE)
    taker = Reader(world, one._one)
    takeover = await paused(taker, 2)
    placed = [b'{"event": "placed", "order": "x"}']
    await one._one.take("shop", placed, "records", part=OTHER, sent=[world.now])
    assert await outcomes(one._one) == {"evicted": 1}
    await takeover.end()
    assert not taker.hold.lost
    await taker.read(("paid", "a", 1), ("paid", "B", 1), ("paid", "é", 1))
    assert sum(one._one.watching.sizes().values()) == 2
    [(rows,)] = await sql(world.url, "select count(*) from usage_memory where key <> ''")
    assert rows == 2


async def test_rules_that_come_with_a_reload_begin_once_the_parts_are_taken_up(world: World) -> None:
    one = await reader(world, Usage())
    assert not one.hold.watched
    await one.read(("placed", "a", 0))
    one._one.use(USAGE)
    with pytest.raises(Fenced):
        await one.read(("placed", "b", 1))
    assert one.hold.lost
    await one.take_over()
    assert one.hold.watched
    await one.read(("placed", "b", 1), ("paid", "b", 2))
    one._one.use(Usage.model_validate({"sequences": [{**PAID, "metric": "paid_total", "help": "Else."}]}))
    await one.read(("placed", "c", 3))
    one.reached(11 * MINUTE)
    await told(one._one, {"completed": 1, "missed": 1})


async def test_rules_that_went_and_came_back_know_what_was_stored(world: World) -> None:
    one = await reader(world)
    world.now += 60
    await one.read(("placed", "a", 0))
    for usage in (Usage(), USAGE):
        one._one.use(usage)
        assert one.hold.lost
    with pytest.raises(Fenced):
        await one.read(("paid", "a", 1))
    await one.take_over()
    await one.read(("paid", "a", 1))
    one.reached(60)
    await told(one._one, {"completed": 1})


async def test_what_comes_another_way_stands_apart(world: World) -> None:
    one = await reader(world)
    await one.read(("placed", "a", 0))
    await one._one.take("http", b'{"event": "paid", "order": "a"}', "json")
    world.now += 11 * MINUTE
    one.reached(11 * MINUTE)
    metrics = one._one._metrics
    assert isinstance(metrics, Told)
    if one._one.shared:
        await told(one._one, {"missed": 1})
        assert metrics.without_part == {"orders-paid": 1}
    else:
        await told(one._one, {"missed": 1, "unexpected": 1})
        assert not metrics.without_part


async def test_an_events_own_time_is_believed_before_its_messages(world: World) -> None:
    at = {"field": "at", "lateness": "1d"}
    fields = {"order": {}, "at": {"type": "timestamp"}}
    events = [{"name": name, "fields": fields, "time": at} for name in ("placed", "paid")]
    exporter = await world.exporter(Usage.model_validate({"sequences": [PAID], "events": events}))
    hold = await exporter.hold(STREAM, [PART])
    records: Sequence[bytes] = [
        b'{"event": "placed", "order": "a", "at": "2023-11-14T22:13:20Z"}',
        b'{"event": "paid", "order": "a", "at": "2023-11-14T22:13:27Z"}',
    ]
    await exporter.take("shop", records, "records", part=PART, sent=[world.now + 8, world.now + 9])
    hold.until = {PART: world.now + MINUTE}
    await told(exporter, {"completed": 1})
    assert (await shown_text(exporter))['paid_seconds_sum{outcome="completed"}'] == 7


async def test_lines_count_as_sent_with_their_messages(world: World) -> None:
    logs = [{"name": "shop", "patterns": [{"event": "placed", "pattern": r"placed (?P<order>\w+)"}]}]
    exporter = await world.exporter(Usage.model_validate({"sequences": [PAID], "logs": logs}))
    hold = await exporter.hold(STREAM, [PART])
    world.now += 3600
    messages = [b"else\nplaced a", b"placed b\nplaced c"]
    await exporter.take("shop", messages, "lines", part=PART, sent=[world.now - 3000, world.now - 2000])
    for sent, missed in ((3000, 1), (2000, 3)):
        hold.until = {PART: world.now - sent + 11 * MINUTE}
        await told(exporter, {"missed": missed})


async def test_an_event_that_waited_is_as_old_as_it_was_when_it_was_sent(world: World) -> None:
    contract = {"name": "placed", "fields": {"at": {"type": "timestamp"}}, "time": {"field": "at", "lateness": "1h"}}
    counts = {"name": "n", "metric": "n_total", "help": "N.", "event": "placed", "owner": "me"}
    exporter = await world.exporter(Usage.model_validate({"events": [contract], "rules": [counts]}))
    world.now += 24 * 3600
    records = [json.dumps({"event": "placed", "at": at}).encode() for at in ("2023-11-14T22:13:20Z",) * 2]
    sent = [world.now - 24 * 3600, world.now - 12 * 3600]
    taken = await exporter.take("shop", records, "records", part=PART, sent=sent)
    assert [reject.position for reject in taken.rejects] == [2]
    assert (await shown_text(exporter))["n_total"] == 1


async def test_many_parts_are_all_looked_at(world: World) -> None:
    exporter = await world.exporter(USAGE)
    parts = [f"kafka:shop/{number} of 40" for number in range(40)]
    hold = await exporter.hold(STREAM, parts)
    placed = [b'{"event": "placed", "order": "a"}']
    await asyncio.gather(*(exporter.take("shop", placed, "records", part=part, sent=[world.now]) for part in parts))
    hold.until = dict.fromkeys(parts, world.now + 11 * MINUTE)
    await told(exporter, {"missed": 40})
