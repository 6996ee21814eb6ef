"""What the toolkit's storage promises: first on both databases alike, then what PostgreSQL adds."""

import asyncio
import itertools
import signal
import sqlite3
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from receiver.store import MIGRATIONS as STORE
from tests.support.postgres import Server
from toolkit.storage import Database, StorageUnavailable, leading, lock_database, migrate, sqlite, storage_url
from toolkit.storage import postgres as postgresql

things = Table("things", MetaData(), Column("name", Text, primary_key=True), Column("number", Integer, nullable=False))
SECONDS = 60.0
"""The generous end of every wait: the machine may be busy."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(storage_url(url, Path(), ""))
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(any_database: str) -> AsyncIterator[Database]:
    async with opened(any_database) as one:
        async with one.write() as connection:
            await connection.run_sync(things.metadata.create_all)
        yield one


@pytest.fixture
async def second(database: Database, any_database: str) -> AsyncIterator[Database]:  # noqa: ARG001 - made after the table
    """The same database as another process has it."""
    async with opened(any_database) as one:
        yield one


async def put(database: Database, name: str, number: int = 0) -> None:
    async with database.write() as connection:
        await connection.execute(insert(things), {"name": name, "number": number})


async def seen(database: Database) -> dict[str, int]:
    async with database.read() as connection:
        return await seen_by(connection)


async def seen_by(connection: AsyncConnection) -> dict[str, int]:
    rows = await connection.execute(select(things))
    return {row.name: row.number for row in rows}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await condition():
            await asyncio.sleep(0.05)


async def fails(work: Awaitable[object]) -> StorageUnavailable:
    """How `work` fails, within the limits that storage promises."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(StorageUnavailable) as refused:
            await work
    return refused.value


# --- on both


async def test_what_was_written_is_seen_by_others_once_the_block_has_ended(
    database: Database, second: Database
) -> None:
    async with database.write() as connection:
        await connection.execute(insert(things), {"name": "a", "number": 1})
        assert await seen(second) == {}
    assert await seen(second) == {"a": 1}


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def broken_off() -> None:
        async with database.write() as connection:
            await connection.execute(insert(things), {"name": "a", "number": 1})
            raise LookupError

    with pytest.raises(LookupError):
        await broken_off()
    assert await seen(database) == {}


def stored(connection: Connection) -> None:
    connection.execute(insert(things), {"name": "a", "number": 1})


async def test_after_work_that_raised_in_the_thread_nothing_is_left_and_the_next_is_stored(database: Database) -> None:
    def broken_off(connection: Connection) -> None:
        stored(connection)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await database.transact(broken_off)
    await database.transact(stored)
    with pytest.raises(IntegrityError):
        await database.transact(stored)
    assert await seen(database) == {"a": 1}


