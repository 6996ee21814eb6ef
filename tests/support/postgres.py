"""A real PostgreSQL server for tests and benchmarks, in a folder of its own; ended and removed by who started it."""

import asyncio
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.binaries import Postgres, postgres
from tests.support.ports import free_ports
from tests.support.stack import ROOT

TOOLS = ROOT / ".cache" / "tools"
ROLE = "tocsin"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "jit": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "256MB",
}


class Server:
    """One PostgreSQL server, stopped and started at will; its databases outlive that.

    As root it runs as the user `nobody`, for PostgreSQL refuses root. `suspend` makes it hang: the kernel goes on to
    accept connections, and nobody answers.
    """

    def __init__(self, found: Postgres, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.log = folder / "log"
        self._folder, self._found = folder, found
        self._data = folder / "data"
        self._password = secrets.token_urlsafe(12)
        self._names = (f"test{number}" for number in itertools.count(1))
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")
        if found.root is not None:
            self._take_along(found.root)

    def _take_along(self, root: Path) -> None:
        """Copies a fetched server here: `nobody` may not enter the folder it was fetched to, under /root say."""
        copy = self._folder / "root"
        shutil.copytree(root, copy, symlinks=True)
        self._found = Postgres(copy / self._found.programs.relative_to(root), copy)

    # --- the process

    def initialize(self) -> None:
        """Makes the cluster, and the role that tests connect as."""
        secret = self._folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o644)
        auth = ["--auth=scram-sha-256", "--username=postgres", f"--pwfile={secret}"]
        self._run("initdb", *auth, "--encoding=UTF8", "--locale=C", "--no-instructions", "-D", str(self._data))
        self.start()
        self._execute("postgres", f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self._password}'")

    def start(self, **settings: str) -> None:
        """Starts the server on its port, with `settings` beside SETTINGS, and waits until it answers."""
        given = {**SETTINGS, "port": str(self.port), **settings}
        command = [str(self._found.programs / "postgres"), "-D", str(self._data)]
        command += [f"--{name}={value}" for name, value in given.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment(), stdout=log, stderr=log, **self._as_user
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: SIGINT ends sessions first, SIGQUIT ends it like a crash."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The server and its sessions hang within the block: connections are accepted, nobody answers."""
        assert self._process is not None
        main = self._process.pid
        os.kill(main, signal.SIGSTOP)  # first, so that no session is added
        pids = [*map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split()), main]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._found.programs / program), *arguments],
            cwd=self._folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            **self._as_user,
        )
        if done.returncode:
            raise AssertionError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
        root = self._found.root
        if root is not None:
            libraries = {path.parent for path in root.rglob("lib*.so*") if "postgresql" not in path.parts}
            environment["LD_LIBRARY_PATH"] = ":".join(sorted(map(str, libraries)))
        return environment

    # --- its databases

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database of the test role within the block, as a URL with the password in it."""
        name = next(self._names)
        self._execute("postgres", f"CREATE DATABASE {name} OWNER {ROLE}")
        try:
            yield f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self.port}/{name}"
        finally:
            if self._process is not None:
                self._execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def _answers(self) -> bool:
        try:
            self._execute("postgres", "SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def _execute(self, database: str, statement: str) -> None:
        """Runs one statement as the superuser; in a thread, for the caller may be in an event loop."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._executed(database, statement)).result()

    async def _executed(self, database: str, statement: str) -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self._password,
            database=database,
            timeout=START_SECONDS,
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close(timeout=STOP_SECONDS)


@contextmanager
def running(tools: Path = TOOLS) -> Iterator[Server]:
    """A server within the block, fetched into `tools` where none is installed. Raises binaries.Missing."""
    # not pytest's own folder: as root that one is closed to `nobody`
    folder = Path(tempfile.mkdtemp(prefix="tocsin-postgres-", dir="/tmp"))
    try:
        server = Server(postgres(tools), folder)
        try:
            server.initialize()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
