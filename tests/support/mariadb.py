"""A real MariaDB server for tests, in a folder of its own, without grants but those that a test makes."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection

from tests.support.binaries import mariadb
from tests.support.ports import free_ports
from tests.support.postgres import TOOLS

START_SECONDS = 60.0
DATABASE, USER = "orders", "reader"


@contextmanager
def running(tools: Path = TOOLS) -> Iterator[str]:
    """A server within the block, with one user who may do everything in one database, as that database's URL. Fetched
    into `tools` first. Raises binaries.Missing."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-mariadb-", dir="/tmp"))
    try:
        # as root it runs as the user `nobody`, who may not enter the folder that it was fetched to
        root = folder / "root"
        shutil.copytree(mariadb(tools), root, symlinks=True)
        (folder / "data").mkdir()
        if os.geteuid() == 0:
            folder.chmod(0o755)
            shutil.chown(folder / "data", "nobody", "nogroup")
        password, port = secrets.token_urlsafe(12), free_ports(1)[0]
        _initialize(root, folder, password)
        with _served(root, folder, port):
            yield f"mysql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
    finally:
        shutil.rmtree(folder)


def _initialize(root: Path, folder: Path, password: str) -> None:
    """Makes the system's tables and ours. In this mode the server reads one statement a line, or up to a `;` at its
    end."""
    share = root / "usr/share/mysql"
    tables = "".join((share / name).read_text() for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql"))
    script = f"""CREATE DATABASE mysql;
USE mysql;
SET @auth_root_socket=NULL;
{tables}
FLUSH PRIVILEGES;
CREATE DATABASE {DATABASE};
CREATE USER '{USER}'@'%' IDENTIFIED BY '{password}';
GRANT ALL ON {DATABASE}.* TO '{USER}'@'%';
"""
    command = [*_command(root, folder), "--bootstrap"]
    done = subprocess.run(command, input=script, env=_environment(root), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@contextmanager
def _served(root: Path, folder: Path, port: int) -> Iterator[None]:
    command = [*_command(root, folder), f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/data/socket"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=_environment(root), stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < until, (folder / "log").read_text()[-3000:]
            time.sleep(0.05)
        yield
    finally:
        process.kill()  # nobody wants its data any more
        process.wait()


def _answers(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _command(root: Path, folder: Path) -> list[str]:
    share = root / "usr/share/mysql"
    command = [str(root / "usr/sbin/mariadbd"), "--no-defaults", f"--basedir={root / 'usr'}"]
    command += [
        f"--datadir={folder / 'data'}",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
    ]
    command += ["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"]
    return command + (["--user=nobody"] if os.geteuid() == 0 else [])


def _environment(root: Path) -> dict[str, str]:
    libraries = {path.parent for path in root.rglob("lib*.so*")}
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ":".join(sorted(map(str, libraries)))}
