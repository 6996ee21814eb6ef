"""The durable side of product usage: deltas, positions and idempotency keys in one commit, and the way back to values.

A commit appends one row to the journal, whatever number of series grew; so what an event costs does not depend on what
was counted before. Now and then the journal is folded into totals, which are kept in pages. Every method raises
StorageUnavailable when the database can't serve.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Result, Select, and_, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from exporter.ledger.tables import (
    usage_head,
    usage_journal,
    usage_keys,
    usage_memory,
    usage_positions,
    usage_series,
    usage_totals,
)
from exporter.usage.book import Book, Series
from exporter.usage.delivery import Fenced, Position
from exporter.usage.sequences import Row
from toolkit.storage import Database, StorageUnavailable

PAGES_AT_ONCE = 20
"""Pages that one transaction writes: commits wait for it."""
KEYS_AT_ONCE = 1000
"""Of one statement: PostgreSQL takes 32,767 parameters."""
ROWS_AT_ONCE = 1000
"""Of what is remembered of keys: a takeover reads all of a part's, in transactions of so many."""
KEEP_KEYS_SECONDS = 3 * 86_400.0
"""How long a repeated request is known."""


@dataclass(frozen=True)
class Keyed:
    """A request's idempotency key, and what is answered to it from now on."""

    source: str
    key: str
    answer: bytes


