"""A defect that one event brings to light is that event's: whatever comes beside it is counted once, and the work
goes on. Every row breaks the program in another place, for events that say `poison`."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from exporter.ledger import UsageLedger
from exporter.ledger.usage import Astray
from exporter.usage import engine, measures, rules
from exporter.usage.book import Book
from exporter.usage.counting import Counting
from exporter.usage.delivery import Delivery, Position, Taken
from exporter.usage.sequences import keys
from exporter.usage.settings import Usage
from exporter.usage.sifting import Sieve
from exporter.usage.watching import Watching
from tests.contract.conftest import AUTH, StartExporter
from tests.support.counting import World, shown_text

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


async def take(one: Counting, *plans: str, positions: Sequence[Position] = (), key: str = "") -> Taken:
    async with asyncio.timeout(SECONDS):
        return await one.take("http", body(*plans), "ndjson", positions, key=key)


def _at(before: str, after: str) -> list[Position]:
    return [Position("kafka:shop", "orders/0", before, after)]


@pytest.mark.parametrize(("broken", "more", "whole"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
async def test_one_poisoned_event_neither_ends_the_work_nor_spoils_its_neighbours(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: Breaker, more: dict[str, Any], whole: bool
) -> None:
    if more and world.url.startswith("postgresql"):
        pytest.skip("rules about keys need a ledger of their own")
    one = await world.exporter(Usage.model_validate({**USAGE, **more}))
    broken(monkeypatch)
    found = await asyncio.gather(
        take(one, "free"),
        take(one, "free", "poison", "free", positions=_at("", "3"), key="mixed"),
        take(one, "poison", key="alone"),
        *(take(one, "free", key=f"k{number}") for number in range(6)),
    )
    await take(one, "free", positions=_at("3", "4"))
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
    await take(again, "poison", key="alone")  # what was refused may come again
    await take(again, "free", key="k0")
    assert (await shown_text(again))["all_total"] == good + 1


async def test_what_keys_remember_is_as_if_the_poisoned_event_had_never_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.url.startswith("postgresql"):
        pytest.skip("rules about keys need a ledger of their own")
    usage = Usage.model_validate({**USAGE, **KEYS})
    one = await world.exporter(usage)
    await take(one, "free")
    before = dict(one.watching.rows())
    _breaks(keys, "waiting", lambda *given: given[2].labels == ("poison",))(monkeypatch)
    assert (await take(one, "poison")).is_refused
    assert dict(one.watching.rows()) == before
    assert (await take(one, "poison", "free")).defects == 1
    for bursts in (0, 1):
        world.now += 2
        await take(one)
        counted = await shown_text(one)
        assert counted['guesses_total{outcome="burst",plan="free"}'] == bursts
        assert counted['guesses_total{outcome="burst",plan="poison"}'] == 0
        await take(one, "free")
        world.now += 2
        await take(one)


def test_keys_that_were_due_when_a_defect_struck_are_due_when_it_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watching(Usage.model_validate(KEYS).sequences, Book(), 0.0)
    seen = [("guesses", "buy", str(number), ("free",), 100.0) for number in range(20) for _ in range(3)]
    watching.look(seen, 100.0)
    watching.changes()
    watching.committed()
    _breaks(keys, "settle", lambda *_: next(calls) == 10)(monkeypatch)
    calls = iter(range(100))
    with pytest.raises(Defect):
        watching.look((), 102.0)
    watching.undo()
    monkeypatch.undo()
    assert list(watching.look((), 102.0).values()) == [20]


async def test_what_waits_while_a_rule_about_keys_goes_is_counted_by_the_rules_that_stay(world: World) -> None:
    if world.url.startswith("postgresql"):
        pytest.skip("rules about keys need a ledger of their own")
    one = await world.exporter(Usage.model_validate({**USAGE, **KEYS}))
    taken = asyncio.create_task(take(one, "free"))
    await asyncio.sleep(0)  # it is tallied by the old rules
    one.use(Usage.model_validate(USAGE))
    assert (await taken).rejected == 0
    assert (await shown_text(one))["all_total"] == 1


async def test_a_defect_that_is_no_deliverys_ends_the_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await world.exporter(Usage.model_validate(USAGE))
    _breaks(UsageLedger, "_store", lambda *_: True)(monkeypatch)
    with pytest.raises(Defect):
        await take(one, "free")
    with pytest.raises(Defect):
        await world.end_of(one)


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


async def test_a_poisoned_line_among_thousands_is_found_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = engine.Engine(Usage.model_validate(USAGE), Book(), 0.0)
    _breaks(rules, "text_of", _says_poison)(monkeypatch)
    plans = ["free"] * 4000
    plans[1234] = plans[3999] = "poison"
    for form, given in (("ndjson", body(*plans)), ("records", body(*plans).split(b"\n"))):
        sieve = Sieve(counter, Delivery("http", given, form), lambda _: None)  # type: ignore[arg-type]  # a literal
        tally = await sieve.sifted(0.0)
        assert (tally.events, [reject.position for reject in tally.rejects]) == (3998, [1235, 4000])
    items = b"[" + b",".join(body(*plans).split(b"\n")) + b"]"
    tally = await Sieve(counter, Delivery("http", items, "json"), lambda _: None).sifted(0.0)
    assert (tally.events, [reject.position for reject in tally.rejects]) == (3998, [1235, 4000])


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
    assert logged.count(reference) == 2
    assert logged.count("Traceback") == 1
    answer = await client.post("/v1/events", json=[event("poison"), event("free")], headers=AUTH)
    assert (answer.status, (await answer.json())["events"]) == (200, 1)
    text = await (await client.get("/metrics", headers=AUTH)).text()
    assert 'tocsin_exporter_rejects_total{reason="defect"} 3.0\n' in text
    assert 'plans_total{plan="free"} 1\n' in text
