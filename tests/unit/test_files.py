"""Files as a source: timelines on real files, with an intake that compares and sets positions as the ledger does."""

import asyncio
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exposition import render
from exporter.usage.delivery import Position
from exporter.usage.sources.files import FileSettings, FileSource, lint
from exporter.usage.sources.files import piece as pieces
from exporter.usage.sources.files.counts import families
from exporter.usage.sources.files.mark import EDGE_BYTES, Mark, read_mark
from exporter.usage.sources.files.piece import PIECE_BYTES, Framing, Piece, Place, WholeLines, cut
from tests.support.following import JOINED
from tests.support.recording import RecordingIntake
from toolkit import configfile
from toolkit.storage import StorageUnavailable

IDLE = 60.0


class Timeline:
    """A folder of logs, a ledger that outlives the source, and a clock that a test moves."""

    def __init__(self, folder: Path, **given: object) -> None:
        self.folder, self.at = folder, 1000.0
        data = {"name": "app", "paths": ["*.log"], "start": "beginning", **given}
        self._settings = FileSettings.model_validate(data, context={"base": folder})
        self.framing: Framing = WholeLines()
        self.intake = RecordingIntake()
        self.source = self._made()

    def _made(self) -> FileSource:
        return FileSource(
            self._settings, self.intake, self.framing, self.intake, lambda: self.at, structlog.get_logger()
        )

    def write(self, name: str, text: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(text)

    async def poll(self) -> None:
        """Looks until there is nothing more to read."""
        while await self.source.poll():
            pass

    async def idle(self) -> None:
        self.at += IDLE
        await self.poll()

    def restart(self) -> None:
        """As kill -9 does: nothing but the ledger is left."""
        self.source.close()
        self.source = self._made()

    @property
    def text(self) -> bytes:
        return b"".join(self.intake.bodies)

    def close(self) -> None:
        self.source.close()
        self.intake.close()


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Callable[..., Timeline]]:
    timelines: list[Timeline] = []

    def make(**given: object) -> Timeline:
        timelines.append(Timeline(tmp_path, **given))
        return timelines[-1]

    yield make
    for timeline in timelines:
        timeline.close()


Made = Callable[..., Timeline]

# --- what is read


