"""Rules about keys on a real ledger: what they decide is counted once, and what they remember survives."""

import asyncio
import json
from typing import Any

import pytest

from exporter.usage.settings import Usage
from tests.support.counting import PART, World, shown_text, written
from toolkit.storage import StorageUnavailable

PAID = {
    "name": "orders-paid",
    "key": "order_id",
    "after": "placed",
    "expect": "paid",
    "within": "10m",
    "lateness": "0s",
    "metric": "orders_paid_total",
    "help": "Orders.",
    "labels": {"plan": ["pro"]},
    "owner": "me",
}
QUIET = {
    "name": "quiet",
    "key": "tenant",
    "silent": ["placed"],
    "for": "1h",
    "lateness": "0s",
    "metric": "quiet_total",
    "help": "Q.",
    "owner": "me",
}
USAGE = Usage.model_validate({"sequences": [PAID, QUIET]})


def placed(order: str, tenant: str = "t") -> str:
    return f'{{"event": "placed", "order_id": "{order}", "plan": "pro", "tenant": "{tenant}"}}'


def paid(order: str) -> str:
    return f'{{"event": "paid", "order_id": "{order}"}}'


async def counts(one: Any) -> dict[str, float]:
    return {name: value for name, value in (await shown_text(one)).items() if value and "bucket" not in name}


async def test_what_comes_of_keys_is_counted_over_restarts(world: World) -> None:
    one = await world.exporter(USAGE)
    await world.send(one, placed("a"), placed("b"))
    await world.send(one, paid("a"))
    await world.send(one)
    assert (await counts(one))['orders_paid_total{outcome="completed",plan="pro"}'] == 1
    again = await world.exporter(USAGE)
    world.now += 601
    await world.send(again)
    await world.send(again, paid("c"))
    await world.send(again)
    found = await counts(again)
    assert found['orders_paid_total{outcome="completed",plan="pro"}'] == 1
    assert found['orders_paid_total{outcome="missed",plan="pro"}'] == 1
    assert found['orders_paid_total{outcome="unexpected",plan="other"}'] == 1
    assert found['orders_paid_seconds_count{outcome="completed",plan="pro"}'] == 1
    assert found['orders_paid_seconds_sum{outcome="completed",plan="pro"}'] == 1
    world.now += 3601
    third = await world.exporter(USAGE)
    await world.send(third)
    await world.send(third)
    assert (await counts(third))['quiet_total{outcome="silent"}'] == 1


async def test_a_commit_that_fails_decides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await world.exporter(USAGE)
    await world.send(one, placed("a"))
    commit, fails = one._ledger.commit, True

    async def failing(*given: Any) -> None:
        if fails:
            raise StorageUnavailable("full")
        await commit(*given)

    monkeypatch.setattr(one._ledger, "commit", failing)
    with pytest.raises(StorageUnavailable):
        await world.send(one, paid("a"))
    fails = False
    await world.send(one)
    world.now += 601
    await world.send(one)
    await world.send(one)
    found = await counts(one)
    assert 'orders_paid_total{outcome="completed",plan="pro"}' not in found
    assert found['orders_paid_total{outcome="missed",plan="pro"}'] == 1


async def test_a_reload_keeps_what_unchanged_rules_remember(world: World) -> None:
    one = await world.exporter(USAGE)
    await world.send(one, placed("a", "t1"), placed("b", "t2"))
    one.use(Usage.model_validate({"sequences": [{**PAID, "metric": "renamed_total"}]}))
    await world.send(one, paid("a"))
    one.use(USAGE)
    await world.send(one, paid("b"))
    await world.send(one)
    assert (await counts(one))['orders_paid_total{outcome="completed",plan="pro"}'] == 2


OTHERS: dict[str, list[dict[str, Any]]] = {
    "changed": [{**PAID, "within": "20m"}, QUIET],
    "gone": [QUIET],
    "all gone": [],
}