@dataclass(frozen=True)
class Entry:
    """What is stored in one commit."""

    deltas: Mapping[Series, Any]
    positions: Sequence[Position] = ()
    keys: Sequence[Keyed] = ()
    memory: Mapping[Row, bytes | None] = field(default_factory=dict)
    """What rules about keys remember from now on; None: nothing any more."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.deltas or self.positions or self.keys or self.memory)

    def joined(self, other: "Entry") -> "Entry":
        """Both as one. No series grows in both."""
        return Entry(
            {**self.deltas, **other.deltas},
            [*self.positions, *other.positions],
            [*self.keys, *other.keys],
            {**self.memory, **other.memory},
        )


_NEXT = update(usage_head).values(seq=usage_head.c.seq + 1).returning(usage_head.c.seq)
_APPEND = insert(usage_journal)
_FORGET = delete(usage_memory).where(
    usage_memory.c.part == bindparam("gone_part"),
    usage_memory.c.rule == bindparam("gone_rule"),
    usage_memory.c.key == bindparam("gone_key"),
)


class Repeated(Exception):
    """Some requests of an entry were counted before: nothing was stored. `answers` has what was answered to them."""

    def __init__(self, answers: Mapping[tuple[str, str], bytes]) -> None:
        self.answers = answers
        super().__init__(f"{len(answers)} requests were counted before")


class Astray(Exception):
    """An entry is stored, and a defect kept the book from taking it over: only a new start brings them together."""


class UsageLedger:
    """The usage tables of one database; other processes may write them at the same time if it is PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def shared(self) -> bool:
        """Whether other processes may count too."""
        return self._database.shared

    async def commit(self, entry: Entry, book: Book, at: float) -> None:
        """Stores `entry` and then adds it to `book`. Raises Repeated or Fenced, and then nothing was stored; or Astray,
        and it was."""
        sequence, numbers = await self._database.transact(lambda connection: self._store(connection, entry, at))
        try:
            await self._take_over(sequence, numbers, entry, book, at)
        except Exception as error:  # whatever it is: the entry is stored, and must not be tried again
            raise Astray from error

    async def _take_over(self, sequence: int, numbers: dict[Series, int], entry: Entry, book: Book, at: float) -> None:
        book.number(numbers)
        if sequence == book.applied + 1:
            book.apply(sequence, entry.deltas.items(), at)
        else:
            with suppress(StorageUnavailable):  # it is stored: the next look at the journal catches up
                await self.follow(book)

    def _store(self, connection: Connection, entry: Entry, at: float) -> tuple[int, dict[Series, int]]:
        """The number of the entry, and the numbers of the series that had none."""
        sequence = self._next(connection)
        for position in entry.positions:
            self._move(connection, position, at)
        if entry.keys:
            self._remember(connection, entry.keys, at)
        if entry.memory:
            self._keep(connection, entry.memory)
        numbers = self._numbers(connection, [one for one in entry.deltas if not one.id])
        deltas = [(one.id or numbers[one], one.shelf.kind.dump(delta)) for one, delta in entry.deltas.items()]
        row = {"seq": sequence, "at": at, "deltas": msgspec.msgpack.encode(deltas)}
        connection.execute(_APPEND, row)
        return sequence, numbers

    def _next(self, connection: Connection) -> int:
        """The number of the next entry. Who else commits waits here, so that entries appear in their order."""
        return int(connection.execute(_NEXT).scalar_one())

    def _move(self, connection: Connection, position: Position, at: float) -> None:
        where = and_(usage_positions.c.stream == position.stream, usage_positions.c.part == position.part)
        values = {"position": position.after, "at": at}
        if position.before:
            held = and_(where, usage_positions.c.position == position.before)
            moved = connection.execute(update(usage_positions).where(held).values(values))
        else:
            row = {"stream": position.stream, "part": position.part, **values}
            statement = self._database.insert(usage_positions).values(row).on_conflict_do_nothing()
            moved = connection.execute(statement)
        if moved.rowcount != 1:
            raise Fenced(position.stream, position.part)

    def _keep(self, connection: Connection, memory: Mapping[Row, bytes | None]) -> None:
        kept = [{**row._asdict(), "state": state} for row, state in memory.items() if state is not None]
        gone = [
            {f"gone_{name}": value for name, value in row._asdict().items()} for row in memory if memory[row] is None
        ]
        if kept:
            statement = self._database.insert(usage_memory)
            values = {"state": statement.excluded.state}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["part", "rule", "key"], set_=values), kept
            )
        if gone:
            connection.execute(_FORGET, gone)

    def _remember(self, connection: Connection, keys: Sequence[Keyed], at: float) -> None:
        for start in range(0, len(keys), KEYS_AT_ONCE):
            self._remember_some(connection, keys[start : start + KEYS_AT_ONCE], at)

    def _remember_some(self, connection: Connection, keys: Sequence[Keyed], at: float) -> None:
        rows = [{"source": one.source, "key": one.key, "answer": one.answer, "at": at} for one in keys]
        statement = self._database.insert(usage_keys).values(rows).on_conflict_do_nothing()
        stored = connection.execute(statement.returning(usage_keys.c.source, usage_keys.c.key))
        new = {(row.source, row.key) for row in stored}
        repeated = [(one.source, one.key) for one in keys if (one.source, one.key) not in new]
        if repeated:
            raise Repeated(_answers(connection.execute(_asked(repeated))))

    def _numbers(self, connection: Connection, new: Sequence[Series]) -> dict[Series, int]:
        """The numbers of series that have none yet; another process may have made them."""
        if not new:
            return {}
        rows = {(one.shelf.rule, one.shelf.kind.text, _labels(one)): one for one in new}
        values = [
            {"rule": rule, "kind": kind, "labels": labels, "created_at": one.created}
            for (rule, kind, labels), one in rows.items()
        ]
        connection.execute(self._database.insert(usage_series).on_conflict_do_nothing(), values)
        found: dict[Series, int] = {}
        rules = {rule for rule, _, _ in rows}
        statement = select(usage_series.c.id, usage_series.c.rule, usage_series.c.kind, usage_series.c.labels)
        for row in connection.execute(statement.where(usage_series.c.rule.in_(rules))):
            one = rows.get((row.rule, row.kind, row.labels))
            if one is not None:
                found[one] = row.id
        return found

    async def answers(self, requests: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """What was answered to those of these requests (source, idempotency key) that were stored."""
        found: dict[tuple[str, str], bytes] = {}
        async with self._database.read() as connection:
            for start in range(0, len(requests), KEYS_AT_ONCE):
                found |= _answers(await connection.execute(_asked(requests[start : start + KEYS_AT_ONCE])))
        return found

    # --- back to values

    async def load(self, book: Book) -> None:
        """Fills an empty book."""
        async with self._database.read() as connection:
            await self._load(connection, book)
            await self._replay(connection, book)

    async def _load(self, connection: AsyncConnection, book: Book) -> None:
        await self._know_series(connection, book)
        folded = (await connection.execute(select(usage_head.c.folded))).scalar_one()
        for row in await connection.execute(select(usage_totals)):
            for number, value, touched in msgspec.msgpack.decode(row.totals):
                one = book.numbered(number)
                if one is not None:
                    one.value, one.touched, one.since = one.shelf.kind.load(value), touched, row.seq
        book.applied = folded

    async def follow(self, book: Book) -> None:
        """Adds what others have committed since to `book`."""
        async with self._database.read() as connection:
            folded = (await connection.execute(select(usage_head.c.folded))).scalar_one()
            if folded > book.applied:
                await self._load(connection, book)
            await self._replay(connection, book)

    async def _know_series(self, connection: AsyncConnection, book: Book) -> None:
        statement = select(usage_series).where(usage_series.c.id > book.highest)
        for row in await connection.execute(statement):
            labels = [(name, value) for name, value in msgspec.json.decode(row.labels)]
            book.restore(row.id, row.rule, row.kind, labels, row.created_at)

    async def _replay(self, connection: AsyncConnection, book: Book) -> None:
        statement = select(usage_journal).where(usage_journal.c.seq > book.applied).order_by(usage_journal.c.seq)
        rows = (await connection.execute(statement)).all()
        if rows:
            await self._know_series(connection, book)
        for row in rows:
            deltas = []
            for number, stored in msgspec.msgpack.decode(row.deltas):
                one = book.numbered(number)
                if one is not None and one.since < row.seq:
                    deltas.append((one, one.shelf.kind.load(stored)))
            book.apply(row.seq, deltas, row.at)

    # --- folding

    async def journal_entries(self) -> int:
        """How many entries are not folded yet."""
        async with self._database.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(usage_journal))).scalar_one())

    async def fold(self, book: Book) -> None:
        """Folds the journal into the totals, some pages at a time, and forgets it up to there."""
        folded, grown = book.applied, book.take_grown()
        pages = sorted(grown)
        try:
            for start in range(0, len(pages), PAGES_AT_ONCE):
                await self._write_pages(book, pages[start : start + PAGES_AT_ONCE])
            async with self._database.write() as connection:
                await connection.execute(update(usage_head).where(usage_head.c.folded < folded).values(folded=folded))
                await connection.execute(delete(usage_journal).where(usage_journal.c.seq <= folded))
        except BaseException:  # a cancelled write too: what has grown waits for the next one
            book.put_back(grown)
            raise

    async def _write_pages(self, book: Book, pages: Iterable[int]) -> None:
        rows = [{"page": page, "seq": book.applied, "totals": _page(book, page)} for page in pages]
        statement = self._database.insert(usage_totals)
        newer = statement.excluded.seq >= usage_totals.c.seq
        values = {"seq": statement.excluded.seq, "totals": statement.excluded.totals}
        statement = statement.on_conflict_do_update(index_elements=["page"], set_=values, where=newer)
        async with self._database.write() as connection:
            await connection.execute(statement, rows)

    async def forget_positions(self, stream: str, keep: Collection[str], before: float) -> None:
        """Drops the positions of `stream` that have not moved since `before`, but for those of the parts in `keep`."""
        old = and_(usage_positions.c.stream == stream, usage_positions.c.at < before)
        async with self._database.write() as connection:
            await connection.execute(delete(usage_positions).where(old, usage_positions.c.part.not_in(list(keep))))

    async def forget_keys(self, now: float) -> None:
        """Drops the idempotency keys that are too old to come again."""
        async with self._database.write() as connection:
            await connection.execute(delete(usage_keys).where(usage_keys.c.at < now - KEEP_KEYS_SECONDS))

    async def memory(self, parts: Collection[str]) -> AsyncGenerator[list[tuple[Row, bytes]], None]:
        """What rules about keys remember in these parts, in pages. Each is a transaction of its own, so that no number
        of keys is too great for one; rows that come meanwhile, behind those that were told, are told as well."""
        for part in sorted(parts):
            last = Row(part, "", "")
            while page := await self._remembered(last):
                yield page
                last, _ = page[-1]

    async def _remembered(self, last: Row) -> list[tuple[Row, bytes]]:
        """The rows of a part that come next behind `last`, in the order of their primary key."""
        key = tuple_(usage_memory.c.rule, usage_memory.c.key)
        statement = select(usage_memory).where(usage_memory.c.part == last.part, key > tuple_(last.rule, last.key))
        statement = statement.order_by(usage_memory.c.rule, usage_memory.c.key).limit(ROWS_AT_ONCE)
        async with self._database.read() as connection:
            return [(Row(*place), state) for *place, state in await connection.execute(statement)]

    async def positions(self, stream: str) -> dict[str, str]:
        """How far each part of `stream` was read."""
        statement = select(usage_positions.c.part, usage_positions.c.position).where(usage_positions.c.stream == stream)
        async with self._database.read() as connection:
            return {row.part: row.position for row in await connection.execute(statement)}


def _asked(requests: Sequence[tuple[str, str]]) -> Select[Any]:
    return select(usage_keys).where(tuple_(usage_keys.c.source, usage_keys.c.key).in_(requests))


def _answers(rows: Result[Any]) -> dict[tuple[str, str], bytes]:
    return {(row.source, row.key): row.answer for row in rows}


def _labels(one: Series) -> str:
    return msgspec.json.encode(list(zip(one.shelf.names, one.labels, strict=True))).decode()


def _page(book: Book, page: int) -> bytes:
    return msgspec.msgpack.encode([(one.id, one.shelf.kind.dump(one.value), one.touched) for one in book.of_page(page)])
