"""What the usage ledger promises, on both databases alike: whatever is answered is counted once, and found again."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from exporter.ledger import UsageLedger
from exporter.ledger.usage import KEEP_KEYS_SECONDS
from exporter.usage.counting import Counting
from exporter.usage.delivery import Fenced, Position, Taken
from exporter.usage.settings import Usage
from tests.contract.conftest import sql
from tests.support.counting import World, shown_text
from toolkit.storage import StorageUnavailable

SECONDS = 120.0


async def buy(one: Counting, *events: Mapping[str, Any], positions: Sequence[Position] = (), key: str = "") -> Taken:
    body = b"\n".join(json.dumps({"event": "buy", **event}).encode() for event in events)
    async with asyncio.timeout(SECONDS):
        return await one.take("http", body, "ndjson", positions, key=key)


async def shown(one: Counting) -> dict[str, float]:
    """Those that are not 0."""
    return {name: value for name, value in (await shown_text(one)).items() if value}


# of what came at one time the greatest is the last
BOUGHT = (
    {"plan": "pro", "eur": 2.5, "user": "a"},
    {"plan": "free", "eur": 0.5, "user": "b"},
    {"plan": "pro", "user": "a"},
)
SHOWN = {
    'n_total{plan="pro"}': 2,
    'n_total{plan="free"}': 1,
    "eur_total": 3,
    'size_bucket{le="1.0"}': 1,
    'size_bucket{le="10.0"}': 2,
    'size_bucket{le="+Inf"}': 2,
    "size_sum": 3,
    "size_count": 2,
    "last_eur": 2.5,
    'users{period="day"}': 2,
    'users{period="week"}': 2,
    "paid_total": 3,
    "paid_good_total": 2,
}


async def test_every_kind_of_value_is_found_again(world: World) -> None:
    one = await world.exporter()
    await buy(one, *BOUGHT)
    assert await shown(one) == SHOWN
    assert await shown(await world.exporter()) == SHOWN
    await one.fold()
    assert await sql(world.url, "SELECT count(*) FROM usage_journal") == [(0,)]
    again = await world.exporter()
    assert await shown(again) == SHOWN
    await buy(again, {"plan": "pro", "eur": 7, "user": "c"})
    later = await shown(await world.exporter())
    assert (later['n_total{plan="pro"}'], later["eur_total"], later['users{period="day"}']) == (3, 10, 3)


async def test_a_fold_that_was_cut_short_counts_nothing_twice(world: World) -> None:
    one = await world.exporter()
    await buy(one, *BOUGHT)
    kept = await sql(world.url, "SELECT seq, at FROM usage_journal")
    await one._ledger._write_pages(one.book, [0])  # and then the process died, with the journal as it was
    assert await sql(world.url, "SELECT seq, at FROM usage_journal") == kept
    again = await world.exporter()
    assert await shown(again) == SHOWN
    await buy(again, *BOUGHT)
    await again.fold()
    assert (await shown(await world.exporter()))['n_total{plan="pro"}'] == 4


async def test_a_request_with_a_key_is_counted_once(world: World) -> None:
    one = await world.exporter()
    first = await buy(one, *BOUGHT, key="k")
    assert await buy(one, *BOUGHT, key="k") == first
    assert await buy(await world.exporter(), *BOUGHT, key="k") == first
    both = await asyncio.gather(*(buy(one, *BOUGHT, key="twin") for _ in range(2)), buy(one, *BOUGHT, key="k"))
    assert both == [first] * 3
    assert await shown(one) == {
        **SHOWN,
        **{name: value * 2 for name, value in SHOWN.items() if name.split("{")[0] not in ("users", "last_eur")},
    }


async def test_thousands_of_keys_fit_into_one_commit(world: World) -> None:
    one = await world.exporter()
    taken = await asyncio.gather(*(buy(one, {}, key=f"k{number}") for number in range(9000)))
    assert len(taken) == 9000
    assert (await shown(one))["paid_total"] == 9000
    await asyncio.gather(*(buy(one, {}, key=f"k{number}") for number in range(9000)))
    assert (await shown(one))["paid_total"] == 9000


async def test_a_key_is_its_sources_own(world: World) -> None:
    one = await world.exporter()
    for source in ("web", "app"):
        await one.take(source, b'{"event": "buy"}', "json", key="k")
    assert (await shown(one))["paid_total"] == 2


async def test_old_keys_are_forgotten(world: World) -> None:
    one = await world.exporter()
    await buy(one, {}, key="old")
    world.now += KEEP_KEYS_SECONDS + 1
    await buy(one, {}, key="new")
    await one.fold()
    assert await sql(world.url, "SELECT key FROM usage_keys") == [("new",)]


async def test_a_position_moves_only_from_where_it_stands(world: World) -> None:
    one, other = await world.exporter(), await world.exporter()
    await buy(one, {}, positions=[Position("k", "0", "", "5")])
    await buy(one, {}, positions=[Position("k", "0", "5", "7"), Position("k", "1", "", "1")])
    for before in ("", "5", "6"):
        with pytest.raises(Fenced):
            await buy(other, {}, positions=[Position("k", "1", "1", "9"), Position("k", "0", before, "8")])
    assert await one.positions("k") == {"0": "7", "1": "1"}
    assert await one.positions("another") == {}
    assert (await shown(await world.exporter()))["paid_total"] == 2


async def test_of_those_that_come_together_only_the_one_that_is_behind_is_refused(world: World) -> None:
    one = await world.exporter()
    await buy(one, {}, positions=[Position("k", "0", "", "5")])
    results = await asyncio.gather(
        buy(one, {}),
        buy(one, {}, positions=[Position("k", "0", "4", "9")]),
        buy(one, {}, key="a"),
        buy(one, {}, positions=[Position("k", "0", "5", "6")]),
        buy(one, {}, positions=[Position("k", "0", "6", "7")]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Taken, Fenced, Taken, Taken, Taken]
    assert await one.positions("k") == {"0": "7"}
    assert (await shown(one))["paid_total"] == 5


async def test_what_can_not_be_stored_is_not_counted_and_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await world.exporter()
    commit, tries = UsageLedger.commit, 0

    async def failing(*given: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StorageUnavailable("full")
        await commit(*given)

    monkeypatch.setattr(UsageLedger, "commit", failing)
    with pytest.raises(StorageUnavailable):
        await buy(one, {}, key="k")
    assert await shown(one) == {}
    await buy(one, {}, key="k")
    assert (await shown(one))["paid_total"] == 1


@pytest.mark.parametrize("piece", [1000, 10], ids=["while it waits", "while it is counted in pieces"])
async def test_more_than_can_wait_is_refused_before_it_takes_memory(
    world: World, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr("exporter.usage.counting.PIECE_BYTES", piece)
    monkeypatch.setattr("exporter.usage.counting.MAX_WAITING_BYTES", 100)
    one = await world.exporter()
    results = await asyncio.gather(*(buy(one, {"n": "x" * 40}) for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, StorageUnavailable)]
    assert [error.reason for error in refused] == ["overloaded"] * len(refused)
    assert 0 < len(refused) < 5
    assert (await shown(one))["paid_total"] == 5 - len(refused)
    await buy(one, {})


async def test_series_that_nobody_speaks_of_are_kept(world: World) -> None:
    one = await world.exporter()
    await buy(one, *BOUGHT)
    one.use(Usage())
    assert await shown(one) == {}
    await one.fold()
    again = await world.exporter()
    assert await shown(again) == SHOWN


async def test_any_number_of_exporters_on_one_database_agree(postgres: str) -> None:
    async with AsyncExitStack() as exits:
        world, chance, truth = World(postgres, exits), random.Random(6), Counter[str]()
        exporters = [await world.exporter() for _ in range(3)]
        before: dict[str, float] = {}
        for _ in range(120):
            one = chance.choice(exporters)
            what = chance.random()
            if what < 0.7:
                plans = [f"p{chance.randrange(20)}" for _ in range(chance.randrange(1, 5))]
                truth.update(plans)
                await asyncio.gather(*(buy(chance.choice(exporters), {"plan": plan}) for plan in plans))
            elif what < 0.8:
                await one.fold()
            elif what < 0.85:
                exporters[exporters.index(one)] = await world.exporter()
            else:
                now = {name: value for name, value in (await shown(one)).items() if name.startswith("n_total")}
                assert now == {f'n_total{{plan="{plan}"}}': number for plan, number in truth.items()}
                assert all(now[name] >= value for name, value in before.items()), "a series fell"
                before = now
        assert truth.total() > 100


async def test_exporters_that_commit_at_once_lose_nothing(postgres: str) -> None:
    async with AsyncExitStack() as exits:
        world = World(postgres, exits)
        exporters = [await world.exporter() for _ in range(3)]
        await asyncio.gather(*(buy(one, {"plan": f"p{number % 7}"}) for number in range(40) for one in exporters))
        for one in exporters:
            assert sum(value for name, value in (await shown(one)).items() if name.startswith("n_total")) == 120