@pytest.mark.parametrize("between", [["changed"], ["gone"], ["changed", "all gone"], ["changed", "gone"]], ids=str)
async def test_a_rule_that_is_back_before_anything_was_stored_goes_on_with_what_it_remembers(
    world: World, between: list[str]
) -> None:
    one = await world.exporter(USAGE)
    await world.send(one, placed("a"), placed("b"))
    for usage in [*(Usage.model_validate({"sequences": OTHERS[name]}) for name in between), USAGE]:
        one.use(usage)
    await world.send(one, paid("a"))
    await world.send(one)
    again = await world.exporter(USAGE)
    await world.send(again, paid("b"))
    await world.send(again)
    assert (await counts(again))['orders_paid_total{outcome="completed",plan="pro"}'] == 2


@pytest.mark.parametrize("other", ["changed", "gone"])
async def test_a_rule_that_is_back_after_another_was_stored_knows_none_of_its_keys(world: World, other: str) -> None:
    one = await world.exporter(USAGE)
    await world.send(one, placed("a"))
    one.use(Usage.model_validate({"sequences": OTHERS[other]}))
    await world.send(one, placed("b"))
    one.use(USAGE)
    await world.send(one, paid("a"))
    await world.send(one)
    again = await world.exporter(USAGE)
    await world.send(again, paid("b"))
    await world.send(again)
    assert (await counts(again))['orders_paid_total{outcome="unexpected",plan="other"}'] == 2


async def test_a_rule_that_is_renamed_while_a_commit_is_under_way_has_its_new_name_from_the_next(world: World) -> None:
    one = await world.exporter(USAGE)
    async with one._book_lock:  # as a commit holds it
        one.use(Usage.model_validate({"sequences": [{**PAID, "metric": "renamed_total"}]}))
        assert 'orders_paid_total{outcome="missed",plan="pro"}' in written(one)
    await world.send(one)
    assert {name.partition("{")[0] for name in written(one)} == {
        "renamed_total",
        *(f"renamed_seconds_{part}" for part in ("bucket", "sum", "count")),
    }


@pytest.mark.parametrize("key", ["a\0b", "ä" * 251], ids=["with a NUL", "of 502 bytes"])
async def test_a_key_that_no_database_holds_is_none_and_spoils_no_other(world: World, key: str) -> None:
    one = await world.exporter(USAGE)
    bad = {"event": "placed", "order_id": key, "plan": "pro", "tenant": "t"}
    await world.send(one, placed("a"), json.dumps(bad), placed("ä" * 250))
    world.now += 601
    await world.send(one)
    await world.send(one)
    found = await counts(one)
    assert found['orders_paid_total{outcome="keyless",plan="pro"}'] == 1
    assert found['orders_paid_total{outcome="missed",plan="pro"}'] == 2


async def test_what_was_tallied_by_earlier_rules_makes_those_in_force_forget_no_key(world: World) -> None:
    one = await world.exporter(USAGE)
    await world.send(one, placed("a", "t1"))
    async with one._book_lock:  # as a commit holds it
        one.use(Usage.model_validate({"sequences": [{**PAID, "within": "20m"}, QUIET]}))
        earlier = asyncio.create_task(
            one.take("shop", placed("b", "t2").encode(), "ndjson", part=PART if one.shared else "")
        )
        await asyncio.sleep(0)  # it is tallied by these
        one.use(USAGE)
    await earlier
    await world.send(one, paid("a"))
    world.now += 3601
    await world.send(one)
    await world.send(one)
    found = await counts(one)
    assert found['orders_paid_total{outcome="completed",plan="pro"}'] == 1
    assert 'orders_paid_total{outcome="missed",plan="pro"}' not in found, "another rule saw it"
    assert found['quiet_total{outcome="silent"}'] == 2, "the rule that did not change saw both"


async def test_of_a_body_that_is_rejected_nothing_is_seen(world: World) -> None:
    usage = Usage.model_validate(
        {
            "sequences": [PAID],
            "events": [
                {"name": "placed", "fields": {"order_id": {"required": True}, "plan": {"values": ["pro"]}}},
                {"name": "paid", "fields": {"order_id": {}}},
            ],
        }
    )
    one = await world.exporter(usage)
    await world.send(
        one,
        '{"event": "placed", "order_id": 7}',
        '{"event": "placed", "order_id": "x", "plan": "free"}',
        placed("ok"),
    )
    world.now += 601
    await world.send(one)
    await world.send(one)
    assert (await counts(one)) == {'orders_paid_total{outcome="missed",plan="pro"}': 1}
