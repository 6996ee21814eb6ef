"""What may happen to the door: no room on disk, no descriptors, clients that dawdle, a stop under load, bodies that
nobody should send. What was answered with 200 is kept, and the door opens again by itself."""

import asyncio
import contextlib
import gzip
import itertools
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.bench.load import Load, post
from tests.conftest import ROOT
from tests.contract.test_commands import SMALL_DISK, Process, started
from tests.contract.test_receiver import HOOK, NO_TARGET, Sink, alert, body, config, sink
from tests.support.processes import until

__all__ = ["sink"]  # a fixture
MEGABYTE = 2**20
STOP_SECONDS = 12.0
"""It is to stop within ten; a loaded machine is granted two more."""


def events(folder: Path) -> int:
    """How many events are stored; the file is sound."""
    with contextlib.closing(sqlite3.connect(folder / "data" / "receiver.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        count: int = database.execute("select count(*) from events").fetchone()[0]
        return count


async def settled(one: Process) -> None:
    """Waits until every event is worked on."""

    async def is_so() -> bool:
        text = (await asyncio.to_thread(one.get, "/metrics"))[1]
        return "tocsin_receiver_events_unprocessed 0.0\n" in text

    await until(is_so, "every event is worked on")


# --- the disk


class Limited:
    """No file of the process may grow beyond a size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, one: Process) -> None:
        """Leaves room for little more."""
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (SMALL_DISK, resource.RLIM_INFINITY))

    def empty(self, one: Process) -> None:
        everything = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, everything)


class Small(Limited):
    """A file system of eight megabytes, and a file that takes what is left of it."""

    def fill(self, _: Process) -> None:
        left = shutil.disk_usage(self.folder).free
        with (self.folder / "ballast").open("wb") as ballast:
            ballast.write(bytes(max(left - SMALL_DISK, 0)))

    def empty(self, _: Process) -> None:
        (self.folder / "ballast").unlink()


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Small]:
    """A small file system in a folder, for who is root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
    try:
        yield Small(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def heals(disk: Limited) -> None:
    """A full disk is a 503, reading goes on, and room is enough to heal it."""
    stored, number = 0, itertools.count()

    def attempt() -> int:
        nonlocal stored
        padded = [alert(f"A{next(number)}", service="s", pad="x" * 500) for _ in range(20)]
        status = one.get(HOOK, body(*padded))[0]
        stored += 20 if status == 200 else 0
        return status

    with started("receiver", disk.folder) as one:
        disk.fill(one)
        await until(lambda: attempt() != 200, "the disk is full")
        assert [attempt() for _ in range(5)] == [503] * 5
        assert [one.get(path)[0] for path in ("/v1/incidents", "/metrics", "/-/ready", "/-/healthy")] == [200] * 4
        assert 'webhook_rejected_total{reason="storage"}' in one.get("/metrics")[1]
        disk.empty(one)
        await until(lambda: attempt() == 200, "there is room again")
        await settled(one)
        assert one.process.poll() is None
    assert events(disk.folder) == stored


async def test_a_file_that_may_not_grow_is_a_503_and_heals(tmp_path: Path) -> None:
    await heals(Limited(tmp_path))


async def test_a_full_file_system_is_a_503_and_heals(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if os.geteuid() == 0:
        with mounted(tmp_path / "small") as small:
            await heals(small)
        return
    # whoever isn't root is it in a namespace of their own, and may mount there
    own = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "pytest", "-q"]
    here = [f"--rootdir={ROOT}", f"--basetemp={tmp_path / 'own'}", "-p", "no:cacheprovider", request.node.nodeid]
    done = await asyncio.to_thread(subprocess.run, [*own, *here], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- clients that dawdle


HEAD = b"POST /webhook/alertmanager HTTP/1.1\r\nHost: x\r\n"
DRIPPING_BODY = (HEAD + b"Content-Length: 99999\r\n\r\n{", b" ")
DAWDLERS = [
    (b"", b""),  # not a byte
    (HEAD, b"X-Drip: 1\r\n"),  # headers that never end
    DRIPPING_BODY,
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
]
"""(what they send at first, what they send each second)"""


@contextlib.asynccontextmanager
async def dawdling(port: int, count: int, first: bytes, then: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """`count` connections that send `first`, and `then` again and again, each second."""
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]

    async def drip() -> None:
        while True:
            for _, writer in held:
                writer.write(then)
            await asyncio.sleep(1)

    for _, writer in held:
        writer.write(first)
    dripping = asyncio.create_task(drip())
    try:
        yield [reader for reader, _ in held]
    finally:
        dripping.cancel()
        for _, writer in held:
            writer.transport.abort()


async def test_two_hundred_slow_sockets_hold_up_neither_webhooks_nor_deliveries(tmp_path: Path, sink: Sink) -> None:
    (tmp_path / "receiver.yml").write_text(config(sink).replace(NO_TARGET, ""))
    with started("receiver", tmp_path) as one:
        async with contextlib.AsyncExitStack() as held:
            groups = [await held.enter_async_context(dawdling(one.port, 50, *kind)) for kind in DAWDLERS]
            for number in range(10):
                status = (await asyncio.to_thread(one.get, HOOK, body(alert(f"A{number}"))))[0]
                assert status == 200
            await until(lambda: len(sink.messages) == 10, "all are told")

            def gone() -> bool:
                return all(reader.at_eof() or reader.exception() for readers in groups for reader in readers)

            await until(gone, "nobody holds a descriptor for ever")


async def test_when_descriptors_run_out_it_takes_webhooks_again_as_soon_as_some_are_free(tmp_path: Path) -> None:
    with started("receiver", tmp_path) as one:
        resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        async with dawdling(one.port, 400, b"", b""):
            with contextlib.suppress(OSError):
                one.get(HOOK, body(alert("A0")))
            assert one.process.poll() is None

        async def taken() -> bool:
            with contextlib.suppress(OSError):
                return (await asyncio.to_thread(one.get, HOOK, body(alert("A1"))))[0] == 200
            return False

        await until(taken, "a webhook is taken")
        await settled(one)


# --- the stop


async def test_a_stop_under_load_is_in_time_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with started("receiver", tmp_path) as one:
        load = Load(f"http://127.0.0.1:{one.port}{HOOK}", posts=20_000, at_once=50, seconds=3)
        posting = asyncio.create_task(post(load))
        await until(lambda: "events_total" in one.get("/metrics")[1], "it answers under load")
        await asyncio.sleep(1)
        one.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(one.process.wait, STOP_SECONDS) == 0
        answers = (await posting).answers
        assert "Traceback" not in one.log.read_text()
    assert set(answers) <= {"200", "503", "0"}
    # a post may be stored whose answer did not arrive; never the other way round
    assert answers["200"] <= events(tmp_path) <= answers["200"] + answers.get("0", 0)


async def test_a_stop_waits_for_no_client_and_no_sink_beyond_its_time(tmp_path: Path) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        with contextlib.closing(writer):
            await reader.read()

    heard = asyncio.Event()
    async with await asyncio.start_server(never, "127.0.0.1", 0) as hung:
        port = hung.sockets[0].getsockname()[1]
        (tmp_path / "receiver.yml").write_text(f"targets: [{{name: a, url: 'json://127.0.0.1:{port}/'}}]\n")
        with started("receiver", tmp_path) as one:
            async with dawdling(one.port, 50, *DRIPPING_BODY):
                assert (await asyncio.to_thread(one.get, HOOK, body(alert())))[0] == 200
                await asyncio.wait_for(heard.wait(), 30)
                one.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(one.process.wait, STOP_SECONDS) == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "receiver.db")) as database:
        # a send was under way: the next process tells it again as a possible repeat
        assert database.execute("select count(*) from outbox where finished_at is null").fetchone() == (1,)


# --- what nobody should send


MAX_BODY = 16 * MEGABYTE


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(tmp_path: Path) -> None:
    with started("receiver", tmp_path) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readline(), 20)
        writer.close()
    assert answer == b"HTTP/1.1 413 Request Entity Too Large\r\n"


@pytest.mark.parametrize("zipped", [False, True], ids=["as it is", "zipped a thousandfold"])
async def test_a_body_without_a_length_is_counted_while_it_comes(tmp_path: Path, zipped: bool) -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield gzip.compress(bytes(8 * MEGABYTE)) if zipped else b" " * MEGABYTE

    with started("receiver", tmp_path) as one:
        before = memory(one)
        headers = {"Content-Encoding": "gzip"} if zipped else {}
        url = f"http://127.0.0.1:{one.port}{HOOK}"
        async with aiohttp.ClientSession() as session, session.post(url, data=long(), headers=headers) as answer:
            assert answer.status == 413
        assert memory(one) - before < 128 * MEGABYTE
        assert 'webhook_rejected_total{reason="too_large"} 1.0' in one.get("/metrics")[1]


def memory(one: Process) -> int:
    """The most that the process ever held, in bytes."""
    lines = Path(f"/proc/{one.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def with_text(place: str, raw: str) -> bytes:
    """A body that has the JSON text `raw` in one place of its alert."""
    text = body(alert(place="HERE")).decode()
    parts = {"label": '"HERE"', "fingerprint": json.dumps(json.loads(text)["alerts"][0]["fingerprint"])}
    assert parts[place] in text
    return text.replace(parts[place], raw).encode()


NAMED: list[tuple[str, bytes]] = [
    ("brackets without end", b"[" * 1_000_000),
    ("objects within objects", b'{"version": "4", "alerts": ' + b'{"a":' * 500_000),
    ("nesting in a key of no meaning", b'{"version": "4", "alerts": [], "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("NaN", b'{"version": "4", "alerts": NaN}'),
    ("a NaN where a number may be", b'{"version": "4", "alerts": [], "truncatedAlerts": NaN}'),
    ("an integer of 5,000 digits", b'{"version": "4", "alerts": [], "truncatedAlerts": ' + b"9" * 5000 + b"}"),
    ("the same in a key of no meaning", b'{"version": "4", "alerts": [], "x": ' + b"9" * 5000 + b"}"),
    ("a negative count", b'{"version": "4", "alerts": [], "truncatedAlerts": -1}'),
    ("bytes that are no UTF-8", b'{"version": "4", "alerts": [], "externalURL": "\xff\xfe"}'),
    ("a lone surrogate in a label", with_text("label", r'"\ud800"')),
    ("a lone low surrogate in a label", with_text("label", r'"\udc00x"')),
    ("a NUL in a label", with_text("label", r'"a\u0000b"')),
    ("a raw NUL in a label", with_text("label", '"a\x00b"')),
    ("a NUL in the fingerprint", with_text("fingerprint", r'"a\u0000b"')),
    ("a lone surrogate in the fingerprint", with_text("fingerprint", r'"\ud800"')),
    ("a fingerprint of 10,000 characters", with_text("fingerprint", f'"{"f" * 10_000}"')),
    ("a label of a megabyte", with_text("label", f'"{"x" * MEGABYTE}"')),
    ("a time before all times", body({**alert(), "startsAt": "0001-01-01T00:00:00Z"})),
    ("a time with a leap second", body({**alert(), "startsAt": "2016-12-31T23:59:60Z"})),
    ("a time far away", body({**alert(), "startsAt": "9999-12-31T23:59:59-23:59"})),
    ("an end before the start", body({**alert(status="resolved"), "endsAt": "1999-01-01T00:00:00Z"})),
    ("a byte order mark", b"\xef\xbb\xbf" + body(alert())),
    ("UTF-16", body(alert()).decode().encode("utf-16")),
    ("nothing", b""),
    ("a name that is a template", body(alert("{{ 7 * 7 }}${jndi:ldap://x}"))),
]  # fmt: skip


async def test_whatever_a_body_holds_is_stored_or_refused_and_the_next_is_taken(tmp_path: Path) -> None:
    with started("receiver", tmp_path) as one:
        found = {name: one.get(HOOK, content)[0] for name, content in NAMED}
        assert {name: status for name, status in found.items() if status not in {200, 400}} == {}
        assert one.get(HOOK, body(alert("Good")))[0] == 200
        await settled(one)
        assert one.get("/v1/incidents")[0] == 200
        assert "Traceback" not in one.log.read_text()
