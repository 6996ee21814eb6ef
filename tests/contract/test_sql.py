"""Queries as a source, on a real SQLite file and a real PostgreSQL server."""

import asyncio
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiomysql
import asyncpg
import pytest
import structlog
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from exporter.exposition import render
from exporter.usage.sources.sql import SqlSettings, SqlSource, families, lint
from exporter.usage.sources.sql.rows import QueryFailed, values
from exporter.usage.sources.sql.settings import SqlMetric
from tests.contract.conftest import Clock
from tests.support import mariadb
from tests.support import postgres as postgresql
from toolkit import configfile

ORDERS = "create table orders (region text, size integer); insert into orders values ('eu', 1), ('eu', 2), ('us', 3)"
PENDING = {
    "metric": "orders_pending",
    "help": "Orders.",
    "query": "select region, count(*) as value from orders group by region",
    "labels": ["region"],
}
ENDLESS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) as value from n",
    "postgresql": "select pg_sleep(600), 1 as value",
    "mysql": "select sleep(600) as value",
}


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def orders(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with some orders in it, of each kind in turn."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
            connection.executescript(ORDERS)
        return f"sqlite:///{tmp_path / 'orders.db'}"
    url: str = request.getfixturevalue("postgres" if request.param == "postgresql" else "mariadb_url")
    asyncio.run((_executed if request.param == "postgresql" else _executed_by_mysql)(url, ORDERS))
    return url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The URL of the one database of a MariaDB server."""
    with mariadb.running() as url:
        yield url


async def _executed_by_mysql(url: str, statements: str) -> list[Any]:
    at = make_url(url)
    connection = await aiomysql.connect(
        host=at.host, port=at.port, user=at.username, password=at.password, db=at.database, autocommit=True
    )
    try:
        cursor = await connection.cursor()
        for statement in statements.split("; "):
            await cursor.execute(statement.replace("create table", "create or replace table"))
        return list(await cursor.fetchall())
    finally:
        connection.close()


async def _executed(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute(statement) if ";" in statement else None
        return [] if ";" in statement else list(await connection.fetch(statement))
    finally:
        await connection.close()


def source(folder: Path, url: str, *metrics: dict[str, Any], now: Clock | None = None, **given: Any) -> SqlSource:
    (folder / "orders.url").write_text(url)
    data = {"name": "orders", "url_file": "orders.url", "metrics": list(metrics), **given}
    settings = SqlSettings.model_validate(data, context={"base": folder})
    return SqlSource(settings, defaultdict(asyncio.Lock), now or Clock(), structlog.get_logger())


def text(asked: SqlSource, now: float = 1000.0) -> str:
    return render(families([asked], now), openmetrics=False).decode()


def errors(asked: SqlSource, place: int = 0) -> dict[str, int]:
    return {reason: count for reason, count in asked.readings[place].errors.items() if count}


# --- against real databases


async def test_rows_become_series(tmp_path: Path, orders: str) -> None:
    asked = source(tmp_path, orders, PENDING)
    await asked.ask()
    shown = text(asked)
    assert '# TYPE orders_pending gauge\norders_pending{region="eu"} 2\norders_pending{region="us"} 1\n' in shown
    assert 'last_success_timestamp_seconds{source="orders",metric="orders_pending"} 1000\n' in shown
    assert errors(asked) == {}


async def test_what_a_database_calls_a_number_is_one(tmp_path: Path, orders: str) -> None:
    asked = source(
        tmp_path,
        orders,
        {"metric": "decimal", "help": "", "query": "select cast(12.50 as decimal(6, 2)) as value"},
        {"metric": "true", "help": "", "query": "select 1 = 1 as value"},
        {"metric": "text", "help": "", "query": "select '12.5' as value"},
        {"metric": "null", "help": "", "query": "select sum(size) as value from orders where region = 'nowhere'"},
        {"metric": "x_total", "help": "", "type": "counter", "query": "select 40 + 2 as n", "value": "n"},
        {"metric": "colons", "help": "", "query": "select ':x 100% 12:30' as l, 1 as value", "labels": ["l"]},
    )
    await asked.ask()
    shown = text(asked)
    for line in ("decimal 12.5", "true 1", "text 12.5", "x_total 42", 'colons{l=":x 100% 12:30"} 1'):
        assert f"\n{line}\n" in shown
    assert "\nnull " not in shown
    assert [errors(asked, place) for place in range(6)] == [{}] * 6


async def test_a_query_that_hangs_is_cancelled_and_the_next_one_has_its_answer(tmp_path: Path, orders: str) -> None:
    kind = orders.partition(":")[0]
    hanging = {"metric": "hanging", "help": "", "query": ENDLESS[kind]}
    asked = source(tmp_path, orders, hanging, PENDING, timeout="500ms")
    await asked.ask()
    assert errors(asked) == {"timeout": 1}
    assert 'orders_pending{region="us"} 1\n' in text(asked)


async def test_nothing_can_be_written(tmp_path: Path, orders: str) -> None:
    writes = [
        "delete from orders",
        "insert into orders values ('x', 1) returning size as value",
        "drop table orders",
        # MySQL's driver takes several statements, and MySQL refuses the second without a word
        "select 1 as value; delete from orders" if not orders.startswith("mysql") else "delete from orders",
    ]
    asked = source(
        tmp_path, orders, *[{"metric": f"w{n}", "help": "", "query": q} for n, q in enumerate(writes)], PENDING
    )
    await asked.ask()
    assert [errors(asked, place) for place in range(5)] == [{"refused": 1}] * 4 + [{}]
    assert 'orders_pending{region="eu"} 2\n' in text(asked)


async def test_more_rows_than_allowed_are_refused_and_few_of_them_are_read(tmp_path: Path, orders: str) -> None:
    many = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000000) select i as value from n"
    )
    asked = source(tmp_path, orders, {"metric": "many", "help": "", "query": many, "max_series": 3})
    await asked.ask()
    assert errors(asked) == {"too_many_rows": 1}
    few = "select 1 as l, 1 as value union all select 2, 1 union all select 3, 1 union all select 4, 1"
    asked = source(tmp_path, orders, {"metric": "few", "help": "", "query": few, "labels": ["l"], "max_series": 3})
    await asked.ask()
    assert errors(asked) == {"too_many_rows": 1}


async def test_a_query_that_is_wrong_is_told_once_with_what_the_database_said(tmp_path: Path, orders: str) -> None:
    asked = source(tmp_path, orders, {"metric": "m", "help": "", "query": "select 1 as value from nowhere"})
    with capture_logs() as logs:
        await asked.ask()
        await asked.ask()
    assert errors(asked) == {"refused": 2}
    assert [log["reason"] for log in logs] == ["refused"]
    assert "nowhere" in logs[0]["detail"]


async def test_the_last_values_are_shown_for_their_age_and_then_no_more(tmp_path: Path, orders: str) -> None:
    clock = Clock()
    asked = source(tmp_path, orders, PENDING, now=clock, max_age="5m")
    await asked.ask()
    (tmp_path / "orders.url").unlink()
    await asked.ask()
    assert errors(asked) == {"unreachable": 1}
    assert "orders_pending{" in text(asked, clock.at + 300)
    assert "orders_pending{" not in text(asked, clock.at + 301)
    assert 'last_success_timestamp_seconds{source="orders",metric="orders_pending"} 1000\n' in text(asked, 9999)


async def test_two_sources_of_one_database_never_ask_it_at_once(tmp_path: Path, orders: str) -> None:
    turns: defaultdict[tuple[object, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
    first, second = source(tmp_path, orders, PENDING), source(tmp_path, orders, PENDING)
    first._turns = second._turns = turns
    (lock,) = [turns[first._address().place]]
    async with lock:
        asking = asyncio.gather(first.ask(), second.ask())
        done, _ = await asyncio.wait([asking], timeout=0.3)
        assert not done
    await asking
    assert 'orders_pending{region="us"} 1\n' in text(first)
    assert 'orders_pending{region="us"} 1\n' in text(second)


async def test_it_asks_again_and_again_until_it_is_cancelled(tmp_path: Path, orders: str) -> None:
    clock = Clock()
    asked = source(tmp_path, orders, PENDING, now=clock, every="1s")
    running = asyncio.create_task(asked.run())
    try:
        for at in (2000.0, 3000.0):
            clock.at = at
            async with asyncio.timeout(60):
                while asked.readings[0].succeeded_at < at:
                    await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


# --- a server that is not there


@pytest.fixture
def own_server() -> Iterator[postgresql.Server]:
    with postgresql.running() as server:
        yield server


async def test_a_server_that_hangs_and_one_that_is_gone(tmp_path: Path, own_server: postgresql.Server) -> None:
    with own_server.database() as url:
        asked = source(tmp_path, url, {**PENDING, "query": "select 'x' as region, 1 as value"}, timeout="1s")
        await asked.ask()
        with own_server.suspended():
            await asked.ask()
        assert errors(asked) == {"timeout": 1}
        await asked.ask()
        assert errors(asked) == {"timeout": 1}
        own_server.stop()
        await asked.ask()
        assert errors(asked) == {"timeout": 1, "unreachable": 1}
        assert "orders_pending{" in text(asked)


async def test_what_is_cancelled_here_ends_on_the_server_too(tmp_path: Path, postgres: str) -> None:
    asked = source(tmp_path, postgres, {"metric": "m", "help": "", "query": ENDLESS["postgresql"]}, timeout="500ms")
    await asked.ask()
    alive = "select count(*) from pg_stat_activity where application_name = 'tocsin-exporter'"
    async with asyncio.timeout(60):
        while (await _executed(postgres, alive))[0][0]:
            await asyncio.sleep(0.05)


async def test_a_wrong_password_is_refused_and_told_to_nobody(tmp_path: Path, postgres: str) -> None:
    user, _, rest = postgres.partition("://")[2].partition("@")
    wrong = f"postgresql://{user.partition(':')[0]}:hunter2secret@{rest}"
    asked = source(tmp_path, wrong, PENDING)
    with capture_logs() as logs:
        await asked.ask()
    assert errors(asked) == {"refused": 1}
    assert "hunter2secret" not in str(logs) + repr(asked._address()) + text(asked)


async def test_a_password_that_the_database_repeats_is_masked(tmp_path: Path, postgres: str) -> None:
    password = make_url(postgres).password
    asked = source(tmp_path, postgres, {"metric": "m", "help": "", "query": f'select 1 as value from "{password}"'})
    with capture_logs() as logs:
        await asked.ask()
    assert "does not exist" in logs[0]["detail"]
    assert str(password) not in str(logs)


async def test_a_warning_of_mysql_is_none_of_ours(tmp_path: Path, mariadb_url: str) -> None:
    asked = source(tmp_path, mariadb_url, {"metric": "m", "help": "", "query": "select cast('x' as integer) as value"})
    await asked.ask()
    assert "\nm 0\n" in text(asked)


async def test_nobody_reached_is_asked_once_a_round(tmp_path: Path) -> None:
    other = {**PENDING, "metric": "other"}
    asked = source(tmp_path, f"sqlite:///{tmp_path}/missing.db", PENDING, other)
    await asked.ask()
    assert errors(asked) == errors(asked, 1) == {"unreachable": 1}
    assert [one.seconds > 0 for one in asked.readings] == [True, False]
    assert not (tmp_path / "missing.db").exists()


# --- pure parts

GAUGE = SqlMetric(metric="m", help="", query="q", labels=("region",), max_series=3)
COUNTER = SqlMetric(metric="m_total", help="", type="counter", query="q")
GOOD = [
    ("a whole number", GAUGE, [{"region": "eu", "value": 3}], {("eu",): 3.0}),
    ("a decimal", GAUGE, [{"region": "eu", "value": Decimal("2.5")}], {("eu",): 2.5}),
    ("a truth", GAUGE, [{"region": True, "value": True}], {("true",): 1.0}),
    ("text that is a number", GAUGE, [{"region": 7, "value": " 1e3 "}], {("7",): 1000.0}),
    (
        "NULL gives no series, and no label",
        GAUGE,
        [{"region": None, "value": 1}, {"region": "x", "value": None}],
        {("",): 1.0},
    ),
    ("infinity is a value of a gauge", GAUGE, [{"region": b"eu", "value": math.inf}], {("eu",): math.inf}),
    ("no rows", GAUGE, [], {}),
    ("a column that nobody asked for", COUNTER, [{"value": 1, "more": object()}], {(): 1.0}),
]
BAD = [
    ("text that is no number", GAUGE, [{"region": "eu", "value": "many"}], "bad_value", "a str that is no number"),
    ("a list", GAUGE, [{"region": "eu", "value": [1]}], "bad_value", "is a list"),
    ("a number beyond all floats", GAUGE, [{"region": "eu", "value": 10**400}], "bad_value", "that is no number"),
    ("a column that is misspelled", GAUGE, [{"regions": "eu", "value": 1}], "bad_value", "did you mean 'regions'?"),
    ("the same labels twice", GAUGE, [{"region": "eu", "value": 1}] * 2, "bad_value", "{'region': 'eu'}"),
    ("a counter below zero", COUNTER, [{"value": -1}], "bad_value", "-1.0, which no counter can be"),
    ("a counter that is not a number", COUNTER, [{"value": math.nan}], "bad_value", "nan, which no counter"),
    ("a label without end", GAUGE, [{"region": "x" * 2000, "value": 1}], "bad_value", "more than 1024 characters"),
    ("too many rows", GAUGE, [{"region": str(n), "value": 1} for n in range(4)], "too_many_rows", "more than 3 rows"),
]


@pytest.mark.parametrize(("metric", "rows", "found"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_values(metric: SqlMetric, rows: list[dict[str, Any]], found: dict[tuple[str, ...], float]) -> None:
    assert values(metric, rows) == found


@pytest.mark.parametrize(("metric", "rows", "reason", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_no_value(metric: SqlMetric, rows: list[dict[str, Any]], reason: str, words: str) -> None:
    with pytest.raises(QueryFailed) as failed:
        values(metric, rows)
    assert failed.value.reason == reason
    assert words in failed.value.detail


PROBLEMS: list[tuple[str, str, dict[str, Any], configfile.Location, str]] = [
    ("no URL at all", "hunter2secret", {}, ("url_file",), "holds no database URL"),
    ("a database that nobody knows", "postgre://u:hunter2secret@h/d", {}, ("url_file",), "did you mean 'postgres'?"),
    ("no database in the URL", "postgresql://u:hunter2secret@h", {}, ("url_file",), "names no database"),
    ("a port beyond all ports", "postgresql://u:hunter2secret@h:99999/d", {}, ("url_file",), "port is none"),
    ("an option that nobody reads", "mysql://u:hunter2secret@h/d?tls=1", {}, ("url_file",), "more than ?ssl=true"),
    ("a timeout beyond the interval", "", {"timeout": "1m"}, ("timeout",), "longer than every"),
    ("an age below the interval", "", {"max_age": "1s"}, ("max_age",), "shorter than every"),
    ("a metric twice", "", {"metrics": [PENDING, PENDING]}, ("metrics",), "stands here 2 times"),
    (
        "a counter by another name",
        "",
        {"metrics": [{**PENDING, "type": "counter"}]},
        ("metrics", 0, "metric"),
        "_total",
    ),
    (
        "a value that is a label",
        "",
        {"metrics": [{**PENDING, "value": "region"}]},
        ("metrics", 0, "value"),
        "a label already",
    ),
    (
        "a label twice",
        "",
        {"metrics": [{**PENDING, "labels": ["a", "a"]}]},
        ("metrics", 0, "labels"),
        "'a' stands here 2 times",
    ),
]


@pytest.mark.parametrize(
    ("url", "given", "location", "words"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS]
)
def test_settings_that_contradict_each_other(
    tmp_path: Path, url: str, given: dict[str, Any], location: configfile.Location, words: str
) -> None:
    (tmp_path / "orders.url").write_text(url or "sqlite:///x.db")
    data = {"name": "orders", "url_file": "orders.url", "metrics": [PENDING], **given}
    found = list(lint(SqlSettings.model_validate(data, context={"base": tmp_path})))
    assert [(where, words in text) for where, text in found] == [(location, True)]
    assert "hunter2secret" not in str(found)
