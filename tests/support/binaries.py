"""Finds Prometheus, Alertmanager and PostgreSQL, or fetches Debian's packages into a private folder.

Standard library only.

    python3 tests/support/binaries.py [--suite bookworm|trixie] FOLDER

`native` (the default suite) takes the four programs from PATH when all are there, else the packages of the running
Debian. Packages come from the mirrors that this machine's apt is set to, through an apt state of our own: no root is
needed and nothing on the system changes. The programs end up as links in FOLDER/SUITE/.
"""

import argparse
import contextlib
import fcntl
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("prometheus", "promtool", "alertmanager", "amtool")
SUITES = ("native", "bookworm", "trixie")
BLACKBOX = "prometheus-blackbox-exporter"
MTAIL = "mtail"
_RENAMED = {"prometheus-alertmanager": "alertmanager"}
_SHARED = b"/usr/share/prometheus/"
_POSTGRES_ADVICE = "Install PostgreSQL 14 or newer so that postgres and initdb are on PATH or below /usr/lib/postgresql, then try again."
_MARIADB_ADVICE = "It is wanted for the tests of queries on MySQL; they run on Debian."
_ADVICE = (
    "Install Prometheus and Alertmanager so that prometheus, promtool, alertmanager and amtool are on PATH "
    "(on macOS: brew install prometheus alertmanager), then try again."
)


class Missing(Exception):
    """The programs can't be had; the message says what a person can do."""


@dataclass(frozen=True)
class Postgres:
    """PostgreSQL's server: the folder of `postgres` and `initdb`, and the private tree it was unpacked to, if it was."""

    programs: Path
    root: Path | None = None


def find(folder: Path, suite: str = "native") -> Path:
    """The folder that holds the four programs of `suite`, fetched when need be. Raises Missing."""
    on_path = {program: shutil.which(program) for program in PROGRAMS}
    if suite == "native" and not all(on_path.values()):
        suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "native") if _has_apt() else suite
    ready = folder / suite
    ready.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once fetch it once
        if not all((ready / program).exists() for program in PROGRAMS):
            _fill(ready, folder, suite)
    return ready


def blackbox(folder: Path) -> Path:
    """The blackbox exporter, with which a benchmark compares: from PATH, or fetched when need be. Raises Missing."""
    return _compared(folder, BLACKBOX, "blackbox_exporter")


def mtail(folder: Path) -> Path:
    """mtail, with which a benchmark compares: from PATH, or fetched when need be. Raises Missing."""
    return _compared(folder, MTAIL, MTAIL)


def _compared(folder: Path, package: str, elsewhere: str) -> Path:
    """The program of Debian's `package`, which has its name; `elsewhere` is how others call it."""
    on_path = shutil.which(package) or shutil.which(elsewhere)
    if on_path:
        return Path(on_path)
    state = folder / f"{elsewhere.partition('_')[0]}.apt"
    program = state / "root/usr/bin" / package
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with _apt_of_our_own(state, "native") as options:
                _unpack([package], options, state)
    return program


def postgres(folder: Path) -> Postgres:
    """PostgreSQL's server: from PATH or as Debian installs it, else fetched when need be. Raises Missing."""
    on_path = shutil.which("initdb")
    installed = [Path(on_path).resolve().parent] if on_path else []
    installed += _newest_first(Path("/"))
    for programs in installed:
        if (programs / "postgres").exists():
            return Postgres(programs)
    state = folder / "postgres.apt"
    root = state / "root"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _newest_first(root):
            with _apt_of_our_own(state, "native", _POSTGRES_ADVICE) as options:
                _unpack(_postgres_packages(options), options, state)
    return Postgres(_newest_first(root)[0], root)


def mariadb(folder: Path) -> Path:
    """The private tree that MariaDB's server was unpacked to, fetched when need be. Raises Missing."""
    state = folder / "mariadb.apt"
    root = state / "root"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "usr/sbin/mariadbd").exists():
            with _apt_of_our_own(state, "native", _MARIADB_ADVICE) as options:
                _unpack(_mariadb_packages(options), options, state)
    return root


def _mariadb_packages(options: list[str]) -> list[str]:
    """The server's package and the libraries that this machine has not."""
    command = ["apt-get", *options, "--simulate", "--no-install-recommends", "install", "mariadb-server-core"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    needed = re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)
    return ["mariadb-server-core", *[name for name in needed if name.startswith("lib")]]


def _newest_first(root: Path) -> list[Path]:
    """The folders of the PostgreSQL servers below `root` where Debian puts them."""
    found = (root / "usr/lib/postgresql").glob("*/bin")
    return sorted(found, key=lambda programs: int(programs.parent.name), reverse=True)


def _postgres_packages(options: list[str]) -> list[str]:
    """The server's package and the libraries that this machine has not; not LLVM (25 MB), which only its JIT needs."""
    command = ["apt-get", *options, "--simulate", "--no-install-recommends", "install", "postgresql"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    needed = re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)
    packages = [name for name in needed if re.match(r"postgresql-\d+$|lib(?!llvm|perl)", name)]
    if not any(name.startswith("postgresql-") for name in packages):
        raise Missing(f"apt would install no PostgreSQL server: {done.stderr.strip()[-500:]} {_POSTGRES_ADVICE}")
    return packages


