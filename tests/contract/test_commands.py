"""The commands as an operator runs them: real processes, their exit status and their words."""

import asyncio
import base64
import contextlib
import os
import re
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme

from tests.contract.test_receiver import alert, body
from tests.support.ports import free_ports

SERVICES = ["exporter", "receiver"]
SMALL_DISK = 400_000
"""Bytes a file may have: enough for the empty database, too few for many alerts."""


def command(service: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", service, *arguments]


def run(service: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(service, *arguments), cwd=cwd, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Process:
    """A started service."""

    def __init__(self, service: str, folder: Path, *flags: str, small_disk: bool = False) -> None:
        [self.port], self.log = free_ports(1), folder / "log"
        (folder / f"{service}.yml").touch()
        arguments = [f"--config.file={service}.yml", f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command(service, "run", *arguments),
                cwd=folder,
                stdout=log,
                stderr=log,
                preexec_fn=_limit_files if small_disk else None,  # noqa: PLW1509 - sets a limit of the child, nothing else
            )

    def get(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> None:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                if self.get("/-/ready")[0] == 200:
                    return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def says(self, words: str) -> None:
        for _ in range(400):
            if words in self.log.read_text():
                return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))


@contextlib.contextmanager
def started(service: str, folder: Path, *flags: str, small_disk: bool = False) -> Iterator[Process]:
    process = Process(service, folder, *flags, small_disk=small_disk)
    try:
        process.ready()
        yield process
    finally:
        process.process.kill()
        process.process.wait()


def test_help_names_every_command_and_flag(service: str, tmp_path: Path) -> None:
    top = run(service, "--help", cwd=tmp_path)
    assert (top.returncode, top.stderr) == (0, "")
    assert "start the" in top.stdout
    flags = run(service, "run", "--help", cwd=tmp_path).stdout
    for flag in (
        "config.file",
        "web.listen-address",
        "web.config.file",
        "web.external-url",
        "web.insecure",
        "storage.path",
        "storage.url",
        "log.level",
        "log.format",
    ):
        assert f"--{flag}" in flags


def test_check_says_what_it_read(service: str, tmp_path: Path) -> None:
    (tmp_path / f"{service}.yml").touch()
    done = run(service, "check", f"--config.file={service}.yml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{service}.yml: valid: 0 ")


def test_check_prints_every_problem_and_fails(service: str, tmp_path: Path) -> None:
    (tmp_path / f"{service}.yml").write_text("aa: 1\nauht: {}\n")
    done = run(service, "check", f"--config.file={service}.yml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{service}.yml:1:1: aa: unknown key")
    assert f"{service}.yml:2:1: auht: unknown key; did you mean 'auth'?\n" in done.stderr


REFUSED = [
    ("a bad configuration", ["--config.file=bad.yml"], "bad.yml:1:1: zzz: unknown key"),
    ("no configuration", ["--config.file=gone.yml"], "gone.yml:1:1: can't read the file"),
    ("an address that is none", ["--web.listen-address=here"], "'here' is not HOST:PORT"),
    ("an open door", ["--web.listen-address=0.0.0.0:0"], "can be reached from other machines, and nobody is asked"),
    ("a database of another kind", ["--storage.url=mysql://x/y"], "only sqlite:///path and postgresql://user@host/database are supported, not mysql://"),
    ("another driver", ["--storage.url=postgresql+psycopg://x/y"], "are supported, not postgresql+psycopg://"),
    ("a server without a database", ["--storage.url=postgresql://x"], "--storage.url names no database"),
    ("a database URL that is none", ["--storage.url=nonsense"], "--storage.url is not a database URL"),
    ("a web configuration with a slip", ["--web.config.file=web.yml"], "web.yml:1:1: basic_auth_user: unknown key; did you mean 'basic_auth_users'?"),
    ("a hash that is none", ["--web.config.file=hash.yml"], "hash.yml:1:20: basic_auth_users.ali: string should match pattern"),
    ("a certificate that is not there", ["--web.config.file=tls.yml"], "tls.yml:1:23: tls_server_config.cert_file: gone.pem: No such file"),
    ("a database of a newer version", ["--storage.url=sqlite:///newer.db"], "newer.db was written by a newer version of Tocsin"),
    ("a storage path that can't be made", ["--storage.path=/dev/null/x"], "/dev/null/x"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_run_is_refused_in_words(service: str, tmp_path: Path, flags: list[str], says: str) -> None:
    (tmp_path / "good.yml").touch()
    (tmp_path / "bad.yml").write_text("zzz: 1\n")
    (tmp_path / "web.yml").write_text("basic_auth_user: {}\n")
    (tmp_path / "hash.yml").write_text("basic_auth_users: {ali: open-sesame}\n")
    (tmp_path / "tls.yml").write_text("tls_server_config: {  cert_file: gone.pem, key_file: bad.yml}\n")
    with sqlite3.connect(tmp_path / "newer.db") as database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values ('9999')")
    done = run(service, "run", "--config.file=good.yml", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_exporter_keeps_to_sqlite(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").touch()
    arguments = ["--config.file=exporter.yml", "--storage.url=postgresql://u:hidden@127.0.0.1:1/d"]
    done = run("exporter", "run", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "the exporter keeps this in SQLite" in done.stderr
    assert "hidden" not in done.stderr


def test_a_postgresql_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "receiver.yml").touch()
    arguments = ["--config.file=receiver.yml", "--storage.url=postgresql://u:hidden@127.0.0.1:1/d"]
    done = run("receiver", "run", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("tocsin-receiver: storage is unavailable: io: ")
    assert "127.0.0.1" in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_receivers_that_start_together_share_a_fresh_postgresql(tmp_path: Path, postgres: str) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    flag = f"--storage.url={postgres}"
    with started("receiver", folders[0], flag) as one, started("receiver", folders[1], flag) as other:
        assert one.get("/webhook/alertmanager", body(alert())) == (200, '{"new": 1}')
        assert other.get("/webhook/alertmanager", body(alert())) == (200, '{"new": 0}')
    password = postgres.split(":")[2].partition("@")[0]
    assert password not in one.log.read_text() + other.log.read_text()


def test_a_taken_port_is_named(service: str, tmp_path: Path) -> None:
    (tmp_path / "good.yml").touch()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        done = run(service, "run", "--config.file=good.yml", f"--web.listen-address=127.0.0.1:{port}", cwd=tmp_path)
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}: " in done.stderr
    assert "--web.listen-address" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hangup_reloads_and_a_bad_file_keeps_the_old(service: str, tmp_path: Path) -> None:
    with started(service, tmp_path) as one:
        (tmp_path / f"{service}.yml").write_text("zzz: 1\n")
        one.process.send_signal(signal.SIGHUP)
        one.says("configuration refused, the old one stays in force")
        assert f"tocsin_{service}_config_last_reload_successful 0.0" in one.get("/metrics")[1]
        (tmp_path / f"{service}.yml").write_text("")
        one.process.send_signal(signal.SIGHUP)
        for _ in range(100):
            if f"tocsin_{service}_config_last_reload_successful 1.0" in one.get("/metrics")[1]:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(one.log.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_graceful(service: str, tmp_path: Path, number: signal.Signals) -> None:
    with started(service, tmp_path) as one:
        one.process.send_signal(number)
        assert one.process.wait(timeout=10) == 0
        assert "Traceback" not in one.log.read_text()


def test_a_user_with_a_bcrypt_hash_is_let_in_as_prometheus_does_it(service: str, tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ali: '{hashed}'}}\n")
    with started(service, tmp_path, "--web.config.file=web.yml") as one:
        assert one.get("/metrics")[0] == 401
        for _ in range(2):
            assert one.get("/metrics", Authorization="Basic YWxpOm9wZW4gc2VzYW1l")[0] == 200
        for wrong in (
            "Basic YWxpOndyb25n",
            "Basic !!!",
            "Basic YWxp",
            "Basic Ym9iOm9wZW4gc2VzYW1l",
            "Bearer x",
            "Basic",
        ):
            assert one.get("/metrics", Authorization=wrong)[0] == 401


def test_tls_is_served_as_the_web_configuration_says(service: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for certificate in issued.cert_chain_pems:
        certificate.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
    one = Process(service, tmp_path, "--web.config.file=web.yml")
    try:
        one.says("event=listening")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with urllib.request.urlopen(f"https://127.0.0.1:{one.port}/-/ready", context=context, timeout=10) as answer:
            assert answer.status == 200
    finally:
        one.process.kill()
        one.process.wait()


def test_a_log_line_is_one_line_of_json_when_asked(service: str, tmp_path: Path) -> None:
    with started(service, tmp_path, "--log.format=json") as one:
        assert '"event": "listening"' in one.log.read_text()


def test_a_full_disk_is_a_503_never_a_200_and_reading_goes_on(tmp_path: Path) -> None:
    with started("receiver", tmp_path, small_disk=True) as one:
        statuses = []
        for number in range(200):
            alerts = [alert(f"A{number}-{place}", pad="x" * 500) for place in range(20)]
            statuses.append(one.get("/webhook/alertmanager", body(*alerts))[0])
            if statuses[-1] != 200:
                break
        assert statuses[-1] == 503
        stored = statuses.count(200) * 20
        assert one.get("/v1/incidents")[0] == 200
        assert 'tocsin_receiver_webhook_rejected_total{reason="storage"} 1.0' in one.get("/metrics")[1]
    with sqlite3.connect(tmp_path / "data" / "receiver.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from events").fetchone() == (stored,)


def test_what_was_answered_with_200_survives_kill_9(tmp_path: Path) -> None:
    stored = 0
    for round_ in range(3):
        with started("receiver", tmp_path) as one:
            for number in range(10):
                assert one.get("/webhook/alertmanager", body(alert(f"A{round_}-{number}")))[0] == 200
                stored += 1
            os.kill(one.process.pid, signal.SIGKILL)
    with sqlite3.connect(tmp_path / "data" / "receiver.db") as database:
        assert database.execute("select count(*) from events").fetchone() == (stored,)


SECRET = "canary-4711-secret"


def test_no_secret_is_in_a_log_a_metric_or_the_database(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "url").write_text(f"json://127.0.0.1:1/{SECRET}?+X-Key={SECRET}x")
    (tmp_path / "receiver.yml").write_text("auth: {bearer_token_files: [token]}\ntargets: [{name: a, url_file: url}]\n")
    bearer = f"Bearer {SECRET}"
    with started("receiver", tmp_path, "--log.level=debug") as one:
        assert one.get("/webhook/alertmanager", body(alert()), Authorization=bearer)[0] == 200
        one.says("event=delivery")
        shown = (
            one.get("/metrics", Authorization=bearer)[1]
            + one.get("/v1/incidents/1", Authorization=bearer)[1]
            + one.get("/", Authorization=bearer)[1]
        )
        assert one.get("/webhook/alertmanager", f"Bearer {SECRET} is no body".encode(), Authorization=bearer)[0] == 400
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(timeout=10)
    assert SECRET not in shown
    assert SECRET not in one.log.read_text()
    with sqlite3.connect(tmp_path / "data" / "receiver.db") as database:
        tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
        held = {
            table: str(database.execute(f"select * from {table}").fetchall()) for table in tables if table != "refused"
        }
    assert not [table for table, rows in held.items() if SECRET in rows]


async def test_many_slow_sockets_do_not_slow_a_delivery(tmp_path: Path) -> None:
    with started("receiver", tmp_path) as one:
        held = [await asyncio.open_connection("127.0.0.1", one.port) for _ in range(200)]
        for _, writer in held:
            writer.write(b"POST /webhook/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
        answers = [
            await asyncio.to_thread(one.get, "/webhook/alertmanager", body(alert(f"A{number}"))) for number in range(20)
        ]
        assert [status for status, _ in answers] == [200] * 20
        for _, writer in held:
            writer.close()


def test_the_version_is_told(service: str, tmp_path: Path) -> None:
    assert re.fullmatch(rf"tocsin-{service} \d+\.\d+\.\d+\n", run(service, "--version", cwd=tmp_path).stdout)


def test_a_reload_does_not_open_the_door(service: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-for-tests")
    (tmp_path / f"{service}.yml").write_text("auth: {bearer_token_files: [token]}\n")
    one = Process(service, tmp_path, "--web.listen-address=0.0.0.0:0")
    try:
        one.says("event=listening")
        (tmp_path / f"{service}.yml").write_text("auth: {}\n")
        one.process.send_signal(signal.SIGHUP)
        one.says("can be reached from other machines, and nobody is asked who they are")
    finally:
        one.process.kill()
        one.process.wait()


def test_a_browser_may_show_the_token_as_a_password(service: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-for-tests")
    (tmp_path / f"{service}.yml").write_text("auth: {bearer_token_files: [token]}\n")
    with started(service, tmp_path) as one:
        for user in ("", "anybody"):
            shown = base64.b64encode(f"{user}:a-token-for-tests".encode()).decode()
            assert one.get("/metrics", Authorization=f"Basic {shown}")[0] == 200
        assert one.get("/metrics", Authorization="Basic YTpi")[0] == 401


def test_a_second_process_on_one_database_is_refused_before_it_does_anything(service: str, tmp_path: Path) -> None:
    with started(service, tmp_path):
        done = run(service, "run", f"--config.file={service}.yml", "--web.listen-address=127.0.0.1:0", cwd=tmp_path)
    assert done.returncode == 1
    assert "is in use by another process" in done.stderr


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command("exporter", "vendors"), cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_exporter_stops_without_a_word_and_a_clients_mistakes_are_no_errors_of_its(tmp_path: Path) -> None:
    rule = "{name: u, kind: distinct, metric: users, help: U., event: buy, owner: me, identity: user}"
    (tmp_path / "exporter.yml").write_text(f"usage:\n  rules: [{rule}]\n")
    one = Process("exporter", tmp_path, "--log.level=warn")
    try:
        one.ready()
        assert one.get("/v1/events", b'{"event": "buy", "user": "ana"}')[0] == 200
        assert one.get("/v1/events", b"x", **{"Content-Encoding": "br"})[0] == 400
    finally:
        one.process.terminate()
        assert one.process.wait(timeout=30) == 0
    assert one.log.read_text() == ""
