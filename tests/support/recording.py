"""An intake that stands for the counting and the ledger: it keeps what was delivered, and compares and sets positions."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from exporter.usage.delivery import Fenced, Format, Position, Taken

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS positions (stream TEXT, part TEXT, place TEXT, PRIMARY KEY (stream, part))",
    "CREATE TABLE IF NOT EXISTS bodies (source TEXT, form TEXT, body BLOB)",
)


class RecordingIntake:
    """Keeps bodies and positions in one SQLite transaction, in memory unless a file is given.

    `before` is called ahead of each delivery and `after` once it is committed: a test raises there what a ledger may.
    """

    def __init__(self, file: Path | str = ":memory:") -> None:
        self._database = sqlite3.connect(file, timeout=60, isolation_level=None)
        for statement in _SCHEMA:
            self._database.execute(statement)
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.forgotten: list[tuple[str, frozenset[str], float]] = []

    async def take(
        self, source: str, body: bytes | Sequence[bytes], form: Format, positions: Sequence[Position] = ()
    ) -> Taken:
        """As Intake.take."""
        assert isinstance(body, bytes)
        self.before()
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for position in positions:
                self._move(position)
            if body:
                self._database.execute("INSERT INTO bodies VALUES (?, ?, ?)", (source, form, body))
        self.after()
        count = len(body.splitlines())
        return Taken(count, count, 0, ())

    def _move(self, position: Position) -> None:
        held = self._place(position.stream, position.part)
        if held != position.before:
            raise Fenced(position.stream, position.part)
        self._database.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (position.stream, position.part, position.after)
        )

    def _place(self, stream: str, part: str) -> str:
        row = self._database.execute(
            "SELECT place FROM positions WHERE stream = ? AND part = ?", (stream, part)
        ).fetchone()
        return row[0] if row else ""

    async def positions(self, stream: str) -> Mapping[str, str]:
        """As Intake.positions."""
        return dict(self._database.execute("SELECT part, place FROM positions WHERE stream = ?", (stream,)))

    async def forget(self, stream: str, keep: Collection[str], age: float) -> None:
        """Notes what it was told; nothing here is old."""
        self.forgotten.append((stream, frozenset(keep), age))

    @property
    def bodies(self) -> list[bytes]:
        """What was delivered, in order."""
        return [body for (body,) in self._database.execute("SELECT body FROM bodies ORDER BY rowid")]

    @property
    def lines(self) -> Counter[bytes]:
        """How often each line was delivered."""
        return Counter(line for body in self.bodies for line in body.splitlines())

    def entries(self, split: Callable[[bytes], Iterable[bytes]]) -> Counter[bytes]:
        """How often each entry was delivered; `split` tells a body's entries from one another."""
        return Counter(entry for body in self.bodies for entry in split(body))

    def close(self) -> None:
        """Closes the database."""
        self._database.close()