def _fill(ready: Path, folder: Path, suite: str) -> None:
    on_path = {program: shutil.which(program) for program in PROGRAMS}
    if suite == "native" and all(on_path.values()):
        found = {program: Path(str(path)) for program, path in on_path.items()}
    else:
        found = _fetch(folder / f"{suite}.apt", suite)
    for program, path in found.items():
        link = ready / program
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())


def _relocated(program: Path, root: Path) -> Path:
    """A copy of `program` that looks for its templates and pages below `root`, where we unpacked them; `program`
    itself where it has none.

    Debian's servers open /usr/share/prometheus/..., so they don't start from a private folder. The copy holds a
    relative path of the same length, and a script starts it there; configuration files need absolute paths.
    """
    held = program.read_bytes()
    if _SHARED not in held:
        return program
    copy = program.with_name(f"{program.name}.relocated")
    copy.write_bytes(held.replace(_SHARED, b"usr/share/prometheus//"))
    copy.chmod(0o755)
    script = program.with_name(f"{program.name}.here")
    script.write_text(f'#!/bin/sh\ncd {shlex.quote(str(root))} && exec {shlex.quote(str(copy))} "$@"\n')
    script.chmod(0o755)
    return script


def version(program: Path) -> str:
    """The version a program tells of itself, like `0.28.1`."""
    out = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    words = (out.stdout + out.stderr).split()
    return words[words.index("version") + 1].rstrip(",")


def _has_apt() -> bool:
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def _fetch(state: Path, suite: str) -> dict[str, Path]:
    root = state / "root"
    with _apt_of_our_own(state, suite) as options:
        _unpack(["prometheus", "prometheus-alertmanager"], options, state)
        if not (root / "usr/bin/promtool").exists():  # trixie has made it a package of its own
            _unpack(["promtool"], options, state)
    found = {_RENAMED.get(path.name, path.name): path for path in (root / "usr/bin").iterdir()}
    missing = [program for program in PROGRAMS if program not in found]
    if missing:
        raise Missing(f"Debian's packages of {suite} hold no {', '.join(missing)}. {_ADVICE}")
    return {program: _relocated(found[program], root) for program in PROGRAMS}


@contextlib.contextmanager
def _apt_of_our_own(state: Path, suite: str, advice: str = _ADVICE) -> Iterator[list[str]]:
    """An apt state below `state` that knows the packages of `suite`, as options for apt-get; gone afterwards."""
    if not _has_apt():
        raise Missing(f"a program is not on PATH, and this {platform.system()} machine has no apt. {advice}")
    shutil.rmtree(state, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial", "root"):
        (state / part).mkdir(parents=True)
    options = _options(state, suite)
    _apt([*options, "update"], state)
    yield options
    shutil.rmtree(state / "cache")
    shutil.rmtree(state / "lists")


def _unpack(packages: list[str], options: list[str], state: Path) -> None:
    _apt([*options, "download", *packages], state)
    for package in state.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, state / "root"], check=True)
        package.unlink()


def _options(state: Path, suite: str) -> list[str]:
    options = ["-q", "-o", f"Dir::State={state}", "-o", f"Dir::Cache={state / 'cache'}", "-o", "APT::Sandbox::User="]
    options += ["-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Acquire::Retries=3"]
    if suite not in ("native", platform.freedesktop_os_release().get("VERSION_CODENAME")):
        mirror, keyring = _mirror()
        source = f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {keyring}\n"
        (state / "sources.sources").write_text(source)
        options += ["-o", f"Dir::Etc::sourcelist={state / 'sources.sources'}", "-o", "Dir::Etc::sourceparts=-"]
    return options


def _mirror() -> tuple[str, str]:
    """The Debian mirror this machine uses, and the keyring its suites are signed with."""
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    command[3] = "$(REPO_URI)"
    plain = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    mirrors = [line.split()[1] for line in lines if line.startswith("Debian ")] or plain
    main = [mirror for mirror in mirrors if mirror.rstrip("/").endswith("/debian")]
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not main or not keyring.exists():
        raise Missing(f"this machine's apt knows no Debian mirror. {_ADVICE}")
    return main[0], str(keyring)


def _apt(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(["apt-get", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"apt-get {arguments[-1]} failed: {done.stderr.strip()[-500:]} {_ADVICE}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--suite", choices=SUITES, default="native")
    parser.add_argument("--print-folder", action="store_true", help="print where the programs are, and nothing else")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    try:
        folder = find(arguments.folder.resolve(), arguments.suite)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.print_folder:
        print(folder)
        return 0
    print(
        f"Prometheus {version(folder / 'prometheus')} and Alertmanager {version(folder / 'alertmanager')} in {folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