async def test_lines_are_delivered_as_they_come_and_half_a_line_waits_for_its_end(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\ntw")
    await t.poll()
    assert t.text == b"one\n"
    assert t.source.counts.lag == 2
    t.write("a.log", b"o\nthree\n")
    await t.poll()
    assert t.intake.bodies == [b"one\n", b"two\nthree\n"]
    assert (t.source.counts.lag, t.source.counts.files) == (0, 1)


async def test_a_last_line_without_its_newline_is_taken_once_the_file_is_idle(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\nlast")
    await t.poll()
    t.at += IDLE - 1
    await t.poll()
    assert t.text == b"one\n"
    await t.idle()
    assert t.text == b"one\nlast"


@pytest.mark.parametrize("framing", [WholeLines(), JOINED], ids=["a line", "an entry of several lines"])
async def test_what_is_half_written_when_a_long_wait_ends_is_not_taken_for_whole(made: Made, framing: Framing) -> None:
    t = made()
    t.framing = framing
    t.restart()
    await t.poll()  # the pattern has begun

    def outage() -> None:
        t.intake.before = lambda: None
        t.at += IDLE
        t.write("a.log", b"3 half")

    t.intake.before = outage
    t.write("a.log", b"1 one\n2 two\n")
    await t.source.poll()
    t.write("a.log", b" of it\n")
    await t.poll()
    await t.idle()
    assert t.text == b"1 one\n2 two\n3 half of it\n"
    assert t.intake.bodies[-1].endswith(b"3 half of it\n")


async def test_an_entry_of_several_lines_waits_for_the_next_or_for_quiet(made: Made) -> None:
    t = made()
    t.framing = JOINED
    t.restart()
    t.write("a.log", b"1 failed\n  at a\n")
    await t.poll()
    t.write("a.log", b"  at b\n2 ok\n")
    await t.poll()
    assert t.intake.bodies == [b"1 failed\n  at a\n  at b\n"]
    assert t.source.counts.lag == len(b"2 ok\n")
    t.restart()
    await t.poll()
    t.at += 4
    await t.poll()
    assert len(t.intake.bodies) == 1
    t.at += 1
    await t.poll()
    assert t.intake.bodies[1:] == [b"2 ok\n"]


async def test_an_entry_that_never_ends_is_cut_and_its_rest_passed_over_also_after_a_restart(made: Made) -> None:
    t = made()
    t.framing = JOINED
    t.restart()
    t.write("a.log", b"1 first\n2 endless\n" + b"  at a\n" * 500_000)
    await t.poll()
    t.restart()
    t.write("a.log", b"  at b\n" * 500_000 + b"3 after\n4 last\n")
    await t.poll()
    first, second, third = t.intake.bodies
    assert (first, third) == (b"1 first\n", b"3 after\n")
    assert second.startswith(b"2 endless\n  at a\n")
    assert PIECE_BYTES - 10 < len(second) <= PIECE_BYTES
    assert b"at b" not in second


async def test_with_start_end_the_rest_of_an_entry_is_no_entry(made: Made) -> None:
    t = made(start="end")
    t.framing = JOINED
    t.restart()
    t.write("a.log", b"1 old\n  at a\n")
    await t.poll()
    t.write("a.log", b"  at b\n2 new\n  at c\n3 last\n")
    await t.poll()
    assert t.intake.bodies == [b"2 new\n  at c\n"]


async def test_a_renamed_file_gives_its_last_entry_once(made: Made) -> None:
    t = made(paths=["a.log*"])
    t.framing = JOINED
    t.restart()
    t.write("a.log", b"1 a\n")
    await t.poll()
    (t.folder / "a.log").rename(t.folder / "a.log.1")
    t.restart()
    t.write("a.log.1", b" more\n")
    t.write("a.log", b"2 b\n")
    await t.poll()
    await t.idle()
    assert sorted(t.intake.bodies) == [b"1 a\n more\n", b"2 b\n"]


async def test_a_large_file_comes_in_pieces_of_whole_lines(made: Made) -> None:
    t = made()
    line = b"x" * 99 + b"\n"
    t.write("a.log", line * 50_000)
    await t.poll()
    assert t.text == line * 50_000
    assert max(map(len, t.intake.bodies)) <= PIECE_BYTES
    assert all(body.endswith(b"\n") for body in t.intake.bodies)


async def test_a_line_that_is_too_long_is_passed_over_and_counted_once(made: Made) -> None:
    t = made()
    t.write("a.log", b"before\n" + b"x" * (3 * PIECE_BYTES))
    await t.poll()
    await t.poll()
    assert t.text == b"before\n"
    t.write("a.log", b"x\nafter\n")
    await t.poll()
    assert t.text == b"before\nafter\n"
    assert t.source.counts.long_lines == 1


async def test_a_restart_within_a_line_that_is_too_long_does_not_take_its_rest_for_a_line(made: Made) -> None:
    t = made()
    t.write("a.log", b"before\n" + b"x" * (2 * PIECE_BYTES))
    await t.poll()
    t.restart()
    t.write("a.log", b"rest\nafter\n")
    await t.poll()
    assert t.text == b"before\nafter\n"


async def test_nul_bytes_that_a_crash_left_are_left_out_and_counted(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n" + b"\0" * 5000 + b"two\nth\0ree\n")
    await t.poll()
    assert t.text == b"one\ntwo\nthree\n"
    assert t.source.counts.nul_bytes == 5001


async def test_a_writer_that_goes_on_at_its_old_offset_after_a_cut_leaves_a_hole_that_is_passed_over(
    made: Made,
) -> None:
    t = made()
    with (t.folder / "a.log").open("wb", buffering=0) as writer:
        writer.write(b"x" * 3 * PIECE_BYTES + b"\n")
        await t.poll()
        os.truncate(t.folder / "a.log", 0)
        writer.write(b"new\n")  # the file is a hole, and this behind it
        await t.poll()
    assert t.text == b"new\n"


async def test_an_empty_file_a_folder_a_pipe_and_a_compressed_rotation_give_nothing(made: Made) -> None:
    t = made(paths=["*"])
    t.write("empty.log", b"")
    t.write("a.log.1.gz", b"\x1f\x8b compressed\n")
    (t.folder / "folder.log").mkdir()
    os.mkfifo(t.folder / "pipe.log")
    await t.poll()
    assert (t.text, t.source.counts.files, sum(t.source.counts.errors.values())) == (b"", 1, 0)


async def test_a_symbolic_link_is_the_file_it_leads_to_also_when_it_leads_elsewhere_later(made: Made) -> None:
    t = made(paths=["current.log"])
    t.write("monday", b"one\n")
    (t.folder / "current.log").symlink_to("monday")
    await t.poll()
    t.write("monday", b"two\n")
    t.write("tuesday", b"three\n")
    (t.folder / "current.log").unlink()
    (t.folder / "current.log").symlink_to("tuesday")
    await t.poll()
    assert sorted(t.text.splitlines()) == [b"one", b"three", b"two"]


async def test_a_file_of_several_names_is_read_once(made: Made) -> None:
    t = made(paths=["*.log", "a.*"])
    t.write("a.log", b"one\n")
    os.link(t.folder / "a.log", t.folder / "b.log")
    (t.folder / "c.log").symlink_to("a.log")
    await t.poll()
    assert t.text == b"one\n"


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_thousands_of_files_are_read_with_few_of_them_open(made: Made) -> None:
    t = made(paths=["**/*.log"])
    for number in range(3000):
        folder = t.folder / f"{number % 30}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.log").write_bytes(b"%d\n" % number)
    before = _open_files()
    await t.poll()
    assert _open_files() - before <= 260
    assert t.intake.lines == Counter({b"%d" % number: 1 for number in range(3000)})
    await t.idle()
    assert _open_files() - before <= 4


# --- where a file begins


async def test_with_start_end_what_is_there_at_first_is_left_out_but_a_line_under_way_is_not(made: Made) -> None:
    t = made(start="end")
    t.write("a.log", b"old\nhalf ")
    await t.poll()
    t.write("a.log", b"a line\nnew\n")
    t.write("b.log", b"a file that came later\n")
    await t.poll()
    assert sorted(t.text.splitlines()) == [b"a file that came later", b"half a line", b"new"]


async def test_with_start_end_a_file_that_came_while_nobody_looked_is_read_whole(made: Made) -> None:
    t = made(start="end")
    await t.poll()
    t.restart()
    t.write("a.log", b"one\n")
    await t.poll()
    assert t.text == b"one\n"


async def test_a_pattern_that_is_added_later_has_its_own_start(made: Made) -> None:
    t = made(start="end")
    t.write("a.log", b"old\n")
    t.write("b.txt", b"old\n")
    await t.poll()
    data = {"name": "app", "paths": ["*.log", "*.txt"]}
    t._settings = FileSettings.model_validate(data, context={"base": t.folder})
    t.restart()
    t.write("c.log", b"new\n")
    await t.poll()
    t.write("b.txt", b"grown\n")
    await t.poll()
    assert t.text == b"new\ngrown\n"


# --- rotation


async def test_a_file_that_was_renamed_is_read_to_its_end_though_no_pattern_matches_it(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    (t.folder / "a.log").rename(t.folder / "a.log.1")
    t.write("a.log.1", b"written after the renaming\n")
    t.write("a.log", b"two\n")
    await t.poll()
    t.write("a.log.1", b"and later still\nwithout an end")
    await t.poll()
    await t.idle()
    await t.idle()
    assert t.intake.lines == Counter(
        [b"one", b"written after the renaming", b"two", b"and later still", b"without an end"]
    )


async def test_a_file_that_was_renamed_while_nobody_looked_is_read_on_where_the_ledger_stands(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    t.restart()
    t.write("a.log", b"two\n")
    (t.folder / "a.log").rename(t.folder / "a.log.1")
    t.write("a.log", b"three\n")
    await t.poll()
    assert sorted(t.text.splitlines()) == [b"one", b"three", b"two"]


async def test_a_file_that_was_renamed_before_it_had_a_whole_line_is_known_after_a_restart(made: Made) -> None:
    t = made()
    t.write("a.log", b"half")
    await t.poll()
    (t.folder / "a.log").rename(t.folder / "a.log.1")
    t.restart()
    t.write("a.log.1", b" a line\n")
    await t.poll()
    assert t.text == b"half a line\n"


async def test_a_file_that_was_renamed_to_what_the_pattern_matches_is_not_read_again(made: Made) -> None:
    t = made(paths=["a.log*"])
    t.write("a.log", b"one\n")
    await t.poll()
    (t.folder / "a.log").rename(t.folder / "a.log.1")
    t.write("a.log", b"two\n")
    t.restart()
    await t.poll()
    assert t.text == b"one\ntwo\n"


async def test_a_file_that_is_open_is_read_to_its_end_after_its_deletion(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    with (t.folder / "a.log").open("ab", buffering=0) as writer:
        (t.folder / "a.log").unlink()
        writer.write(b"two\n")
        await t.poll()
    assert t.text == b"one\ntwo\n"
    await t.idle()
    assert (t.source.counts.files, t.source.counts.lag) == (0, 0)


async def test_a_deleted_file_is_not_let_go_while_there_is_much_to_read_though_nobody_writes_to_it(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    line = b"x" * 1023 + b"\n"
    t.write("a.log", line * 40_000)
    (t.folder / "a.log").unlink()
    while await t.source.poll():
        t.at += IDLE
    assert len(t.text) == 4 + len(line) * 40_000


Meanwhile = Callable[[Timeline], None]


def _rotate(t: Timeline) -> None:
    (t.folder / "a.log").rename(t.folder / "a.log.1")


def _rotate_and_go_on(t: Timeline) -> None:
    _rotate(t)
    t.write("a.log.1", b"written after the renaming\n")
    t.write("a.log", b"new\n")


MEANWHILE: list[tuple[str, Meanwhile, list[bytes]]] = [
    ("it is renamed", _rotate, []),
    ("it is renamed, written to, and a new one begun", _rotate_and_go_on, [b"written after the renaming", b"new"]),
]


@pytest.mark.parametrize("is_known", [False, True], ids=["a new file", "a known file"])
@pytest.mark.parametrize("fails", ["", "before", "after"])
@pytest.mark.parametrize(("meanwhile", "more"), [row[1:] for row in MEANWHILE], ids=[row[0] for row in MEANWHILE])
async def test_what_becomes_of_a_file_while_its_lines_wait_neither_loses_nor_doubles_them(
    made: Made, meanwhile: Meanwhile, more: list[bytes], fails: str, is_known: bool
) -> None:
    t = made()
    await t.poll()  # the pattern has begun
    if is_known:
        t.write("a.log", b"zero\n")
        await t.poll()
    t.write("a.log", b"one\n" * 3 + b"x" * 2 * PIECE_BYTES + b"\nlast\n")

    def waiting() -> None:
        t.intake.before = t.intake.after = lambda: None
        if fails:
            setattr(t.intake, fails, _raise_once())
        meanwhile(t)

    t.intake.before = waiting
    await t.poll()
    await t.idle()
    truth = Counter([b"one"] * 3 + [b"last"] + more + ([b"zero"] if is_known else []))
    assert t.intake.lines == truth


async def test_a_file_that_has_its_name_only_while_the_ledger_can_not_be_written_is_read(made: Made) -> None:
    t = made(interval="50ms")
    await t.poll()
    t.write("a.log", b"one\n")
    names = iter(["b.txt", "c.txt"])

    def rotate() -> None:
        (t.folder / "a.log").rename(t.folder / next(names))

    def unable() -> None:
        log = t.folder / "a.log"
        if not (t.folder / "b.txt").exists():
            rotate()
            t.write("a.log", b"two\n")
        elif log.exists() and any(inode == log.stat().st_ino for _, inode in t.source._glimpsed):
            rotate()
            t.intake.before = lambda: None
        raise StorageUnavailable("io")

    t.intake.before = unable
    async with asyncio.timeout(60):
        await t.poll()
    await t.idle()
    assert t.intake.lines == Counter([b"one", b"two"])


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("less than was read", b"one\ntwo\nthree\n", b"four\n"),
        ("more than was read", b"one\n", b"two\nthree\nfour\n"),
        ("as much, and then more", b"one\n", b"two\n"),
        ("the same first line", b"begin\none\n", b"begin\ntwo\nthree\n"),
    ],
)
async def test_a_file_that_was_cut_off_and_written_anew_is_begun_anew(
    made: Made, what: str, old: bytes, new: bytes
) -> None:
    t = made()
    t.write("a.log", old)
    await t.poll()
    os.truncate(t.folder / "a.log", 0)
    t.write("a.log", new)
    if what == "as much, and then more":
        t.write("a.log", b"more\n")
        new += b"more\n"
    await t.poll()
    assert t.text == old + new
    assert t.source.counts.truncations == 1


async def test_a_file_that_is_cut_off_while_it_is_read_gives_no_line_twice_and_none_in_part(made: Made) -> None:
    t = made()
    written: set[bytes] = set()

    def write_and_cut() -> None:
        for turn in range(300):
            lines = [b"%d %d %s" % (turn, number, b"x" * (turn % 50)) for number in range(turn % 97)]
            written.update(lines)
            t.write("a.log", b"".join(line + b"\n" for line in lines))
            if turn % 3 == 0:
                os.truncate(t.folder / "a.log", 0)

    writing = asyncio.create_task(asyncio.to_thread(write_and_cut))
    while not writing.done():
        await t.source.poll()
    await writing
    await t.poll()
    assert set(t.intake.lines) <= written
    assert set(t.intake.lines.values()) == {1}


async def test_a_file_that_was_cut_off_while_nobody_looked_is_begun_anew(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    t.restart()
    os.truncate(t.folder / "a.log", 0)
    t.write("a.log", b"two\nthree\n")
    await t.poll()
    assert t.text == b"one\ntwo\nthree\n"


async def test_a_file_that_got_the_inode_of_another_is_begun_anew_and_nothing_is_read_of_one_that_isnt_ours(
    made: Made,
) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    t.restart()
    inode = (t.folder / "a.log").stat().st_ino
    (t.folder / "a.log").rename(t.folder / "other.txt")
    (t.folder / "other.txt").write_bytes(b"this is nobody's log\n")
    assert (t.folder / "other.txt").stat().st_ino == inode
    await t.poll()
    assert t.text == b"one\n"
    (t.folder / "other.txt").rename(t.folder / "b.log")
    await t.poll()
    assert t.text == b"one\nthis is nobody's log\n"


async def test_where_the_device_has_another_number_the_file_is_known_by_its_inode_and_content(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    status = (t.folder / "a.log").stat()
    with (t.folder / "a.log").open("rb") as file:
        mark = read_mark(file.fileno(), 4).text
    was = Position("file:app", f"{status.st_dev + 1}:{status.st_ino}", "", mark)
    await t.intake.take("app", b"one\n", "lines", [was])
    t.write("a.log", b"two\n")
    await t.poll()
    assert t.text == b"one\ntwo\n"


# --- the ledger


async def test_a_ledger_that_fails_before_or_after_its_commit_gets_the_same_lines_until_it_has_them_once(
    made: Made,
) -> None:
    t = made()
    failures = [StorageUnavailable("locked")] * 4

    def fail() -> None:
        if failures:
            raise failures.pop()

    t.intake.before = fail
    t.write("a.log", b"one\n")
    await t.poll()
    failures = [StorageUnavailable("io")] * 2
    t.intake.before, t.intake.after = lambda: None, fail  # committed, but the answer is lost
    t.write("a.log", b"two\n")
    await t.poll()
    t.write("a.log", b"three\n")
    await t.poll()
    assert t.text == b"one\ntwo\nthree\n"


async def test_of_two_that_read_the_same_files_each_line_is_delivered_by_one(made: Made) -> None:
    one = made()
    other = one._made()
    try:
        for number in range(20):
            one.write("a.log", b"%d\n%d more\n" % (number, number))
            await asyncio.gather(one.source.poll(), other.poll())
        await one.poll()
    finally:
        other.close()
    assert set(one.intake.lines.values()) == {1}
    assert one.intake.lines.total() == 40


async def test_the_ledger_is_told_once_an_hour_which_parts_are_still_wanted(made: Made) -> None:
    t = made()
    t.write("a.log", b"one\n")
    await t.poll()
    t.at += 3600
    await t.poll()
    stream, keep, age = t.intake.forgotten[-1]
    status = (t.folder / "a.log").stat()
    assert len(t.intake.forgotten) == 1
    assert (stream, age) == ("file:app", 7 * 86400)
    assert keep == {f"{status.st_dev}:{status.st_ino}", f"begun {t.folder}/*.log"}


async def test_a_source_that_runs_delivers_until_it_is_cancelled(made: Made) -> None:
    t = made(interval="50ms")
    running = asyncio.create_task(t.source.run())
    for number in range(3):
        t.write("a.log", b"%d\n" % number)
        async with asyncio.timeout(60):
            while len(t.intake.bodies) <= number:
                await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert t.text == b"0\n1\n2\n"


# --- what can't be read


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that others may enter, while the test is not root: root may read everything."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        was = os.geteuid()
        if was == 0:
            (Path(name) / "secret.log").write_bytes(b"one\n")
            (Path(name) / "secret.log").chmod(0o600)
            os.seteuid(65534)
        else:
            (Path(name) / "secret.log").write_bytes(b"one\n")
            (Path(name) / "secret.log").chmod(0)
        yield Path(name)
        os.seteuid(was)


async def test_a_file_that_we_may_not_read_is_named_once_counted_and_read_as_soon_as_we_may(as_nobody: Path) -> None:
    t = Timeline(as_nobody)
    with structlog.testing.capture_logs() as logs:
        await t.poll()
        await t.poll()
    assert t.text == b""
    assert t.source.counts.errors["permission"] == 2
    assert [log["path"] for log in logs] == [str(as_nobody / "secret.log")]
    if os.getuid() == 0:
        os.seteuid(0)
    (as_nobody / "secret.log").chmod(0o644)
    await t.poll()
    assert t.text == b"one\n"
    t.close()


async def test_links_that_lead_in_a_circle_are_an_error_and_the_others_are_read(made: Made) -> None:
    t = made()
    (t.folder / "a.log").symlink_to("b.log")
    (t.folder / "b.log").symlink_to("a.log")
    t.write("c.log", b"one\n")
    await t.poll()
    assert t.text == b"one\n"
    assert t.source.counts.errors["io"] >= 2


# --- pure parts


@given(st.lists(st.binary(max_size=700), max_size=8))
def test_a_mark_made_of_what_was_read_is_the_one_that_the_file_shows(pieces: list[bytes]) -> None:
    with tempfile.TemporaryFile() as file:
        mark = Mark()
        for piece in pieces:
            mark = mark.after(piece, within=False)
        file.write(b"".join(pieces) + b"what came later" * EDGE_BYTES)
        file.flush()
        assert read_mark(file.fileno(), mark.offset) == mark


CUTS = [
    ("whole lines are taken, the rest waits", b"a\nb\nc", {}, Piece(b"a\nb\n", 4)),
    ("half a line waits", b"a", {}, Piece(b"", 0)),
    ("nothing gives nothing", b"", {}, Piece(b"", 0)),
    ("a piece without any newline is too long a line", b"x" * PIECE_BYTES, {}, Piece(b"", PIECE_BYTES, True, 1)),
    ("within it the next newline ends it", b"x\ny\n", {"within": True, "fresh": False}, Piece(b"y\n", 4)),
    ("within it no newline goes on", b"xxx", {"within": True, "fresh": False}, Piece(b"", 3, True)),
    ("what goes on where a line begins is a line", b"y\n", {"within": True}, Piece(b"y\n", 2)),
    ("NULs ahead of half a line are passed over", b"\0\0a", {}, Piece(b"", 2, nul_bytes=2)),
    ("carriage returns stay", b"a\r\nb", {}, Piece(b"a\r\n", 3)),
    ("at the end half a line is one", b"a\nb", {"final": True}, Piece(b"a\nb", 3)),
]
JOINED_CUTS = [
    ("the last entry waits", b"1\n a\n2\n b\n", {}, Piece(b"1\n a\n", 5)),
    ("and so it does alone", b"1\n a\n", {}, Piece(b"", 0)),
    ("until it is quiet", b"1\n a\n2\n b\n c", {"quiet": 5.0}, Piece(b"1\n a\n2\n b\n", 10)),
    ("or the file is over", b"1\n a\n b", {"final": True}, Piece(b"1\n a\n b", 7)),
    ("an entry of a whole piece is cut", b"1\n" + b" a\n" * 349_525, {}, Piece(b"1\n" + b" a\n" * 349_524, 1_048_574, True, 1)),
    ("its rest is passed over", b" a\n b\n2\n c\n3\n", {"within": True}, Piece(b"2\n c\n", 11)),
    ("as far as whole lines go", b" a\n b", {"within": True}, Piece(b"", 3, True)),
    ("also where it was cut in a line", b"a2\n b\n3\n4", {"within": True, "fresh": False}, Piece(b"", 6)),
    ("the beginning of the next may be half a line", b"2", {"within": True}, Piece(b"", 0, True)),
    ("or the last one", b"2", {"within": True, "final": True}, Piece(b"2", 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("framing", "raw", "place", "piece"),
    [(WholeLines(), *row[1:]) for row in CUTS] + [(JOINED, *row[1:]) for row in JOINED_CUTS],
    ids=[row[0] for row in [*CUTS, *JOINED_CUTS]],
)
def test_cut(framing: Framing, raw: bytes, place: dict[str, Any], piece: Piece) -> None:
    assert cut(raw[:PIECE_BYTES], Place(**place), framing) == piece


ENTRY = st.tuples(st.integers(0, 9), st.lists(st.integers(0, 6), max_size=9)).map(
    lambda one: b"%d first\n" % one[0] + b"".join(b" " + b"x" * length + b"\n" for length in one[1])
)


@given(st.lists(ENTRY, max_size=12), st.lists(st.integers(1, 90), max_size=40), st.booleans())
def test_entries_come_whole_and_once_however_they_were_written(
    entries: list[bytes], writes: list[int], are_long: bool
) -> None:
    """Beyond a piece, here of 32 or 256 bytes, only the beginning of an entry comes. What is known between two looks is
    a mark alone."""
    content, mark, found, there = b"".join(entries), Mark(), list[bytes](), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_BYTES", size := 32 if are_long else 256)
        for write in [*writes, len(content), len(content)]:
            there = min(there + write, len(content))
            is_over = there == len(content)
            while True:
                raw = content[mark.offset : min(there, mark.offset + size)]
                fresh = not mark.offset or mark.tail.endswith(b"\n")
                is_last = is_over and len(raw) < size
                piece = cut(raw, Place(mark.within, fresh, 60.0 * is_last, is_last), JOINED)
                mark = mark.after(raw[: piece.length], piece.within)
                found += JOINED.split(piece.body)
                if not piece.length:
                    break
    assert mark.offset == len(content)
    assert len(found) == len(entries)
    assert all(entry.startswith(one) if are_long else entry == one for entry, one in zip(entries, found, strict=True))


def test_the_series_of_a_source_stand_at_zero_from_the_start(tmp_path: Path) -> None:
    t = Timeline(tmp_path)
    text = render(families([t.source.counts]), openmetrics=False).decode()
    t.close()
    assert 'tocsin_exporter_file_lag_bytes{source="app"} 0\n' in text
    assert 'tocsin_exporter_file_errors_total{source="app",reason="permission"} 0\n' in text
    assert text.count("# TYPE") == 6


PROBLEMS = [
    ("a compressed pattern", {"paths": ["/x/*.gz"]}, ("paths", 0), "compressed"),
    ("a path twice", {"paths": ["/x/a", "/x/a"]}, ("paths", 1), "twice"),
    ("an idle time below the interval", {"interval": "5m", "paths": ["/x"]}, ("idle",), "shorter than interval"),
]


@pytest.mark.parametrize(
    ("given", "location", "words"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS]
)
def test_settings_that_contradict_each_other(
    given: dict[str, object], location: configfile.Location, words: str
) -> None:
    found = list(lint(FileSettings.model_validate({"name": "app", **given})))
    assert [(where, words in text) for where, text in found] == [(location, True)]


# --- any course of things


class Course:
    """What may happen to a log and to its reader, and the lines that were written."""

    def __init__(self, timeline: Timeline) -> None:
        self._t, self._log = timeline, timeline.folder / "a.log"
        self._numbers = itertools.count()
        self._half = b""
        self.truth: Counter[bytes] = Counter()

    async def append(self) -> None:
        line = self._line()
        self._t.write("a.log", line + b"\n")
        self.truth[self._half + line] += 1
        self._half = b""

    async def half(self) -> None:
        line = self._line()
        self._t.write("a.log", line)
        self._half += line

    def _line(self) -> bytes:
        number = next(self._numbers)
        return b"line %d %s" % (number, b"x" * (number % 7) * 100)

    def _over(self) -> None:
        """The file gets nothing more: half a line is one."""
        if self._half:
            self.truth[self._half] += 1
        self._half = b""

    async def rotate(self) -> None:
        await self._t.poll()  # what was never seen under its name can't be known under another
        if self._log.exists():
            self._log.rename(self._t.folder / f"a.{next(self._numbers)}")
        self._over()

    async def delete(self) -> None:
        """It is read to its end, which its writer writes while nobody can name it."""
        if self._log.exists():
            with self._log.open("ab") as writer:
                await self._t.poll()
                self._log.unlink()
                writer.write(b"\n" if self._half else b"")
            await self._t.poll()
        self._over()

    async def copytruncate(self) -> None:
        if self._half:
            self._t.write("a.log", b"\n")
        self._over()
        await self._t.poll()
        if self._log.exists():
            os.truncate(self._log, 0)

    async def poll(self) -> None:
        await self._t.poll()

    async def restart(self) -> None:
        self._t.restart()

    async def fail(self) -> None:
        self._t.intake.before = _raise_once()

    async def lose_an_answer(self) -> None:
        self._t.intake.after = _raise_once()

    async def end(self) -> None:
        self._over()
        await self._t.poll()
        await self._t.idle()


def _raise_once() -> Callable[[], None]:
    failures = [StorageUnavailable("io")]

    def fail() -> None:
        if failures:
            raise failures.pop()

    return fail


STEPS = [Course.append, Course.half, Course.rotate, Course.delete, Course.copytruncate]
STEPS += [Course.poll, Course.restart, Course.fail, Course.lose_an_answer]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(STEPS), max_size=40), st.booleans())
def test_whatever_happens_no_line_is_lost_or_delivered_twice(
    steps: list[Callable[[Course], Awaitable[None]]], one_name: bool
) -> None:
    """But for what copytruncate itself loses: lines that were not read when it cuts. This course reads before."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_run(Timeline(Path(name), paths=["a.log" if one_name else "a.*"]), steps))


async def _run(timeline: Timeline, steps: list[Callable[[Course], Awaitable[None]]]) -> None:
    course = Course(timeline)
    for step in [*steps, Course.end]:
        await step(course)
    lines, truth = timeline.intake.lines, course.truth
    timeline.close()
    assert (lines - truth, truth - lines) == (Counter(), Counter())
