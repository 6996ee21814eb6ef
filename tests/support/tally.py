"""A small ledger for tests of sources: what was counted and how far each part was read, in one SQLite file that several
processes may use. It keeps the promises of `exporter.usage.delivery.Partitioned` and counts without rules."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from exporter.bodies import Reject
from exporter.usage.delivery import Fenced, Format, Hold, Position, Taken
from toolkit.storage import StorageUnavailable

SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (event TEXT PRIMARY KEY, value INTEGER NOT NULL, total INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS positions (stream TEXT, part TEXT, at TEXT NOT NULL, PRIMARY KEY (stream, part));
"""
BUSY_SECONDS = 60.0
Counts = dict[str, tuple[int, int]]
"""By event: how many, and the sum of their numbers `n`, so that one lost and one doubled do not look alike."""


class Tally:
    """The ledger at `path`. `broken` lets it refuse everything, as one that is out of reach."""

    def __init__(self, path: Path) -> None:
        self._path, self.broken = path, False
        self.watched, self.held = False, dict[str, Hold]()
        self.records = 0
        """How many came, each apart from the others."""
        self.sent = list[float]()
        """When they were sent."""
        with self._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)

    async def take(
        self,
        source: str,
        body: bytes | Sequence[bytes],
        form: Format,
        positions: Sequence[Position] = (),
        *,
        part: str = "",  # noqa: ARG002 - keys are not remembered here
        sent: Sequence[float] = (),
    ) -> Taken:
        """See Partitioned. An event is `{"event": ..., "n": ...}`; a line is an event of the source's name."""
        records = [body] if isinstance(body, bytes) else list(body)
        self.records += len(records)
        self.sent += sent
        if form == "lines":
            found: list[tuple[str, int]] = [(source, 1) for record in records for line in record.splitlines() if line]
        else:
            found = [event for record in records if (event := _event(record))]
        await asyncio.to_thread(self._commit, found, positions)
        rejected = len(records) - len(found) if form != "lines" else 0
        rejects = (Reject(1, "no event"),) if rejected else ()
        return Taken(len(found), len(found), rejected, rejects)

    async def positions(self, stream: str) -> Mapping[str, str]:
        """See Partitioned."""
        return await asyncio.to_thread(self.read_positions, stream)

    async def hold(self, stream: str, parts: Collection[str]) -> Hold:
        """See Partitioned. Keys are remembered by nobody; who reads what is noted."""
        self.held[stream] = Hold(frozenset(parts), self.watched)
        return self.held[stream]

    def release(self, stream: str) -> None:
        """See Partitioned."""
        self.held.pop(stream, None)

    def _commit(self, found: Sequence[tuple[str, int]], positions: Sequence[Position]) -> None:
        counts: Counter[str] = Counter(event for event, _ in found)
        totals: Counter[str] = Counter()
        for event, number in found:
            totals[event] += number
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for position in positions:
                if _at(connection, position) != position.before:
                    connection.execute("ROLLBACK")
                    raise Fenced(position.stream, position.part)
                row = (position.stream, position.part, position.after)
                connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", row)
            add = "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value, total = total + excluded.total"
            connection.executemany(add, [(event, counts[event], totals[event]) for event in counts])
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if self.broken:
            raise StorageUnavailable("io")
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing by it
                yield connection
        except sqlite3.OperationalError as error:
            raise StorageUnavailable("locked", str(error)) from error

    def read_positions(self, stream: str) -> dict[str, str]:
        """How far each part of `stream` was read."""
        with self._connected() as connection:
            return dict(connection.execute("SELECT part, at FROM positions WHERE stream = ?", (stream,)).fetchall())

    def move(self, position: Position) -> None:
        """Moves a part's position, as another process would that has read on."""
        self._commit([], [position])

    @property
    def counts(self) -> Counts:
        """What was counted."""
        with self._connected() as connection:
            rows = connection.execute("SELECT event, value, total FROM counts").fetchall()
        return {event: (value, total) for event, value, total in rows}

    @property
    def count(self) -> int:
        """How many events were counted."""
        return sum(value for value, _ in self.counts.values())


def _event(record: bytes) -> tuple[str, int] | None:
    try:
        item = json.loads(record)
        return item["event"], item["n"]
    except (ValueError, TypeError, KeyError):
        return None


def _at(connection: sqlite3.Connection, position: Position) -> str:
    row = connection.execute(
        "SELECT at FROM positions WHERE stream = ? AND part = ?", (position.stream, position.part)
    ).fetchone()
    return row[0] if row else ""