async def test_after_work_that_could_not_begin_in_the_thread_the_next_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.1)
    async with opened(f"sqlite:///{tmp_path}/it.db") as one:
        await one.transact(things.metadata.create_all)
        other = sqlite3.connect(tmp_path / "it.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert (await fails(one.transact(stored))).reason == "locked"
        other.close()
        await one.transact(stored)
        assert await seen(one) == {"a": 1}


async def test_a_timeout_of_the_block_itself_stays_what_it_is(database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with database.write():
            raise TimeoutError


async def test_a_violated_constraint_is_no_lack_of_storage(database: Database) -> None:
    await put(database, "a")
    with pytest.raises(IntegrityError):
        await put(database, "a")
    await put(database, "b")


async def test_an_insert_can_pass_over_or_replace_what_is_there(database: Database) -> None:
    await put(database, "a", 1)
    once = database.insert(things).on_conflict_do_nothing()
    anew = database.insert(things)
    anew = anew.on_conflict_do_update(index_elements=["name"], set_={"number": anew.excluded.number})
    async with database.write() as connection:
        assert (await connection.execute(once, {"name": "a", "number": 2})).rowcount == 0
        assert (await connection.execute(once, {"name": "b", "number": 2})).rowcount == 1
        await connection.execute(anew, {"name": "a", "number": 3})
    assert await seen(database) == {"a": 3, "b": 2}


async def test_a_reader_keeps_its_snapshot_and_waits_for_no_writer(database: Database, second: Database) -> None:
    await put(database, "a")
    async with database.read() as reader:
        assert await seen_by(reader) == {"a": 0}
        async with second.write() as writer:
            await writer.execute(update(things).values(number=1))
            assert await seen_by(reader) == {"a": 0}
        assert await seen_by(reader) == {"a": 0}
    assert await seen(database) == {"a": 1}


async def test_writers_at_the_same_time_lose_nothing(database: Database, second: Database) -> None:
    await put(database, "a")

    async def count(one: Database) -> None:
        async with one.write() as connection:
            await connection.execute(update(things).values(number=things.c.number + 1))

    await asyncio.gather(*(count(one) for one in (database, second) for _ in range(10)))
    assert await seen(second) == {"a": 20}


async def test_a_row_that_another_keeps_locked_is_said_to_be_locked(
    database: Database, second: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    await put(database, "a")

    async def set_all(one: Database, number: int) -> None:
        async with one.write() as connection:
            await connection.execute(update(things).values(number=number))

    async with database.write() as holder:
        await holder.execute(update(things).values(number=1))
        assert (await fails(set_all(second, 2))).reason == "locked"
    assert await seen(second) == {"a": 1}


async def test_one_process_at_a_time_has_an_sqlite_file_and_any_number_a_postgresql(
    any_database: str, tmp_path: Path
) -> None:
    url = storage_url(any_database, tmp_path, "")
    with lock_database(url):
        if url.get_backend_name() == "sqlite":
            with pytest.raises(ValueError, match="in use by another process"):
                lock_database(url)
        else:
            with lock_database(url):
                pass


async def test_a_full_database_is_said_to_be_full(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path / 'x.db'}") as database:

        async def fill() -> None:
            async with database.write() as connection:
                await connection.execute(text("PRAGMA max_page_count = 3"))
                await connection.run_sync(things.metadata.create_all)
                await connection.execute(insert(things), {"name": "a" * 100_000, "number": 0})

        assert (await fails(fill())).reason == "full"


async def test_a_file_that_is_no_database_is_said_to_be_broken(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 1000)
    async with opened(f"sqlite:///{tmp_path / 'x.db'}") as database:
        assert (await fails(seen(database))).reason == "io"


async def test_whoever_has_the_sqlite_file_leads(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "x.db").close()
    async with opened(f"sqlite:///{tmp_path / 'x.db'}") as database:
        assert await database.lead("work")


# --- PostgreSQL's URL

URLS = [
    ("the plain one", "postgresql://u@h/d", "postgresql://u@h/d"),
    ("the one of SQLAlchemy", "postgresql+asyncpg://u:p@h:1/d", "postgresql://u:p@h:1/d"),
    ("the short one", "postgres://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
    ("a socket's folder", "postgresql:///d?host=/run/postgresql", "postgresql:///d?host=%2Frun%2Fpostgresql"),
]


@pytest.mark.parametrize(("url", "is_"), [row[1:] for row in URLS], ids=[row[0] for row in URLS])
def test_a_url_is_taken_as_libpq_takes_it(url: str, is_: str) -> None:
    assert storage_url(url, Path(), "").render_as_string(hide_password=False) == is_


@pytest.mark.parametrize("url", ["postgresql://u:hidden@h", "postgresql://u:hidden@h:port/d", "u:hidden@h/d"])
def test_a_url_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"--storage\.url") as refused:
        storage_url(url, Path(), "")
    assert "hidden" not in str(refused.value)


def test_without_its_driver_postgresql_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ValueError, match=r"pip install 'tocsin\[postgres\]'"):
        storage_url("postgresql://u@h/d", Path(), "")


async def test_the_password_may_come_from_the_environment(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    password = str(storage_url(postgres, Path(), "").password)
    monkeypatch.setenv("PGPASSWORD", password)
    async with opened(postgres.replace(f":{password}@", "@")) as database:
        assert await answers(database)


# --- PostgreSQL's ways to fail


@contextmanager
def stopped(server: Server, how: signal.Signals = signal.SIGINT) -> Iterator[None]:
    server.stop(how)
    try:
        yield
    finally:
        server.start()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    for name, seconds in (("CONNECT", 1.0), ("PING", 1.0), ("QUEUE", 1.0), ("TRANSACTION", 2.0)):
        monkeypatch.setattr(postgresql, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(leading, "ANSWER_SECONDS", 1.0)


async def sleep(database: Database, seconds: float) -> None:
    async with database.read() as connection:
        await connection.execute(text(f"SELECT pg_sleep({seconds})"))


async def answers(database: Database) -> bool:
    async with database.read() as connection:
        return (await connection.execute(text("SELECT true"))).scalar() is True


async def test_a_server_that_was_restarted_is_found_again_at_the_first_try(
    postgres: str, postgres_server: Server
) -> None:
    async with opened(postgres) as database:
        await asyncio.gather(*(sleep(database, 0.2) for _ in range(postgresql.CONNECTIONS)))
        with stopped(postgres_server):
            pass
        assert await answers(database)


async def test_a_server_that_is_stopped_is_out_of_reach_until_it_is_back(
    postgres: str, postgres_server: Server
) -> None:
    async with opened(postgres) as database:
        assert await answers(database)
        with stopped(postgres_server):
            assert (await fails(answers(database))).reason == "io"
            assert (await fails(answers(database))).reason == "io"
        assert await answers(database)


async def test_a_server_that_crashes_under_a_statement_is_out_of_reach(postgres: str, postgres_server: Server) -> None:
    async with opened(postgres) as database, opened(postgres) as other:
        statement = asyncio.create_task(fails(sleep(database, SECONDS)))
        await until(lambda: sleeps(other))
        with stopped(postgres_server, signal.SIGQUIT):
            assert (await statement).reason == "io"
        assert await answers(database)


async def sleeps(database: Database) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    async with database.read() as connection:
        return (await connection.execute(text(query))).scalar() == 1


async def test_a_server_that_stops_between_two_statements_undoes_the_block(
    postgres: str, postgres_server: Server
) -> None:
    async with opened(postgres) as database:
        async with database.write() as connection:
            await connection.run_sync(things.metadata.create_all)

        async def interrupted() -> None:
            async with database.write() as connection:
                await connection.execute(insert(things), {"name": "a", "number": 0})
                postgres_server.stop()
                await connection.execute(insert(things), {"name": "b", "number": 0})

        try:
            assert (await fails(interrupted())).reason == "io"
        finally:
            postgres_server.start()
        assert await seen(database) == {}


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_hangs_is_given_up_and_found_again(postgres: str, postgres_server: Server) -> None:
    async with opened(postgres) as database:
        await asyncio.gather(*(sleep(database, 0.2) for _ in range(3)))
        with postgres_server.suspended():
            assert (await fails(answers(database))).reason == "io"
        await until(lambda: heals(answers(database)))


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_hangs_under_a_statement_is_given_up(postgres: str, postgres_server: Server) -> None:
    async with opened(postgres) as database:

        async def interrupted() -> None:
            async with database.write() as connection:
                await connection.execute(text("SELECT 1"))
                stack.enter_context(postgres_server.suspended())
                await connection.execute(text("SELECT 2"))

        with ExitStack() as stack:
            assert (await fails(interrupted())).reason == "io"
        await until(lambda: heals(answers(database)))


async def heals(work: Awaitable[bool]) -> bool:
    """Whether `work` succeeds by now, on a server that was just resumed and has much to catch up on."""
    try:
        return await work
    except StorageUnavailable:
        return False


async def test_a_session_that_an_operator_ends_is_out_of_reach_and_the_next_is_not(postgres: str) -> None:
    async with opened(postgres) as database, opened(postgres) as operator:

        async def ended() -> None:
            async with database.write() as connection:
                pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar()
                await end(operator, pid)
                await connection.execute(text("SELECT 1"))

        assert (await fails(ended())).reason == "io"
        assert await answers(database)


async def end(operator: Database, pid: int | None) -> None:
    async with operator.write() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


async def test_sessions_that_end_at_any_moment_lose_nothing_that_was_acknowledged(postgres: str) -> None:
    over, acknowledged = asyncio.Event(), set[str]()
    async with opened(postgres) as database, opened(postgres) as operator:
        async with database.write() as connection:
            await connection.run_sync(things.metadata.create_all)

        async def write(writer: int) -> None:
            for number in itertools.count():
                if over.is_set():
                    return
                with suppress(StorageUnavailable):
                    await put(database, f"{writer}-{number}")
                    acknowledged.add(f"{writer}-{number}")
                with suppress(StorageUnavailable):
                    await database.lead("work")

        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as writers:
            for writer in range(postgresql.CONNECTIONS):
                writers.create_task(write(writer))
            for _ in range(20):
                async with operator.read() as connection:
                    await connection.execute(text(END_OTHERS))
                known = len(acknowledged)
                while len(acknowledged) <= known:
                    await asyncio.sleep(0.01)
            over.set()
        assert acknowledged <= set(await seen(operator))


END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tocsin' AND pid <> pg_backend_pid()"
)


@pytest.mark.usefixtures("impatient")
async def test_more_work_than_connections_waits_for_one_and_is_refused_in_the_end(postgres: str) -> None:
    async with opened(postgres) as database:
        await asyncio.gather(*(sleep(database, 0.1) for _ in range(postgresql.CONNECTIONS * 2)))
        busy = [asyncio.create_task(sleep(database, 1.5)) for _ in range(postgresql.CONNECTIONS)]
        await asyncio.sleep(0)
        assert (await fails(answers(database))).reason == "locked"
        await asyncio.gather(*busy)


async def test_a_server_that_admits_no_more_connections_is_said_to_be_locked(postgres: str) -> None:
    async with opened(postgres) as database, opened(postgres) as other:
        name = storage_url(postgres, Path(), "").database
        async with database.write() as connection:
            await connection.execute(text(f"ALTER DATABASE {name} CONNECTION LIMIT 1"))
        assert (await fails(answers(other))).reason == "locked"


async def test_a_statement_that_takes_too_long_is_said_to_be_locked(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast("dict[str, str]", postgresql.SERVING), "statement_timeout", "100ms")
    async with opened(postgres) as database:
        assert (await fails(sleep(database, SECONDS))).reason == "locked"


async def test_of_two_that_wait_for_each_other_one_is_said_to_be_locked(postgres: str) -> None:
    async with opened(postgres) as database:
        async with database.write() as connection:
            await connection.run_sync(things.metadata.create_all)
        await put(database, "a")
        await put(database, "b")
        barrier = asyncio.Barrier(2)

        async def change(first: str, then: str) -> None:
            async with database.write() as connection:
                await connection.execute(update(things).where(things.c.name == first).values(number=1))
                await barrier.wait()
                await connection.execute(update(things).where(things.c.name == then).values(number=1))

        done = await asyncio.gather(change("a", "b"), change("b", "a"), return_exceptions=True)
        assert [outcome.reason for outcome in done if isinstance(outcome, StorageUnavailable)] == ["locked"]


async def test_a_server_that_only_reads_is_out_of_reach_for_a_writer(postgres: str) -> None:
    async with opened(postgres) as database, opened(postgres) as other:
        name = storage_url(postgres, Path(), "").database
        async with database.write() as connection:
            await connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))

        async def create() -> None:
            async with other.write() as connection:
                await connection.run_sync(things.metadata.create_all)

        assert (await fails(create())).reason == "io"


async def test_a_wrong_password_is_said_and_not_repeated(postgres: str) -> None:
    url = storage_url(postgres, Path(), "").set(password="hidden")
    async with opened(url.render_as_string(hide_password=False)) as database:
        refused = await fails(answers(database))
    assert (refused.reason, refused.detail) == ("io", 'password authentication failed for user "tocsin"')
    assert "hidden" not in "".join(traceback.format_exception(refused))
    with pytest.raises(StorageUnavailable) as unmigrated:
        migrate(url, STORE)
    assert "hidden" not in "".join(traceback.format_exception(unmigrated.value))


async def test_a_mistake_in_a_statement_is_no_lack_of_storage(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.write() as connection:
            await connection.execute(text("SELECT gone FROM nowhere"))


async def test_a_value_is_not_in_the_words_of_an_error(database: Database) -> None:
    await put(database, "hidden")
    with pytest.raises(IntegrityError) as refused:
        async with database.write() as connection:
            await connection.execute(insert(things), {"name": "hidden", "number": 7})
    assert "[SQL parameters hidden" in str(refused.value)


# --- who leads


@pytest.fixture
async def pair(postgres: str) -> AsyncIterator[tuple[Database, Database]]:
    async with opened(postgres) as one, opened(postgres) as other:
        yield one, other


async def test_one_of_many_leads_for_as_long_as_it_lives(postgres: str) -> None:
    async with AsyncExitStack() as stack:
        all_of_them = [await stack.enter_async_context(opened(postgres)) for _ in range(5)]
        first = await asyncio.gather(*(one.lead("work") for one in all_of_them))
        assert sum(first) == 1
        for _ in range(3):
            assert [await one.lead("work") for one in all_of_them] == first
        await all_of_them[first.index(True)].close()
        await until(lambda: leads_any(all_of_them, first.index(True)))


async def leads_any(databases: list[Database], closed: int) -> bool:
    return any([await one.lead("work") for number, one in enumerate(databases) if number != closed])


async def test_each_kind_of_work_has_its_own_lead(pair: tuple[Database, Database]) -> None:
    one, other = pair
    assert await one.lead("work")
    assert await other.lead("play")
    assert (await one.lead("play"), await other.lead("work")) == (False, False)
    assert await asyncio.gather(*(one.lead("work") for _ in range(5))) == [True] * 5


async def test_a_leader_that_is_killed_is_followed(postgres: str) -> None:
    program = f"""if True:
        import asyncio
        from pathlib import Path
        from toolkit.storage import Database, storage_url

        async def main():
            database = Database(storage_url({postgres!r}, Path(), ""))
            print(await database.lead("work"), flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """
    leader = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    try:
        assert leader.stdout is not None
        assert await leader.stdout.readline() == b"True\n"
        async with opened(postgres) as database:
            assert not await database.lead("work")
            leader.kill()
            await until(lambda: database.lead("work"))
    finally:
        with suppress(ProcessLookupError):
            leader.kill()
        await leader.wait()


async def test_a_leader_that_lost_its_connection_knows_it(pair: tuple[Database, Database]) -> None:
    one, other = pair
    assert await one.lead("work")
    async with other.read() as connection:
        pid = (await connection.execute(text("SELECT pid FROM pg_locks WHERE locktype = 'advisory'"))).scalar()
    await end(other, pid)
    assert await other.lead("work")
    try:
        assert not await one.lead("work")
    except StorageUnavailable:
        assert not await one.lead("work")


async def test_nobody_leads_while_the_server_is_stopped_and_one_does_when_it_is_back(
    pair: tuple[Database, Database], postgres_server: Server
) -> None:
    one, other = pair
    assert await one.lead("work")
    with stopped(postgres_server):
        assert (await fails(one.lead("work"))).reason == "io"
        assert (await fails(other.lead("work"))).reason == "io"
    assert sorted([await other.lead("work"), await one.lead("work")]) == [False, True]


@pytest.mark.usefixtures("impatient")
async def test_a_leader_that_has_no_answer_makes_room_for_another(
    pair: tuple[Database, Database], postgres_server: Server
) -> None:
    one, other = pair
    assert await one.lead("work")
    with postgres_server.suspended():
        assert (await fails(one.lead("work"))).reason == "io"
    await until(lambda: heals(other.lead("work")))
    assert not await one.lead("work")
