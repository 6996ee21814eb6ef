"""A defect that one event brings to light is that event's: whatever comes beside it is counted once, and the work
goes on. Every row breaks the program in another place, for events that say `poison`."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from exporter.ledger import UsageLedger
from exporter.ledger.usage import Astray
from exporter.usage import engine, measures, rules
from exporter.usage.book import Book, Shelf
from exporter.usage.counting import Counting
from exporter.usage.delivery import Delivery, Fenced, Hold, Position, Taken
from exporter.usage.sequences import keys
from exporter.usage.settings import Usage
from exporter.usage.sifting import SPAN, Attempt, Sieve
from exporter.usage.tally import Tally
from exporter.usage.watching import Watching
from tests.contract.conftest import AUTH, StartExporter
from tests.support.counting import PART, STREAM, World, shown_text
from tests.support.processes import until
from toolkit.storage import StorageUnavailable

SECONDS = 60.0
USAGE: dict[str, Any] = {
    "rules": [
        {"name": name, "metric": metric, "help": "H.", "event": "buy", "owner": "me", **more}
        for name, metric, more in (
            ("all", "all_total", {"exemplar": "trace"}),
            ("plans", "plans_total", {"labels": {"plan": ["free", "poison"]}}),
            ("users", "users", {"kind": "distinct", "identity": "user"}),
        )
    ],
}
KEYS: dict[str, Any] = {
    "sequences": [
        {
            "name": "guesses",
            "key": "user",
            "more_than": 2,
            "of": "buy",
            "within": "1m",
            "lateness": "0s",
            "metric": "guesses_total",
            "help": "G.",
            "labels": {"plan": ["free", "poison"]},
            "owner": "me",
        }
    ]
}


ORDERS: dict[str, Any] = {
    "rules": [
        {
            "name": "orders",
            "metric": "orders_total",
            "help": "O.",
            "event": "placed",
            "labels": {"plan": {}},
            "owner": "me",
        }
    ],
    "sequences": [
        {
            "name": "orders-paid",
            "key": "order",
            "after": "placed",
            "expect": "paid",
            "within": "10m",
            "metric": "paid_total",
            "help": "P.",
            "owner": "me",
        }
    ],
}


class Defect(Exception):
    """What nobody foresaw."""


Breaker = Callable[[pytest.MonkeyPatch], None]


def _breaks(place: Any, name: str, is_poison: Callable[..., bool]) -> Breaker:
    def broken(monkeypatch: pytest.MonkeyPatch) -> None:
        sound = getattr(place, name)

        def poisoned(*given: Any, **named: Any) -> Any:
            if is_poison(*given):
                raise Defect("poison")
            return sound(*given, **named)

        monkeypatch.setattr(place, name, poisoned)

    return broken


def _holds_poison(_: object, __: object, entry: Any, *___: object) -> bool:
    return any(series.labels == ("poison",) and series.shelf.rule == "plans" for series in entry.deltas)


def sifted(counter: engine.Engine, delivery: Delivery, attempt: Attempt = lambda _: None) -> Tally:
    sieve = Sieve(counter, delivery, 0.0, attempt)
    while sieve.step():
        pass
    return sieve.tally


def _says_poison(value: object, *_: object) -> bool:
    return value == "poison"


PLACES = [
    ("where labels are made", _breaks(rules, "text_of", _says_poison), {}, False),
    ("where values are measured", _breaks(measures, "sketch", lambda users, _: "poison" in users), {}, False),
    ("where exemplars are picked", _breaks(measures, "Exemplar", _says_poison), {}, False),
    ("where keys are watched", _breaks(keys, "waiting", lambda *given: given[2].labels == ("poison",)), KEYS, False),
    ("where it is stored, so that the whole delivery is refused", _breaks(UsageLedger, "_store", _holds_poison), {}, True),
]  # fmt: skip


def event(plan: str) -> dict[str, Any]:
    return {"event": "buy", "plan": plan, "user": plan, "trace": plan}


def body(*plans: str) -> bytes:
    return b"\n".join(json.dumps(event(plan)).encode() for plan in plans)


async def take(one: Counting, *plans: str, positions: Sequence[Position] = (), key: str = "", part: str = "") -> Taken:
    async with asyncio.timeout(SECONDS):
        return await one.take("http", body(*plans), "ndjson", positions, key=key, part=part)


async def part_of(one: Counting) -> str:
    """Where rules about keys see what comes: to a shared ledger, in a part that is held."""
    if one.shared:
        await one.hold(STREAM, [PART])
    return PART if one.shared else ""


def _at(before: str, after: str) -> list[Position]:
    return [Position("kafka:shop", "orders/0", before, after)]


@pytest.mark.parametrize(("broken", "more", "whole"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
async def test_one_poisoned_event_neither_ends_the_work_nor_spoils_its_neighbours(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: Breaker, more: dict[str, Any], whole: bool
) -> None:
    one = await world.exporter(Usage.model_validate({**USAGE, **more}))
    part = await part_of(one)
    broken(monkeypatch)
    found = await asyncio.gather(
        take(one, "free", part=part),
        take(one, "free", "poison", "free", positions=_at("", "3"), key="mixed", part=part),
        take(one, "poison", key="alone", part=part),
        *(take(one, "free", key=f"k{number}", part=part) for number in range(6)),
    )
    await take(one, "free", positions=_at("3", "4"), part=part)
    assert [taken.rejected for taken in found] == [0, 1, 1, *[0] * 6]
    assert [taken.is_refused for taken in found] == [False, whole, True, *[False] * 6]
    good = 8 if whole else 10
    assert await one.positions("kafka:shop") == {"orders/0": "4"}
    assert (await shown_text(one))["all_total"] == good
    assert one.rejects()["defect"]["count"] == 2
    assert "poison" in one.rejects()["defect"]["samples"][0]["sample"]

    monkeypatch.undo()  # the defect is mended
    again = await world.exporter(Usage.model_validate({**USAGE, **more}))
    assert (await shown_text(again))["all_total"] == good
    await part_of(again)
    await take(again, "poison", key="alone", part=part)  # what was refused may come again
    await take(again, "free", key="k0", part=part)
    assert (await shown_text(again))["all_total"] == good + 1


@pytest.mark.parametrize(("broken", "more"), [row[1:3] for row in PLACES], ids=[row[0] for row in PLACES])
async def test_a_request_that_is_repeated_is_answered_as_it_was_though_a_defect_refuses_it_now(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: Breaker, more: dict[str, Any]
) -> None:
    sound = await world.exporter(Usage.model_validate({**USAGE, **more}))
    counted = await take(sound, "poison", key="counted", part=await part_of(sound))
    one = await world.exporter(Usage.model_validate({**USAGE, **more}))
    part = await part_of(one)
    broken(monkeypatch)
    new = [await take(one, "poison", key="new", part=part) for _ in range(2)]
    together = await asyncio.gather(*(take(one, "poison", key=key, part=part) for key in ("counted", "new", "counted")))
    assert (counted.events, counted.rejected) == (1, 0)
    assert together == [counted, new[0], counted]
    assert [taken.is_refused for taken in new] == [True, True]
    assert (await shown_text(one))["all_total"] == 1


async def test_what_keys_remember_is_as_if_the_poisoned_event_had_never_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await world.exporter(Usage.model_validate({**USAGE, **KEYS}))
    hold = await one.hold(STREAM, [PART])
    await take(one, "free", part=PART)
    before = dict(one.watching.rows())
    _breaks(keys, "waiting", lambda *given: given[2].labels == ("poison",))(monkeypatch)
    assert (await take(one, "poison", part=PART)).is_refused
    assert dict(one.watching.rows()) == before
    assert (await take(one, "poison", "free", part=PART)).defects == 1
    for bursts in (0, 1):
        world.now += 2
        hold.until = {PART: world.now}
        await take(one, part=PART)
        counted = await shown_text(one)
        assert counted['guesses_total{outcome="burst",plan="free"}'] == bursts
        assert counted['guesses_total{outcome="burst",plan="poison"}'] == 0
        await take(one, "free", part=PART)
        world.now += 2
        hold.until = {PART: world.now}
        await take(one, part=PART)


def test_keys_that_were_due_when_a_defect_struck_are_due_when_it_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(Usage.model_validate(KEYS).sequences, Book(), 0.0)
    seen = [("guesses", "buy", str(number), ("free",), 100.0) for number in range(20) for _ in range(3)]
    watching.look({PART: seen}, {PART: 100.0}, 100.0)
    watching.changes()
    watching.committed()
    _breaks(keys, "settle", lambda *_: next(calls) == 10)(monkeypatch)
    calls = iter(range(100))
    with pytest.raises(Defect):
        watching.look({}, {PART: 102.0}, 102.0)
    watching.undo()
    monkeypatch.undo()
    assert list(watching.look({}, {PART: 102.0}, 102.0).values()) == [20]


async def test_what_waits_while_a_rule_about_keys_goes_is_counted_all_the_same(world: World) -> None:
    one = await world.exporter(Usage.model_validate({**USAGE, **KEYS}))
    taken = asyncio.create_task(take(one, "free"))
    await asyncio.sleep(0)  # it is tallied by the old rules
    one.use(Usage.model_validate(USAGE))
    assert (await taken).rejected == 0
    assert (await shown_text(one))["all_total"] == 1


@pytest.mark.parametrize("when", ["while it is decoded", "while it is stored"])
async def test_a_poisoned_record_leaves_the_others_the_times_at_which_they_were_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    one = await world.exporter(Usage.model_validate(ORDERS))
    hold = await one.hold(STREAM, [PART])
    _breaks(rules if when == "while it is decoded" else engine, "text_of", _says_poison)(monkeypatch)
    orders = [("placed", "a"), ("placed", "poison"), ("placed", "poison"), ("placed", "b"), ("paid", "a")]
    records = [json.dumps({"event": event, "order": order, "plan": order}).encode() for event, order in orders]
    sent = [world.now + at for at in (0, 1, 2, 3, 7)]
    async with asyncio.timeout(SECONDS):
        taken = await one.take("shop", records, "records", part=PART, sent=sent)
    assert (taken.events, [reject.position for reject in taken.rejects]) == (3, [2, 3])
    world.now += 3600
    hold.until = {PART: world.now}
    await until(lambda: _has(one, 'paid_total{outcome="missed"}', 1), "b is missed", SECONDS)
    assert (await shown_text(one))['paid_seconds_sum{outcome="completed"}'] == 7


def test_of_messages_of_lines_the_poisoned_is_found_and_the_others_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = {"event": "buy", "pattern": r"plan=(?P<plan>\w+)"}
    logs = [{"name": "shop", "multiline": {"begins": r"^\d"}, "patterns": [pattern]}]
    counter = engine.Engine(Usage.model_validate({**USAGE, "logs": logs}), Book(), 0.0)
    _breaks(rules, "text_of", _says_poison)(monkeypatch)
    messages = [b"1\nplan=free", b"plan=free\n", b"2\nplan=poison", b"plan=free"]
    tally = sifted(counter, Delivery("shop", messages, "lines", part=PART))
    assert (tally.events, tally.lines, [reject.position for reject in tally.rejects]) == (3, 3, [3])


def test_an_event_on_whose_labels_a_rule_breaks_makes_no_series_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        {**USAGE["rules"][1], "name": name, "metric": f"{name}_total", "labels": {name: {}}}
        for name in ("user", "plan")
    ]
    counter = engine.Engine(Usage.model_validate({"rules": both}), Book(), 0.0)
    _breaks(rules, "text_of", _says_poison)(monkeypatch)
    poisoned = [json.dumps({"event": "buy", "user": "u1", "plan": plan}).encode() for plan in ("poison", "free")]
    tally = sifted(counter, Delivery("http", poisoned[:1], "records"))
    assert tally.rejected == {"defect": 1}
    assert not any(shelf.series for rule in counter.rules for shelf in rule.shelves)
    assert sifted(counter, Delivery("http", poisoned, "records")).events == 1


def test_a_series_that_could_not_be_made_once_makes_no_other_rule_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = {"name": "buy", "about": "B.", "owner": "me", "fields": {"user": {"type": "string", "required": True}}}
    counter = engine.Engine(Usage.model_validate({**USAGE, "events": [contract]}), Book(), 0.0)
    _breaks(Shelf, "find", lambda shelf, *_: shelf.rule == "plans" and next(calls) == 0)(monkeypatch)
    calls = iter(range(100))
    with pytest.raises(Defect):
        counter.count(counter.begin("http", 0.0), body("free"), "ndjson")
    tally = sifted(counter, Delivery("http", body("free"), "ndjson"))
    deltas, _ = counter.deltas([tally])
    assert {series.shelf.rule: delta for series, delta in deltas.items() if series.shelf.rule != "users"} == {
        "all": 1,
        "plans": 1,
    }


def test_what_is_tried_has_the_times_with_which_it_will_be_counted() -> None:
    counter, tried = engine.Engine(Usage.model_validate(ORDERS), Book(), 0.0), list[list[float]]()

    def attempt(tally: Tally) -> None:
        tried.append(list(tally.dates.values()))
        if len(tally.dates) > 1:
            raise Defect

    records = [b'{"event": "placed", "order": "a"}'] * 3
    tally = sifted(counter, Delivery("shop", records, "records", part=PART, sent=[1.0, 2.0, 3.0]), attempt)
    assert tried == [[1.0, 2.0, 3.0], [1.0, 2.0], [1.0], [2.0], [3.0]]
    assert list(tally.dates.values()) == [1.0, 2.0, 3.0]


async def _has(one: Counting, sample: str, value: float) -> bool:
    return (await shown_text(one))[sample] == value


async def test_a_part_that_is_lost_while_its_delivery_is_sifted_is_no_defect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await world.exporter(Usage.model_validate({**USAGE, **KEYS}))
    await one.hold(STREAM, [PART])

    def broken(users: Any, _: object) -> bool:
        if next(calls) == 2:  # each of both is looked at in the commit, and then while it is sifted
            one.release(STREAM)
            taken_up.append(asyncio.ensure_future(one.hold(STREAM, [PART])))
        return "poison" in users

    calls, taken_up = iter(range(100)), list[asyncio.Future[Hold]]()
    _breaks(measures, "sketch", broken)(monkeypatch)
    with pytest.raises(Fenced):
        await take(one, "free", "poison", part=PART)
    await taken_up[0]
    assert one.rejects() == {}
    assert (await take(one, "free", "poison", part=PART)).defects == 1
    assert (await shown_text(one))["all_total"] == 1


@pytest.mark.parametrize("part", [PART, "kafka:shop/1 of 2"], ids=["in its part", "in another part"])
async def test_what_breaks_by_time_alone_is_no_deliverys_defect(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    one = await world.exporter(Usage.model_validate(ORDERS))
    hold = await one.hold(STREAM, {PART, part})
    placed = [b'{"event": "placed", "order": "a"}']
    await one.take("shop", placed, "records", part=PART, sent=[world.now])
    _breaks(keys, "settle", lambda *_: True)(monkeypatch)
    world.now += 3600
    hold.until = {PART: world.now}
    if part != PART:
        one._keeping.turn()
    with pytest.raises(Defect):
        await one.take("shop", placed, "records", part=part, sent=[world.now])
    with pytest.raises(Defect):
        await world.end_of(one)
    assert one.rejects() == {}


async def test_what_waits_while_its_fields_change_goes_by_the_times_that_it_was_read_with(world: World) -> None:
    at = {"field": "at", "lateness": "1d"}
    fields = {"order": {}, "plan": {}, "at": {"type": "timestamp"}}
    timed = {**ORDERS, "events": [{"name": name, "fields": fields, "time": at} for name in ("placed", "paid")]}
    one = await world.exporter(Usage.model_validate(timed))
    hold = await one.hold(STREAM, [PART])
    records = [
        b'{"event": "placed", "order": "a", "at": "2023-11-14T22:13:20Z"}',
        b'{"event": "paid", "order": "a", "at": "2023-11-14T22:13:27Z"}',
    ]
    taken = asyncio.create_task(one.take("shop", records, "records", part=PART, sent=[world.now + 8, world.now + 9]))
    await asyncio.sleep(0)  # it is tallied by the old rules
    one.use(Usage.model_validate(ORDERS))
    async with asyncio.timeout(SECONDS):
        assert (await taken).rejected == 0
    world.now += 3600
    hold.until = {PART: world.now}
    await until(lambda: _has(one, 'paid_total{outcome="completed"}', 1), "it is paid", SECONDS)
    assert (await shown_text(one))['paid_seconds_sum{outcome="completed"}'] == 7


async def test_a_defect_that_is_no_deliverys_ends_the_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await world.exporter(Usage.model_validate(USAGE))
    _breaks(UsageLedger, "_store", lambda *_: True)(monkeypatch)
    with pytest.raises(Defect):
        await take(one, "free")
    with pytest.raises(Defect):
        await world.end_of(one)


@pytest.mark.parametrize("how", ["by a defect", "by a stop"])
async def test_whoever_delivers_what_nobody_will_commit_hears_so_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    one = await world.exporter(Usage.model_validate(USAGE))
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def commit(*_: object) -> None:
        begun.set()
        await goes_on.wait()
        raise Defect

    monkeypatch.setattr(one._ledger, "commit", commit)
    _breaks(rules, "text_of", _says_poison)(monkeypatch)
    in_the_last = asyncio.create_task(take(one, "free"))
    await begun.wait()
    async with one._defects._one_by_one:
        for_the_next, sifted = (asyncio.create_task(take(one, *plans)) for plans in (["free"], ["free", "poison"]))
        await asyncio.sleep(0)
        goes_on.set()
        with pytest.raises(Defect if how == "by a defect" else asyncio.CancelledError):
            await world.end_of(one, stopped=how == "by a stop")
    with pytest.raises(Defect if how == "by a defect" else StorageUnavailable):
        await in_the_last
    for late in (for_the_next, sifted, take(one, "free")):
        with pytest.raises(StorageUnavailable):
            await late


async def test_what_is_stored_is_never_counted_again_though_a_defect_follows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await world.exporter(Usage.model_validate(USAGE))
    sound = Book.apply

    def broken(self: Book, *given: Any) -> None:
        sound(self, *given)
        raise Defect

    monkeypatch.setattr(Book, "apply", broken)
    for waited in (take(one, "free"), world.end_of(one)):
        with pytest.raises(Astray):
            await waited
    monkeypatch.undo()
    assert (await shown_text(await world.exporter(Usage.model_validate(USAGE))))["all_total"] == 1


def test_a_poisoned_line_among_thousands_is_found_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = engine.Engine(Usage.model_validate(USAGE), Book(), 0.0)
    _breaks(rules, "text_of", _says_poison)(monkeypatch)
    plans = ["free"] * 4000
    plans[1234] = plans[3999] = "poison"
    for form, given in (("ndjson", body(*plans)), ("records", body(*plans).split(b"\n"))):
        tally = sifted(counter, Delivery("http", given, form))  # type: ignore[arg-type]  # a literal
        assert (tally.events, [reject.position for reject in tally.rejects]) == (3998, [1235, 4000])
    items = b"[" + b",".join(body(*plans).split(b"\n")) + b"]"
    tally = sifted(counter, Delivery("http", items, "json"))
    assert (tally.events, [reject.position for reject in tally.rejects]) == (3998, [1235, 4000])


@pytest.mark.parametrize("poisoned", [1, 2, 100], ids=["every one", "every second", "one in a hundred"])
def test_what_is_tried_is_bounded_however_many_are_poisoned(poisoned: int) -> None:
    counter, attempts = engine.Engine(Usage.model_validate(USAGE), Book(), 0.0), list[int]()
    user = counter._shape.column("user")

    def attempt(tally: Tally) -> None:
        attempts.append(tally.events)
        if any(user(event) == "poison" for _, events in tally.groups for event in events):
            raise Defect

    plans = ["poison" if number % poisoned == 0 else "free" for number in range(20 * SPAN)]
    tally = sifted(counter, Delivery("http", body(*plans), "ndjson"), attempt)
    assert (tally.events, tally.rejected) == (plans.count("free"), {"defect": plans.count("poison")})
    assert max(attempts) == SPAN
    assert len(attempts) <= len(plans) + 20 + 2 * SPAN


async def test_others_are_counted_while_a_delivery_is_sifted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await world.exporter(Usage.model_validate({**USAGE, **KEYS}))
    part = await part_of(one)
    _breaks(measures, "sketch", lambda users, _: "poison" in users)(monkeypatch)
    sifting = [asyncio.create_task(take(one, *["poison"] * 2000, "free", part=part)) for _ in range(3)]
    for _ in range(3):
        assert (await take(one, "free", part=part)).events == 1
        assert not any(task.done() for task in sifting)
    assert [(taken.events, taken.defects) for taken in await asyncio.gather(*sifting)] == [(1, 2000)] * 3
    assert (await shown_text(one))["all_total"] == 6


CONFIG = """
auth: {bearer_token_files: [token]}
usage:
  rules:
    - {name: plans, metric: plans_total, help: P., event: buy, owner: me, labels: {plan: [free]}}
"""


async def test_who_posts_a_poisoned_event_hears_what_to_look_for_in_the_log(
    start_exporter: StartExporter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client, _ = await start_exporter(CONFIG)
    _breaks(rules, "text_of", _says_poison)(monkeypatch)
    for _ in range(2):
        answer = await client.post("/v1/events", json=event("poison"), headers=AUTH)
        told = await answer.json()
        assert (answer.status, told["rejected"], told["events"]) == (500, 1, 0)
    reference = told["rejects"][0]["reason"].split()[-4]
    logged = capsys.readouterr().out
    assert logged.count(reference) == logged.count("error=Defect") == 2
    assert logged.count("frames=") == 1
    assert re.search(r"exporter/usage/rules.py:\d+ labels_of > ", logged)
    assert not re.search(r"\bpoison\b", logged), "what the event holds is told"
    answer = await client.post("/v1/events", json=[event("poison"), event("free")], headers=AUTH)
    assert (answer.status, (await answer.json())["events"]) == (200, 1)
    text = await (await client.get("/metrics", headers=AUTH)).text()
    assert 'tocsin_exporter_rejects_total{reason="defect"} 3.0\n' in text
    assert 'plans_total{plan="free"} 1\n' in text
